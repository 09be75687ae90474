/*
 * References that are no descriptors. Searched only where a socket has none, though somebody refers to it: nearly
 * always there is no such socket, and nothing is read.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "grow.h"
#include "kernel/procfs.h"
#include "kernel/sock_diag.h"
#include "kernel/thread_call.h"
#include "passes.h"

/* A thread inside a call on a number that is closed in its process. */
struct caller {
    int pid, tid;
    const char *call;
};

struct hidden {
    struct world *world;
    struct scratch *scratch;
    struct caller *callers;
    size_t count, room;
};

static bool is_closed(uint64_t number, void *context) {
    char path[PROC_PATH], link[8];
    enum { HIGHEST = 1 << 20 };
    if (number >= HIGHEST)
        return false;
    proc_descriptor_path(path, sizeof path, *(const int *)context, "/fd/", (int)number);
    return readlink(path, link, sizeof link) < 0;
}

static void search_threads(struct hidden *hidden, int pid, int at, struct folder *threads) {
    struct thread_call call;
    char path[32];
    int tid;
    snprintf(path, sizeof path, "%d/task", pid);
    if (!folder_open(threads, at, path))
        return;
    while (folder_next(threads, &tid)) {
        if (thread_call_of(pid, tid, hidden->scratch, &call) != THREAD_IN_CALL)
            continue;
        const char *name = thread_call_keeps(&call, pid, is_closed, &pid);
        if (name)
            *GROW(hidden->callers, hidden->count, hidden->room) = (struct caller){.pid = pid, .tid = tid, .call = name};
    }
    folder_close(threads);
}

/* Of each process's unix sockets' queues: how many descriptors stand in them (scm_fds in fdinfo). */
static void count_copies(struct hidden *hidden, int pid, int at, struct folder *descriptors) {
    char path[64];
    int fd;
    snprintf(path, sizeof path, "%d/fd", pid);
    if (!folder_open(descriptors, at, path))
        return;
    for (const char *name; (name = folder_next(descriptors, &fd));) {
        char link[PROC_LINK];
        const ssize_t length = readlinkat(descriptors->fd, name, link, sizeof link - 1);
        const uint64_t inode = proc_inode_in(link, length);
        const char *copies;
        uint64_t number;
        if (!inode || sighting_of_inode(hidden->world, inode))
            continue;
        proc_descriptor_path(path, sizeof path, pid, "/fdinfo/", fd);
        if (proc_read(path, hidden->scratch->text, 512) > 0 && (copies = strstr(hidden->scratch->text, "scm_fds:")) &&
            parse_number(copies + strlen("scm_fds:") + strspn(copies + strlen("scm_fds:"), " \t"), &number))
            hidden->world->copies += (unsigned)number;
    }
    folder_close(descriptors);
}

static void search_processes(struct hidden *hidden) {
    struct folder processes = {0}, entries = {0};
    int pid;
    if (!folder_open(&processes, AT_FDCWD, "/proc"))
        return;
    while (folder_next(&processes, &pid)) {
        search_threads(hidden, pid, processes.fd, &entries);
        count_copies(hidden, pid, processes.fd, &entries);
    }
    folder_close(&processes);
    free(processes.buffer);
    free(entries.buffer);
}

/* Somebody refers to it, and nobody was seen to; one of another user's is no wonder where not all can be looked at. */
static bool is_unexplained(const struct world *world, const struct sighting *sighting) {
    return sighting->inode && !sighting->holders && !sighting->twice &&
           (world->closed_to_us == 0 || sighting->uid == geteuid());
}

/* It may have been let go of between the dump and the pass. */
static void ask_again(struct sighting *sighting, struct scratch *scratch) {
    const struct identity identity = {.cookie = sighting->cookie,
                                      .local = sighting->local,
                                      .remote = sighting->remote,
                                      .interface = sighting->interface};
    struct diag_answer answer;
    diag_look_up(&identity, scratch, &answer);
    if (answer.asked && !answer.found)
        sighting->twice = true;
    else if (answer.asked) {
        sighting->inode = answer.inode;
        sighting->state = answer.state;
    }
}

/* A server's connection belongs to somebody who has its listener too. */
static bool may_have(const struct world *world, const struct sighting *sighting, int pid) {
    if (sighting->listener == NOBODY)
        return true;
    for (int32_t at = world->list[sighting->listener].holding; at != NOBODY; at = world->holdings[at].next)
        if (world->processes[world->holdings[at].process].pid == pid)
            return true;
    return false;
}

/* The only caller that may have the socket, and the only socket that the caller may have; else NULL. */
static struct caller *only_caller(const struct hidden *hidden, const struct sighting *sighting) {
    struct caller *found = NULL;
    for (size_t i = 0; i < hidden->count; i++) {
        if (!may_have(hidden->world, sighting, hidden->callers[i].pid))
            continue;
        if (found)
            return NULL;
        found = &hidden->callers[i];
    }
    for (size_t i = 0; found && i < hidden->world->count; i++) {
        const struct sighting *other = &hidden->world->list[i];
        if (other != sighting && is_unexplained(hidden->world, other) && may_have(hidden->world, other, found->pid))
            return NULL;
    }
    return found;
}

void world_find_hidden(struct world *world) {
    enum { NAMED_MAX = 64 };
    struct hidden hidden = {.world = world, .scratch = scratch_take()};
    bool searched = false;
    size_t unexplained = 0;
    if (!hidden.scratch)
        return;
    for (size_t i = 0; i < world->count; i++)
        if (is_unexplained(world, &world->list[i])) {
            ask_again(&world->list[i], hidden.scratch);
            unexplained += is_unexplained(world, &world->list[i]);
        }
    for (size_t i = 0; i < world->count; i++) {
        if (!is_unexplained(world, &world->list[i]))
            continue;
        if (!searched)
            search_processes(&hidden);
        searched = true;
        struct caller *caller =
            hidden.count > 0 && unexplained <= NAMED_MAX ? only_caller(&hidden, &world->list[i]) : NULL;
        if (caller)
            sighting_hold(
                world, &world->list[i],
                &(struct holding){
                    .fd = -1, .tid = caller->tid, .call = caller->call, .process = onlooker_at(world, caller->pid)});
    }
    scratch_give(hidden.scratch);
    free(hidden.callers);
}
