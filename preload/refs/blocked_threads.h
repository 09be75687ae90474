/*
 * Threads that hold a connection by being inside a call on it, when no descriptor is left: read from
 * /proc/PID/task/TID/syscall. Async-signal-safe.
 */
#ifndef CLOSETRACE_BLOCKED_THREADS_H
#define CLOSETRACE_BLOCKED_THREADS_H

#include "kernel/scratch.h"

/*
 * Threads inside a system call on a number that was the connection's until it was closed (release.h); where there is
 * none, of this process and its relatives (parent, child, siblings) on any number that is no longer open there, and
 * of which nothing is known; but none that is known to be inside a call on another connection than that of the cookie.
 * Fills in pid, tid, comm and call of at most max; how many.
 */
unsigned blocked_threads_of(uint64_t cookie, struct scratch *scratch, struct holder *list, unsigned max);

/* Only those on a number that was the connection's and is not in use again; ends: none of this process's threads. */
unsigned blocked_threads_known(uint64_t cookie, bool ends, struct scratch *scratch, struct holder *list, unsigned max);

/* Only those that have told so themselves: what /proc would have to be read for costs next to nothing then. */
unsigned blocked_threads_told(uint64_t cookie, bool ends, struct holder *list, unsigned max);

/* It is in no call any more, as far as can be seen. */
bool blocked_thread_has_returned(int pid, int tid, struct scratch *scratch);

#endif
