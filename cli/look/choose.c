#include "choose.h"

#include <fcntl.h>
#include <signal.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grow.h"
#include "kernel/procfs.h"
#include "passes.h"
#include "pure/complaint.h"

static bool is_number(const char *word) {
    return word[0] && strspn(word, "0123456789") == strlen(word) && strlen(word) < 10;
}

/* What address_to_text() would have written. */
static bool is_address(const char *word) {
    const char *colon = strrchr(word, ':');
    struct address address;
    unsigned bits;
    return colon && is_number(colon + 1) && !memchr(word, '/', (size_t)(colon - word)) &&
           address_prefix_parse(word, (size_t)(colon - word), &address, &bits);
}

bool choice_read(struct choice *choice, const char *word, struct parse_error *wrong) {
    if (choice->pid_count + choice->address_count + choice->condition_count == CHOICE_WORDS)
        return complain_plainly(wrong, 0, "too many words: at most 64 are allowed");
    if (is_number(word)) {
        choice->pids[choice->pid_count++] = atoi(word);
        return true;
    }
    if (is_address(word)) {
        choice->addresses[choice->address_count++] = word;
        return true;
    }
    if (strchr(word, '='))
        return condition_parse(word, 0, strlen(word), &choice->conditions[choice->condition_count++], wrong);
    return complain_plainly(wrong, 0, "expected a process id, ADDRESS:PORT or KEY=VALUE");
}

static int by_number(const void *a, const void *b) {
    const int *one = a, *other = b;
    return (*one > *other) - (*one < *other);
}

static bool is_in_family(const struct choice *choice, int pid) {
    return choice->family_count > 0 &&
           bsearch(&pid, choice->family, choice->family_count, sizeof pid, by_number) != NULL;
}

struct child {
    int pid, parent;
};

static size_t read_parents(struct child **all) {
    struct folder processes = {0};
    size_t count = 0, room = 0;
    int pid;
    *all = NULL;
    if (!folder_open(&processes, AT_FDCWD, "/proc"))
        return 0;
    while (folder_next(&processes, &pid))
        *GROW(*all, count, room) = (struct child){pid, process_parent(pid)};
    folder_close(&processes);
    free(processes.buffer);
    return count;
}

/* A generation a round: parents may have larger ids than their children. */
void choice_find_family(struct choice *choice) {
    struct child *all;
    choice->family_count = 0;
    if (choice->pid_count == 0)
        return;
    size_t count = read_parents(&all), before = 0;
    for (unsigned i = 0; i < choice->pid_count; i++)
        *GROW(choice->family, choice->family_count, choice->family_room) = choice->pids[i];
    while (before != choice->family_count) {
        before = choice->family_count;
        qsort(choice->family, before, sizeof *choice->family, by_number);
        for (size_t i = 0; i < count; i++) {
            bool found = bsearch(&all[i].parent, choice->family, before, sizeof(int), by_number) &&
                         !bsearch(&all[i].pid, choice->family, before, sizeof(int), by_number);
            if (found)
                *GROW(choice->family, choice->family_count, choice->family_room) = all[i].pid;
        }
    }
    free(all);
}

bool choice_has_processes(const struct choice *choice, int *pid) {
    for (unsigned i = 0; i < choice->pid_count; i++) {
        *pid = choice->pids[i];
        if (kill(*pid, 0) != 0 && errno == ESRCH)
            return false;
    }
    return true;
}

static bool address_fits(const struct choice *choice, const struct sighting *sighting) {
    char local[ADDRESS_TEXT_SIZE], remote[ADDRESS_TEXT_SIZE];
    if (choice->address_count == 0)
        return true;
    address_to_text(&sighting->local, local);
    address_to_text(&sighting->remote, remote);
    for (unsigned i = 0; i < choice->address_count; i++)
        if (strcmp(choice->addresses[i], local) == 0 || strcmp(choice->addresses[i], remote) == 0)
            return true;
    return false;
}

static bool process_fits(const struct choice *choice, const struct world *world, const struct sighting *sighting) {
    if (choice->pid_count == 0)
        return true;
    for (int32_t at = sighting->holding; at != NOBODY; at = world->holdings[at].next)
        if (is_in_family(choice, world->processes[world->holdings[at].process].pid))
            return true;
    /* What waits in a listener's queue is its holders'. */
    return sighting_in_queue(sighting) && sighting->listener != NOBODY &&
           process_fits(choice, world, &world->list[sighting->listener]);
}

static bool conditions_fit(const struct choice *choice, const struct event *event) {
    for (unsigned i = 0; i < choice->condition_count; i++)
        if (!condition_holds(&choice->conditions[i], event))
            return false;
    return true;
}

/* comm and fd may be any holder's. */
static bool event_fits(const struct choice *choice, struct event *event) {
    bool fits = conditions_fit(choice, event);
    for (unsigned i = 1; i < event->holders_named && !fits; i++) {
        event->fd = event->holders[i].fd;
        memcpy(event->comm, event->holders[i].comm, COMM_SIZE);
        fits = conditions_fit(choice, event);
    }
    return fits;
}

bool choice_takes(const struct choice *choice, const struct world *world, const struct sighting *sighting) {
    struct event event;
    if (sighting->twice || !address_fits(choice, sighting) || !process_fits(choice, world, sighting))
        return false;
    if (choice->condition_count == 0)
        return true;
    sighting_event(world, sighting, OP_NOW, &event);
    return event_fits(choice, &event);
}

void choice_forget(struct choice *choice) {
    free(choice->family);
    choice->family = NULL;
    choice->family_count = choice->family_room = 0;
}
