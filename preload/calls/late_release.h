/*
 * References that are no descriptors and end without a call: a thread that was inside a call on a socket whose
 * last descriptor was closed meanwhile. When the call returns, the stream ends; the thread then says so. Processes
 * that were forked share what is expected of whom: the last descriptor may have been another's, and the number on
 * which the thread called may have been closed long before.
 */
#ifndef CLOSETRACE_LATE_RELEASE_H
#define CLOSETRACE_LATE_RELEASE_H

#include "output/call.h"
#include "refs/pending_releases.h"

/*
 * After a call that may block: cheap where nobody owes anything. result: below 0 the call failed, with errno; dead:
 * it says that the connection is dead. errno is kept.
 */
void release_happened(const char *call, const void *caller, long result, bool dead);
static inline void release_check(const char *call, const void *caller, long result, bool dead) {
    if (__builtin_expect(atomic_load_explicit(release_expected, memory_order_relaxed) != 0, 0))
        release_happened(call, caller, result, dead);
}

/*
 * That thread is expected to tell of the connection's end since a moment ago: if its call has come back before, it does
 * not, and this one does.
 */
void release_catch_up(const struct identity *identity, const struct holder *holder, const struct call *call);

/* The process ends, or becomes another program, by that call of this thread's: the calls of its others end with it. */
void release_threads(const struct call *call, bool exec);
/* It has not become another program. */
void release_threads_stay(const struct call *call, int error);

/* What this process claimed of the socket, foreseeing an end, has not come. */
void release_take_back(uint64_t cookie);

#endif
