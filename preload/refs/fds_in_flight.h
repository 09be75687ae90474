/*
 * Copies of descriptors that are on their way in unix sockets (SCM_RIGHTS): sent, not received. A small table in
 * memory that forked processes share: of which socket, in which receiver's queue, in which order. A copy may be gone
 * unseen (its queue purged, received by somebody without hooks, cut off by MSG_CTRUNC); a queue is first in, first
 * out, so that of the copies sent into it those are left that were sent last. Lock-free.
 */
#ifndef CLOSETRACE_FDS_IN_FLIGHT_H
#define CLOSETRACE_FDS_IN_FLIGHT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pure/address_book.h"

/* Stands for all that is no TCP socket: the kernel counts descriptors of any kind. */
#define FLIGHT_OTHER (~0ULL)

void flight_start(void);

/*
 * Programs that share none of this may hold ends of the same unix sockets: this one was started with such sockets, or
 * one of ours has been replaced by another program. What they send and receive is not seen here.
 */
void flight_meet_strangers(void);
bool flight_met_strangers(void);

/* receiver: inode of the unix socket in whose queue it waits; 0: not known. */
void flight_sent(uint64_t cookie, uint64_t receiver);
/* Who its ends are: there may be no descriptor to ask by when the copy goes. */
void flight_note_ends(uint64_t cookie, const struct ends *ends);
bool flight_ends(uint64_t cookie, struct ends *ends);
void flight_received(uint64_t cookie, uint64_t receiver);

/* Whether there may be any at all: something was sent once. Never NULL. */
extern _Atomic uint64_t *flight_turns;
static inline bool flight_any(void) {
    return atomic_load_explicit(flight_turns, memory_order_relaxed) > 0;
}

/* The next queue above `after` (0 at first) that holds copies of the socket (of anything: cookie 0); 0: no more. */
uint64_t flight_next_queue(uint64_t cookie, uint64_t after);

/* Whether copies of connections (of TCP) wait in that queue, in any (receiver 0). */
bool flight_holds_tcp(uint64_t receiver);

/* The connections of which copies wait in that queue, each once; *at is 0 at first. False: no more. */
bool flight_next_in(uint64_t receiver, uint32_t *at, uint64_t *cookie);

/* How many of the last `there` copies that were sent into the queue are the socket's (anything's: cookie 0). */
unsigned flight_among_last(uint64_t cookie, uint64_t receiver, unsigned there);

/* Those that were sent into the queue before the last `there`. */
void flight_forget_older(uint64_t receiver, unsigned there);

/* The socket is gone. */
void flight_over(uint64_t cookie);

#endif
