#define _GNU_SOURCE
#include "leaving.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/thread_call.h"

static bool closes_on_exec(const struct patient *patient, int fd) {
    char path[PROC_PATH], text[1024];
    proc_descriptor_path(path, sizeof path, patient->pid, "/fdinfo/", fd);
    const char *flags = proc_read(path, text, sizeof text) > 0 ? text_behind(text, "flags:") : NULL;
    return flags && (strtoul(flags, NULL, 8) & O_CLOEXEC);
}

static struct held *find(struct leaving *leaving, uint64_t inode) {
    for (size_t i = 0; i < leaving->count; i++)
        if (leaving->list[i].inode == inode)
            return &leaving->list[i];
    return NULL;
}

static struct leaving *with_room(struct leaving *leaving) {
    const size_t count = leaving ? leaving->count : 0;
    if (count && (count & (count - 1)))
        return leaving;
    struct leaving *larger = realloc(leaving, sizeof *leaving + (count ? 2 * count : 1) * sizeof *leaving->list);
    if (larger && !leaving)
        memset(larger, 0, sizeof *larger);
    return larger;
}

/* Several descriptors of one socket go together. */
static struct leaving *add(struct leaving *leaving, const struct patient *patient, int tid, int fd) {
    const uint64_t inode = patient_socket(patient, fd);
    struct held held, *known = leaving && inode ? find(leaving, inode) : NULL;
    if (known) {
        known->count++;
        return leaving;
    }
    if (!inode || !held_look(patient, tid, fd, inode, &held))
        return leaving;
    struct leaving *larger = with_room(leaving);
    if (!larger)
        return leaving;
    larger->list[larger->count++] = held;
    return larger;
}

struct leaving *leaving_of_range(const struct patient *patient, int tid, unsigned first, unsigned last, bool on_exec) {
    char path[PROC_PATH], buffer[4096];
    struct listing listing;
    struct leaving *leaving = NULL;
    if (first == last)
        return add(NULL, patient, tid, (int)first);
    proc_path(path, sizeof path, patient->pid, 0, "/fd");
    if (listing_open(&listing, path, buffer) < 0)
        return NULL;
    for (int fd; (fd = listing_next(&listing)) >= 0;)
        if ((unsigned)fd >= first && (unsigned)fd <= last && (!on_exec || closes_on_exec(patient, fd)))
            leaving = add(leaving, patient, tid, fd);
    listing_close(&listing);
    return leaving;
}

static bool is_there(const struct leaving *leaving, const struct held *held) {
    const struct patient patient = {.pid = leaving->who.pid};
    return patient_socket(&patient, held->fd) == held->inode;
}

static bool has_died(int pid) {
    char path[PROC_PATH], text[512];
    proc_path(path, sizeof path, pid, 0, "/stat");
    const char *name_end = proc_read(path, text, sizeof text) > 0 ? strrchr(text, ')') : NULL;
    return !name_end || name_end[2] == 'Z' || name_end[2] == 'X';
}

/* The thread is seen inside another call, or has gone. */
static bool has_returned(const struct leaving *leaving) {
    struct thread_call call;
    if (leaving->returned)
        return true;
    if (leaving->who.op == OP_EXIT)
        return has_died(leaving->who.pid);
    OWN_SCRATCH *scratch = scratch_take();
    if (!scratch)
        return false;
    const enum thread_seen seen = thread_call_of(leaving->who.pid, leaving->who.tid, scratch, &call);
    return seen == THREAD_UNSEEN || (seen == THREAD_IN_CALL && call.number != (uint64_t)leaving->number);
}

/*
 * The kernel takes a descriptor away first, and lets go of its file just before the call returns. What refers to the
 * socket when it has returned is something else; whether a thread that runs has, cannot be seen, but it takes moments.
 */
enum left leaving_look(struct leaving *leaving, uint64_t now_us) {
    static const uint64_t moment_us = 5000, prompt_us = 20000, long_us = 2000000;
    const uint64_t since_us = now_us > leaving->since_us ? now_us - leaving->since_us : 0;
    leaving->who.prompt = leaving->who.op == OP_RELEASE || since_us < prompt_us;
    if (leaving->who.op == OP_RELEASE)
        return LEFT;
    for (size_t i = leaving->judged; i < leaving->count; i++)
        if (is_there(leaving, &leaving->list[i]))
            return leaving->returned || since_us > long_us ? STAYS : NOT_LEFT;
    if (!leaving->gone_us)
        leaving->gone_us = now_us;
    leaving->who.returned = has_returned(leaving);
    leaving->who.patient =
        !leaving->who.returned && (leaving->who.op == OP_EXIT || now_us - leaving->gone_us < moment_us);
    return LEFT;
}

struct leaving *leaving_release(const struct leaving *leaving, const struct held *held) {
    struct leaving *release = calloc(1, sizeof *release + sizeof *release->list);
    if (!release)
        return NULL;
    release->who =
        (struct leaver){.pid = held->blocked.pid, .tid = held->blocked.tid, .op = OP_RELEASE, .patient = true};
    release->event = leaving->event;
    release->event.op = OP_RELEASE;
    release->event.tid = held->blocked.tid;
    release->event.call = held->blocked.call;
    release->event.caller_module[0] = '\0';
    release->event.has = 0;
    release->since_us = leaving->since_us;
    release->count = 1;
    release->list[0] = *held;
    release->list[0].count = 0;
    release->list[0].blocked.tid = 0;
    return release;
}
