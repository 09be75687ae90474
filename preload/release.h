/*
 * References that are no descriptors and end without a call: a thread that was inside a call on a socket whose
 * last descriptor was closed meanwhile. When the call returns, the stream ends; the thread then says so.
 */
#ifndef CLOSETRACE_RELEASE_H
#define CLOSETRACE_RELEASE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "socket.h"

extern atomic_int release_expected; /* how many threads of this process owe a release */

/* The holder's thread, if it is one of this process, will let go of the connection when its call returns. */
void release_expect(const struct identity *identity, int fd, const struct holder *holder);

/* After a call that may block: cheap where nobody owes anything. errno is kept. */
void release_happened(const char *call, const void *caller, long result);
static inline void release_check(const char *call, const void *caller, long result) {
    if (__builtin_expect(atomic_load_explicit(&release_expected, memory_order_relaxed) != 0, 0))
        release_happened(call, caller, result);
}

/* In a forked child: the threads that owed something are the parent's. */
void release_forked(void);

#endif
