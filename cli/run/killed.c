#define _GNU_SOURCE
#include "killed.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kernel/sock_diag.h"
#include "refs/ledger.h"
#include "kernel/clock.h"
#include "kernel/process.h"
#include "kernel/procfs.h"
#include "pure/names.h"
#include "kernel/scratch.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static struct session *session;
static uint64_t own_namespace; /* the one in which we can look sockets up */

void killed_begin(struct session *of) {
    socklen_t size = sizeof own_namespace;
    session = of;
    int any = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (any < 0 || getsockopt(any, SOL_SOCKET, SO_NETNS_COOKIE, &own_namespace, &size) != 0)
        own_namespace = 0;
    if (any >= 0)
        close(any);
    process_start();
    ledger_start(session->parts[SESSION_LEDGER], true);
}

/* One connection that it had, and through which of its descriptors. */
struct lost {
    uint64_t cookie;
    int fd; /* the lowest */
    unsigned references;
};

struct losses {
    struct lost *list;
    size_t count, room;
};

static void note_loss(uint64_t cookie, int fd, void *context) {
    struct losses *losses = context;
    size_t i = 0;
    if (fd < 0)
        return;
    while (i < losses->count && losses->list[i].cookie != cookie)
        i++;
    if (i == losses->count) {
        if (losses->count == losses->room) {
            losses->room = losses->room ? 2 * losses->room : 64;
            void *larger = realloc(losses->list, losses->room * sizeof *losses->list);
            if (!larger)
                return;
            losses->list = larger;
        }
        losses->list[losses->count++] = (struct lost){.cookie = cookie, .fd = fd};
    }
    losses->list[i].references++;
    if (fd < losses->list[i].fd)
        losses->list[i].fd = fd;
}

/* "SIGKILL"; "exit_group" of a process that ended by itself and without a word; "gone" where nobody could see. */
static const char *name_end(const struct death *death, char *text, size_t size) {
    if (!death->signal)
        return death->status >= 0 ? "exit_group" : "gone";
    if (death->signal < SIGRTMIN && signal_name(death->signal))
        return signal_name(death->signal);
    snprintf(text, size, "SIGRT_%d", death->signal - SIGRTMIN);
    return text;
}

/* Who else has it, or had it and has died since: that will be told of in its turn. */
static unsigned name_holders(uint64_t cookie, int dead, struct event *event) {
    struct ledger_cursor cursor = {0};
    struct ledger_reference other;
    unsigned others = 0;
    while (ledger_next(cookie, &cursor, &other)) {
        struct holder holder = {.pid = other.pid, .fd = other.fd};
        if (other.pid == dead)
            continue;
        if (other.pid > 0)
            proc_comm(holder.pid, 0, holder.comm);
        event_add_holder(event, other.pid > 0 ? &holder : NULL);
        others++;
    }
    return others;
}

static void say(struct event *event, enum event_fin fin, enum event_why why) {
    event->fin = fin;
    event->why = why;
    event->verified = true;
}

/* What the kernel says of it now. What is gone altogether may have ended by a FIN or an RST: then nothing is said. */
static void judge(const struct ends *ends, const struct lost *lost, int dead, struct scratch *scratch,
                  struct event *event) {
    struct identity identity = {
        .cookie = lost->cookie, .local = ends->local, .remote = ends->remote, .namespace = ends->namespace};
    struct diag_answer answer;
    if (!own_namespace || own_namespace != ends->namespace)
        return;
    diag_look_up(&identity, scratch, &answer);
    if (!answer.asked)
        return;
    event->state_after = answer.found ? answer.state : STATE_CLOSE;
    if (!answer.found)
        return;
    unsigned others = name_holders(lost->cookie, dead, event);
    if (answer.inode || others) {
        event->has |= HAS_REFS_BEFORE | HAS_REFS_AFTER;
        event->refs_after = others ? others : 1;
        event->refs_before = event->refs_after + lost->references;
        event->refs_partial = true;
        if (answer.state == STATE_LISTEN)
            say(event, FIN_NONE, WHY_LISTENING);
        else
            say(event, FIN_WITHHELD, WHY_REFERENCES);
        event->verified = answer.inode != 0; /* else they have died too, and who was the last nobody saw */
    } else if (ends->fin_left) {
        say(event, FIN_ALREADY, WHY_AFTER_SHUTDOWN);
    } else {
        say(event, answer.fin_unsent ? FIN_QUEUED : FIN_SENT, WHY_LAST_REFERENCE);
    }
}

static void describe(const struct death *death, const struct lost *lost, struct scratch *scratch) {
    struct event *event = &scratch->event;
    static char end[32];
    struct ends ends;
    event_init(event, OP_EXIT);
    event->time_us = clock_now();
    event->pid = event->tid = death->pid;
    memcpy(event->comm, death->name, sizeof event->comm);
    event->call = name_end(death, end, sizeof end);
    event->has |= HAS_FD | HAS_SOCKET;
    event->fd = lost->fd;
    if (death->status >= 0) {
        event->has |= HAS_STATUS;
        event->status = death->status;
    }
    event->cookie = lost->cookie;
    if (!address_book_find(&session->book, lost->cookie, &ends))
        return;
    event->local = ends.local;
    event->remote = ends.remote;
    event->role = ends.role;
    judge(&ends, lost, death->pid, scratch, event);
}

void killed_report(const struct death *death, struct drain *drain) {
    struct losses losses = {0};
    OWN_SCRATCH *scratch = scratch_take();
    ledger_of(death->pid, note_loss, &losses);
    for (size_t i = 0; scratch && i < losses.count; i++) {
        describe(death, &losses.list[i], scratch);
        drain_event(drain, &scratch->event);
    }
    ledger_bury(death->pid);
    free(losses.list);
}
