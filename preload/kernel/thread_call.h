/*
 * In which system call a thread is, and which descriptors' files that keeps: read from /proc/PID/task/TID/syscall.
 * Async-signal-safe.
 */
#ifndef CLOSETRACE_THREAD_CALL_H
#define CLOSETRACE_THREAD_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "scratch.h"

struct thread_call {
    uint64_t number, arguments[4];
};

enum thread_seen {
    THREAD_UNSEEN, /* it is gone, or may not be looked at */
    THREAD_RUNS,   /* it is at work, perhaps inside a call */
    THREAD_IN_CALL,
};

enum thread_seen thread_call_of(int pid, int tid, struct scratch *scratch, struct thread_call *call);

/* The name of the call, if it keeps the file of a descriptor that is wanted; NULL: it keeps none of them. */
const char *thread_call_keeps(const struct thread_call *call, int pid, bool (*wanted)(uint64_t number, void *context),
                              void *context);

#endif
