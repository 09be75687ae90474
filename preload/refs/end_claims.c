#include "end_claims.h"

#include <stdatomic.h>

#include "arch/machine.h"
#include "pure/session_size.h"

/* For tests: few. */
#ifndef CLOSETRACE_CLAIM_PLACES
#define CLOSETRACE_CLAIM_PLACES SESSION_SIZE(8192, 8)
#endif
enum { PLACES = CLOSETRACE_CLAIM_PLACES };

/*
 * The place of a claim is its socket's and kind's; a newer one drives out an older. The claim and whose it is are read
 * and written as one.
 */
struct place {
    _Atomic uint64_t key;    /* cookie * CLAIMS + claim + 1; 0: none */
    _Atomic uint64_t whose;  /* process id << 32 | descriptor << 1 | by a shutdown */
    _Atomic uint64_t losers; /* 48 bits of the key, 16 of the count */
    uint64_t unused;
} __attribute__((aligned(16)));

enum { COUNT_BITS = 16 };

/* Nobody who keeps to the rules makes anybody try so often; who does not keeps nobody at it for ever. */
enum { TRIES = 1000 };

static struct place *places;

size_t claims_size(void) {
    return PLACES * sizeof *places;
}

void claims_start(void *memory) {
    places = memory;
}

static uint64_t key_of(uint64_t cookie, enum claim claim) {
    return cookie * CLAIMS + (uint64_t)claim + 1;
}

/* Cookies are given out in sequence, a batch of 4096 a processor: batches do not fall on each other. */
static struct place *place_of(uint64_t cookie, enum claim claim) {
    return &places[((cookie + (cookie >> 12) * 2654435761U) * CLAIMS + (uint64_t)claim) % PLACES];
}

void claims_expect(uint64_t cookie) {
    if (places)
        __builtin_prefetch(place_of(cookie, CLAIM_END), 1);
}

static uint64_t claimant_word(const struct claimant *claimant) {
    return (uint64_t)(uint32_t)claimant->pid << 32 | (uint64_t)(uint32_t)claimant->fd << 1 | claimant->shut;
}

/* The one place where a claimant leaves the memory: anybody may have written it. pid 0: it is nobody. */
static void describe(uint64_t word, struct claimant *claimant) {
    claimant->pid = (int)(word >> 32 & INT32_MAX);
    claimant->fd = (int)((uint32_t)word >> 1);
    claimant->shut = word & 1;
}

static unsigned count_loser(struct place *place, uint64_t key) {
    uint64_t old = atomic_load(&place->losers), next;
    int tries = 0;
    do {
        bool ours = old >> COUNT_BITS == (key << COUNT_BITS) >> COUNT_BITS;
        next = ours ? old + 1 : (key << COUNT_BITS) + 1;
    } while (!atomic_compare_exchange_weak(&place->losers, &old, next) && tries++ < TRIES);
    return (unsigned)(next & ((1U << COUNT_BITS) - 1));
}

static struct machine_pair read_place(struct place *place) {
    struct machine_pair there = {0};
    machine_exchange(place, &there, there);
    return there;
}

bool claims_take(uint64_t cookie, enum claim claim, struct claimant *claimant) {
    if (!places)
        return true;
    struct place *place = place_of(cookie, claim);
    struct machine_pair there = read_place(place), ours = {key_of(cookie, claim), claimant_word(claimant)};
    for (int tries = 0; there.first != ours.first; tries++)
        if (machine_exchange(place, &there, ours) || tries == TRIES)
            return true;
    describe(there.second, claimant);
    claimant->losers = count_loser(place, ours.first);
    return false;
}

bool claims_taken(uint64_t cookie, enum claim claim, struct claimant *whose) {
    if (!places || atomic_load(&place_of(cookie, claim)->key) != key_of(cookie, claim))
        return false;
    struct machine_pair there = read_place(place_of(cookie, claim));
    describe(there.second, whose);
    whose->losers = 0;
    return there.first == key_of(cookie, claim);
}

void claims_forget(uint64_t cookie, enum claim claim, const struct claimant *whose) {
    struct machine_pair there = {key_of(cookie, claim), claimant_word(whose)};
    if (places)
        machine_exchange(place_of(cookie, claim), &there, (struct machine_pair){0});
}

void claims_begin(uint64_t cookie) {
    for (int claim = 0; claim < CLAIMS; claim++) {
        struct claimant whose;
        if (claims_taken(cookie, (enum claim)claim, &whose))
            claims_forget(cookie, (enum claim)claim, &whose);
    }
}

enum end_is claims_take_end(uint64_t cookie, bool fin, struct claimant *claimant) {
    struct claimant of_fin = *claimant;
    if (!claims_take(cookie, CLAIM_END, claimant))
        return END_IS_ANOTHERS;
    return fin && !claims_take(cookie, CLAIM_FIN, &of_fin) && of_fin.shut ? END_WAS_SHUT : END_IS_OURS;
}

void claims_forget_end(uint64_t cookie, const struct claimant *whose) {
    claims_forget(cookie, CLAIM_END, whose);
    claims_forget(cookie, CLAIM_FIN, whose);
}
