/*
 * Releases that are still to come: a thread was inside a call on a socket when the last descriptor was closed, and will
 * tell of the end when its call returns (calls/late_release.h). And the numbers that were closed lately, on which such
 * a thread may have called. The session's processes share both: the last descriptor may have been another's, and the
 * number may have been closed long before. Lock-free, async-signal-safe.
 */
#ifndef CLOSETRACE_PENDING_RELEASES_H
#define CLOSETRACE_PENDING_RELEASES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "kernel/tcp_socket.h"

/* How many threads owe a release; never NULL. */
extern _Atomic int *release_expected;

/* Before main. memory: so many bytes, shared and zeroed at first; NULL: nothing is expected of anybody. */
size_t release_size(void);
void release_start(void *memory);

/* This process's fd was closed, which was the connection's: a thread may be inside a call on that number still. */
void release_closed(uint64_t cookie, int fd);

/* Where a connection was closed lately, in whichever process of ours: the next such number, the last closed first. */
struct release_place {
    uint64_t turn;      /* where to look next */
    unsigned looked_at; /* 0 at first */
    int pid, fd;
};
bool release_next_place(uint64_t cookie, struct release_place *place);

/* Whose number fd was when it was last closed in that process; 0: not known. */
uint64_t release_closed_at(int pid, int fd);

/* What a thread owes: when its call returns, it lets go of a connection, which stood so when its fd was closed. */
struct pending_release {
    int fd;
    bool shared;    /* by several threads */
    uint64_t inode; /* its own, or 0 */
    struct before before;
    struct identity identity;
};
void release_expect(const struct pending_release *what, const struct holder *holder);

/* Whether any thread owes that of the connection. */
bool release_is_owed(uint64_t cookie);

/* Whether that thread is known to be inside a call on another connection than that. */
bool release_is_other(int tid, uint64_t cookie);

/* The next that this thread owes, which it owes no more then; at: 0 at first. False: no more. */
bool release_settle(int tid, unsigned *at, struct pending_release *pending);

/* The next that a thread of that process owes, but for one of them; settle: it owes it no more. */
bool release_next_of(int pid, int but, unsigned *at, struct pending_release *pending, bool settle);

#endif
