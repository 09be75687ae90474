#define _GNU_SOURCE
#include "unix_queues.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "kernel/process.h"
#include "kernel/procfs.h"
#include "kernel/seccomp_guard.h"
#include "proc_search.h"

/* The number behind "scm_fds:" in a unix socket's fdinfo (unix_show_fdinfo), or 0. */
static unsigned scm_fds(const char *fdinfo) {
    const char *at = text_behind(fdinfo, "scm_fds:");
    uint64_t number = 0;
    if (!at)
        return 0;
    while (*at == ' ' || *at == '\t')
        at++;
    return parse_number(at, &number) ? (unsigned)number : 0;
}

/* Queues with copies in them, each counted once, however many descriptors it has. Half a kilobyte: not for a stack. */
struct queues {
    uint64_t seen[64];
    unsigned count;
};

static struct queues *queues_in(struct scratch *scratch) {
    _Static_assert(sizeof(struct queues) <= sizeof scratch->line && offsetof(struct scratch, line) % 8 == 0, "room");
    struct queues *queues = (void *)scratch->line;
    queues->count = 0;
    return queues;
}

static bool is_new_queue(struct queues *queues, int pid, int fd) {
    char path[PROC_PATH], link[PROC_LINK] = "";
    proc_descriptor_path(path, sizeof path, pid, "/fd/", fd);
    uint64_t inode = proc_inode_in(link, probe(SYS_readlink, (long)path, (long)link, PROC_LINK - 1, 0, 0, 0));
    for (unsigned i = 0; inode && i < queues->count; i++)
        if (queues->seen[i] == inode)
            return false;
    if (queues->count < sizeof queues->seen / sizeof *queues->seen)
        queues->seen[queues->count++] = inode;
    return true;
}

static unsigned in_flight_of(int pid, struct queues *queues, struct scratch *scratch, bool *partial) {
    char path[PROC_PATH];
    struct listing descriptors;
    unsigned count = 0, copies;
    proc_path(path, sizeof path, pid, 0, "/fdinfo");
    long opened = listing_open(&descriptors, path, scratch->entries);
    if (opened < 0) {
        *partial = *partial || !proc_says_gone(opened);
        return 0;
    }
    for (int fd; (fd = listing_next(&descriptors)) >= 0;) {
        proc_descriptor_path(path, sizeof path, pid, "/fdinfo/", fd);
        if (proc_read(path, scratch->text, 512) > 0 && (copies = scm_fds(scratch->text)) &&
            is_new_queue(queues, pid, fd))
            count += copies;
    }
    listing_close(&descriptors);
    return count;
}

/* What /proc/PID/ns/net says: "net:[4026531840]". */
static void network_of(int pid, char link[PROC_LINK]) {
    char path[PROC_PATH];
    proc_path(path, sizeof path, pid, 0, "/ns/net");
    long length = probe(SYS_readlink, (long)path, (long)link, PROC_LINK - 1, 0, 0, 0);
    link[length > 0 ? length : 0] = '\0';
}

/* One that may not be looked at may be. */
static bool is_in_network(int pid, const char *network) {
    char theirs[PROC_LINK] = "";
    network_of(pid, theirs);
    return !theirs[0] || strcmp(theirs, network) == 0;
}

unsigned queues_all(bool among_relatives, struct scratch *scratch, bool *partial) {
    struct listing processes;
    struct queues *queues = queues_in(scratch);
    unsigned count = 0;
    *partial = false;
    if (listing_open(&processes, "/proc", scratch->processes) < 0) {
        *partial = true;
        return 0;
    }
    int self = process_id();
    char ours[PROC_LINK] = "";
    network_of(self, ours);
    for (int pid; (pid = listing_next(&processes)) >= 0;)
        if (pid == self || (among_relatives ? proc_is_relative(pid, self, scratch) : is_in_network(pid, ours)))
            count += in_flight_of(pid, queues, scratch, partial);
    listing_close(&processes);
    return count;
}

int queues_of(uint64_t inode, struct scratch *scratch, bool *unreadable, struct search_row *holders) {
    struct search search = {.rows = holders, .count = 1};
    char path[PROC_PATH];
    *holders = (struct search_row){.inode = inode};
    search_descriptors(&search, scratch);
    *unreadable = search.partial;
    if (holders->found_count == 0)
        return -1;
    proc_descriptor_path(path, sizeof path, holders->found[0].pid, "/fdinfo/", holders->found[0].fd);
    return proc_read(path, scratch->text, 512) > 0 ? (int)scm_fds(scratch->text) : -1;
}

int queue_at(int fd, struct scratch *scratch) {
    char path[PROC_PATH];
    proc_descriptor_path(path, sizeof path, process_thread_id(), "/fdinfo/", fd);
    return proc_read(path, scratch->text, 512) > 0 ? (int)scm_fds(scratch->text) : -1;
}
