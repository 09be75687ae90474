#define _GNU_SOURCE
#include "leaving.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
static struct leaving *add(struct leaving *leaving, const struct patient *patient, int fd) {
    const uint64_t inode = patient_socket(patient, fd);
    struct held held, *known = leaving && inode ? find(leaving, inode) : NULL;
    if (known) {
        known->count++;
        return leaving;
    }
    if (!inode || !held_look(patient, fd, inode, &held))
        return leaving;
    struct leaving *larger = with_room(leaving);
    if (!larger)
        return leaving;
    larger->list[larger->count++] = held;
    return larger;
}

struct leaving *leaving_of_range(const struct patient *patient, unsigned first, unsigned last, bool on_exec) {
    char path[PROC_PATH], buffer[4096];
    struct listing listing;
    struct leaving *leaving = NULL;
    if (first == last)
        return add(NULL, patient, (int)first);
    proc_path(path, sizeof path, patient->pid, 0, "/fd");
    if (listing_open(&listing, path, buffer) < 0)
        return NULL;
    for (int fd; (fd = listing_next(&listing)) >= 0;)
        if ((unsigned)fd >= first && (unsigned)fd <= last && (!on_exec || closes_on_exec(patient, fd)))
            leaving = add(leaving, patient, fd);
    listing_close(&listing);
    return leaving;
}

static bool is_there(const struct leaving *leaving, const struct held *held) {
    const struct patient patient = {.pid = leaving->who.pid};
    return patient_socket(&patient, held->fd) == held->inode;
}

/* What a process gives up by one call goes within moments; the kernel lets go of the files when the call returns. */
enum left leaving_look(struct leaving *leaving, uint64_t now_us) {
    static const uint64_t moment_us = 100000, long_us = 2000000;
    const bool is_late = now_us - leaving->since_us > moment_us, is_too_late = now_us - leaving->since_us > long_us;
    leaving->who.patient = !is_late;
    for (size_t i = 0; i < leaving->count; i++)
        if (is_there(leaving, &leaving->list[i]))
            return leaving->returned || is_too_late ? STAYS : NOT_LEFT;
    return LEFT;
}
