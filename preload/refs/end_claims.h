/*
 * Who ended a stream. Of several processes (or threads) that give up a connection at the same moment, each finds it
 * gone afterwards, and each could say that its call sent the FIN. One of them says it, the first that asks here; that
 * is true of an order in which the calls may have happened, since the segment left while each of them was going on.
 * Shared by the session's processes, lock-free, async-signal-safe. A small table: claims count only for the moment.
 */
#ifndef CLOSETRACE_END_CLAIMS_H
#define CLOSETRACE_END_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum claim {
    CLAIM_SHUTDOWN,   /* the FIN of a shutdown */
    CLAIM_DISCONNECT, /* the RST of a connect with AF_UNSPEC */
    CLAIM_END,        /* what left, or was reset, with the last reference */
    CLAIMS,
};

struct claim_winner {
    int pid, fd;     /* 0: not known */
    unsigned losers; /* how many have been told so, the caller included */
};

size_t claims_size(void);
/* Before main. memory: so many bytes, shared and zeroed; NULL: everybody is the first. */
void claims_start(void *memory);

/* Before any of these: its places are fetched while the kernel is asked something. */
void claims_expect(uint64_t cookie);

/* True: it is the caller's, by its descriptor fd. False: it was somebody's already. */
bool claims_take(uint64_t cookie, enum claim claim, int fd, struct claim_winner *winner);

/* Whether somebody has it, and who. */
bool claims_taken(uint64_t cookie, enum claim claim, struct claim_winner *winner);

/* What was claimed did not come: it was foreseen, and something refers to the socket still. */
void claims_forget(uint64_t cookie, enum claim claim);

/* The socket has begun a new connection. */
void claims_begin(uint64_t cookie);

#endif
