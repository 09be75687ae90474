/*
 * Room to work in. A hook may run in a signal handler on a stack of a few kilobytes, so nothing large is put on
 * the stack; there are a few workspaces for the whole process, taken and given back without waiting. When all are
 * taken, memory is mapped for one.
 */
#ifndef CLOSETRACE_SCRATCH_H
#define CLOSETRACE_SCRATCH_H

#include "pure/event.h"

struct scratch {
    struct event event;
    char line[4096];
    char entries[4096];   /* getdents64 of a process's descriptors */
    char processes[4096]; /* getdents64 of /proc */
    char text[2048];      /* what is read from a file of /proc, a netlink answer */
};

/* NULL where there is no memory at all. Async-signal-safe. */
struct scratch *scratch_take(void);
void scratch_give(struct scratch *scratch);

/* OWN_SCRATCH *scratch = scratch_take(): it is given back when the block is left. */
static inline void scratch_give_back(struct scratch *const *scratch) {
    if (*scratch)
        scratch_give(*scratch);
}
#define OWN_SCRATCH __attribute__((cleanup(scratch_give_back))) struct scratch

/* In a forked child: workspaces that other threads of the parent had are free. */
void scratch_forked(void);

#endif
