/*
 * Who ended a stream. Of several processes (or threads) that give up a connection at the same moment, each finds it
 * gone afterwards, and each could say that its call sent the FIN. One of them says it, the first that asks here; that
 * is true of an order in which the calls may have happened, since the segment left while each of them was going on.
 * Shared by the session's processes, lock-free, async-signal-safe. A small table: claims count only for the moment.
 *
 * What must hold (tests/model/model_claims.c tries it all): of those that take a claim one has it, until it is
 * forgotten or the socket begins anew; who it is, is written with it; a claim is only forgotten as long as it is his of
 * whom it was found to be wrong.
 */
#ifndef CLOSETRACE_END_CLAIMS_H
#define CLOSETRACE_END_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pure/verdict.h"

enum claim {
    CLAIM_FIN,        /* the FIN: of a shutdown, or with the last reference */
    CLAIM_DISCONNECT, /* the RST of a connect with AF_UNSPEC */
    CLAIM_END,        /* what left, or was reset, with the last reference */
    CLAIM_RELEASE,    /* the event of a call whose return was the end */
    CLAIMS,
};

struct claimant {
    int pid, fd;
    bool shut;       /* by a shutdown */
    unsigned losers; /* how many have been told that it is his, the caller included */
};

size_t claims_size(void);
/* Before main. memory: so many bytes, shared and zeroed; NULL: everybody is the first. */
void claims_start(void *memory);

/* Before any of these: its places are fetched while the kernel is asked something. */
void claims_expect(uint64_t cookie);

/* True: it is his who is described by *claimant now. False: it was somebody's already, who *claimant describes then. */
bool claims_take(uint64_t cookie, enum claim claim, struct claimant *claimant);

/* Whether somebody has it, and who. */
bool claims_taken(uint64_t cookie, enum claim claim, struct claimant *whose);

/* What he claimed did not come: it was foreseen, and something refers to the socket still. Unless it is another's now.
 */
void claims_forget(uint64_t cookie, enum claim claim, const struct claimant *whose);

/*
 * The last reference is gone, with a FIN or otherwise: whose doing that was. Not the claimant's: another's, who is in
 * *claimant then; or, of a FIN, that of a shutdown.
 */
enum end_is claims_take_end(uint64_t cookie, bool fin, struct claimant *claimant);

/* The end that he claimed did not come. */
void claims_forget_end(uint64_t cookie, const struct claimant *whose);

/* The socket has begun a new connection. */
void claims_begin(uint64_t cookie);

#endif
