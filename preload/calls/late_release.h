/*
 * References that are no descriptors and end without a call: a thread that was inside a call on a socket whose
 * last descriptor was closed meanwhile. When the call returns, the stream ends; the thread then says so. Processes
 * that were forked share what is expected of whom: the last descriptor may have been another's, and the number on
 * which the thread called may have been closed long before.
 */
#ifndef CLOSETRACE_LATE_RELEASE_H
#define CLOSETRACE_LATE_RELEASE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "kernel/tcp_socket.h"

/* How many threads owe a release; never NULL. */
extern _Atomic int *release_expected;

/* Before main. */
void release_start(void);

/* This process's fd was closed, which was the connection's: a thread may be inside a call on that number still. */
void release_closed(uint64_t cookie, int fd);

/* Where a connection was closed lately, in whichever process of ours: the next such number, the last closed first. */
struct release_place {
    uint64_t turn; /* 0 at first */
    int pid, fd;
};
bool release_next_place(uint64_t cookie, struct release_place *place);

/* Whose number fd was when it was last closed in that process; 0: not known. */
uint64_t release_closed_at(int pid, int fd);

/* The holder's thread will let go of the connection, which stood so, when its call returns. inode: its own, or 0. */
void release_expect(const struct identity *identity, uint64_t inode, int fd, const struct before *before,
                    const struct holder *holder);

/* Whether that thread is known to be inside a call on another connection than that. */
bool release_is_other(int tid, uint64_t cookie);

/*
 * After a call that may block: cheap where nobody owes anything. result: below 0 the call failed, with errno; reset:
 * it says that the connection is dead. errno is kept.
 */
void release_happened(const char *call, const void *caller, long result, bool reset);
static inline void release_check(const char *call, const void *caller, long result, bool reset) {
    if (__builtin_expect(atomic_load_explicit(release_expected, memory_order_relaxed) != 0, 0))
        release_happened(call, caller, result, reset);
}

#endif
