/* Who claims the end: takers at one moment, a claim that was wrong and is forgotten, another socket's in the same
 * place. */
#define CLOSETRACE_CLAIM_PLACES 8
#include "model.h"

#include <stdlib.h>

#include "refs/end_claims.c" // NOLINT(bugprone-suspicious-include): the code itself

enum { COOKIE = 1, WRONG = 9 };

static struct shared {
    struct place places[PLACES];
    unsigned won;   /* takers of the end who have it */
    unsigned fins;  /* who tell of a FIN */
    int winner;     /* the last who had it */
    unsigned stale; /* who found a claim that was wrong, and forgot it */
} shared;

static void begin(void) {
    claims_start(shared.places);
}

/* One has foreseen the end, and was wrong. */
static void begin_stale(void) {
    struct claimant wrong = {.pid = WRONG, .fd = WRONG};
    claims_start(shared.places);
    claims_take_end(COOKIE, true, &wrong);
}

static void take(void) {
    int self = (int)model_self() + 1;
    struct claimant claimant = {.pid = self, .fd = self};
    switch (claims_take_end(COOKIE, true, &claimant)) {
    case END_IS_OURS:
        shared.won++;
        shared.fins++;
        shared.winner = self;
        break;
    case END_WAS_SHUT:
        shared.won++;
        break;
    case END_WAS_DISCONNECTED: /* of another kind of end */
        model_fail("no disconnect", __FILE__, __LINE__);
        break;
    case END_IS_ANOTHERS:
        MODEL_CHECK(claimant.pid == claimant.fd && claimant.pid != self && claimant.losers > 0);
        break;
    }
}

/* A shutdown sends the FIN, unless somebody has said that his end did. */
static void shut(void) {
    struct claimant claimant = {.pid = (int)model_self() + 1, .fd = 1, .shut = true};
    shared.fins += claims_take(COOKIE, CLAIM_FIN, &claimant);
}

/* Finds that what WRONG has claimed did not come, and ends the connection itself. */
static void forget_and_take(void) {
    struct claimant whose;
    if (claims_taken(COOKIE, CLAIM_END, &whose) && whose.pid == WRONG) {
        claims_forget_end(COOKIE, &whose);
        shared.stale++;
    }
    take();
}

static void one_has_it(void) {
    MODEL_CHECK(shared.won == 1);
    MODEL_CHECK(shared.fins == 1);
}

int main(void) {
    model_run(&(struct model){.name = "claims: three who let go at one moment",
                              .shared = &shared,
                              .size = sizeof shared,
                              .begin = begin,
                              .actors = {take, take, take},
                              .end = one_has_it,
                              .breaks = 4});
    model_run(&(struct model){.name = "claims: two who let go, every order",
                              .shared = &shared,
                              .size = sizeof shared,
                              .begin = begin,
                              .actors = {take, take},
                              .end = one_has_it});
    model_run(&(struct model){.name = "claims: a shutdown, and two who let go",
                              .shared = &shared,
                              .size = sizeof shared,
                              .begin = begin,
                              .actors = {shut, take, take},
                              .end = one_has_it,
                              .breaks = 4});
    model_run(&(struct model){.name = "claims: two who find a claim that was wrong",
                              .shared = &shared,
                              .size = sizeof shared,
                              .begin = begin_stale,
                              .actors = {forget_and_take, forget_and_take},
                              .end = one_has_it});
    return 0;
}
