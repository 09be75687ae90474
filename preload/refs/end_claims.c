#include "end_claims.h"

#include <stdatomic.h>

#include "kernel/process.h"

/*
 * The place of a claim is its socket's and kind's; a newer one drives out an older. The words besides the key carry
 * its lowest bits, so that what another claim has left there is not taken for this one's.
 */
struct place {
    _Atomic uint64_t key;    /* cookie * CLAIMS + claim + 1; 0: none */
    _Atomic uint64_t winner; /* 22 bits of the key, 22 of the process id, 20 of the descriptor */
    _Atomic uint64_t losers; /* 48 bits of the key, 16 of the count */
};

enum { PLACES = 8192, FD_BITS = 20, PID_BITS = 22, COUNT_BITS = 16 };

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

static struct place *place_of(uint64_t key) {
    return &places[key % PLACES];
}

void claims_expect(uint64_t cookie) {
    if (places)
        __builtin_prefetch(place_of(key_of(cookie, CLAIM_END)), 1);
}

static uint64_t winner_word(uint64_t key, int pid, int fd) {
    return key << (PID_BITS + FD_BITS) | (uint64_t)(uint32_t)pid << FD_BITS | (uint32_t)fd;
}

static void read_winner(struct place *place, uint64_t key, struct claim_winner *winner) {
    uint64_t word = atomic_load(&place->winner);
    *winner = (struct claim_winner){0};
    if (word >> (PID_BITS + FD_BITS) != (key << (PID_BITS + FD_BITS)) >> (PID_BITS + FD_BITS))
        return;
    winner->pid = (int)(word >> FD_BITS & ((1U << PID_BITS) - 1));
    winner->fd = (int)(word & ((1U << FD_BITS) - 1));
}

static unsigned count_loser(struct place *place, uint64_t key) {
    uint64_t old = atomic_load(&place->losers), next;
    do {
        bool ours = old >> COUNT_BITS == (key << COUNT_BITS) >> COUNT_BITS;
        next = ours ? old + 1 : (key << COUNT_BITS) + 1;
    } while (!atomic_compare_exchange_weak(&place->losers, &old, next));
    return (unsigned)(next & ((1U << COUNT_BITS) - 1));
}

bool claims_take(uint64_t cookie, enum claim claim, int fd, struct claim_winner *winner) {
    if (!places)
        return true;
    uint64_t key = key_of(cookie, claim);
    struct place *place = place_of(key);
    if (atomic_exchange(&place->key, key) != key) {
        atomic_store(&place->winner, winner_word(key, process_id(), fd));
        return true;
    }
    read_winner(place, key, winner);
    winner->losers = count_loser(place, key);
    return false;
}

bool claims_taken(uint64_t cookie, enum claim claim, struct claim_winner *winner) {
    uint64_t key = key_of(cookie, claim);
    if (!places || atomic_load(&place_of(key)->key) != key)
        return false;
    read_winner(place_of(key), key, winner);
    return true;
}

void claims_forget(uint64_t cookie, enum claim claim) {
    uint64_t key = key_of(cookie, claim);
    if (places)
        atomic_compare_exchange_strong(&place_of(key)->key, &key, 0);
}

void claims_begin(uint64_t cookie) {
    for (int claim = 0; claim < CLAIMS; claim++)
        claims_forget(cookie, (enum claim)claim);
}
