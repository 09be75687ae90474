#define _GNU_SOURCE
#include "flight.h"

#include <stdatomic.h>
#include <stddef.h>

#include "memory.h"

struct flying {
    _Atomic uint64_t cookie;
    _Atomic uint32_t copies;
};

enum { FLYING_MAX = 256 };

static struct flying *table;

void flight_start(void) {
    table = memory_map(FLYING_MAX * sizeof *table, true);
}

/*
 * The socket's row; made: an empty one is taken where there is none. Rows stay; a row whose copies are 0 is taken
 * over by another socket when no empty one is left.
 */
static struct flying *row_of(uint64_t cookie, int made) {
    struct flying *spare = NULL;
    if (!table || !cookie)
        return NULL;
    for (int i = 0; i < FLYING_MAX; i++) {
        struct flying *row = &table[(cookie + (unsigned)i) % FLYING_MAX];
        uint64_t there = atomic_load(&row->cookie);
        if (there == cookie)
            return row;
        if (there == 0) {
            spare = row;
            break;
        }
        if (!spare && atomic_load(&row->copies) == 0)
            spare = row;
    }
    if (!made || !spare)
        return NULL;
    uint64_t there = atomic_load(&spare->cookie);
    if (there && atomic_load(&spare->copies))
        return NULL;
    return atomic_compare_exchange_strong(&spare->cookie, &there, cookie) ? spare : NULL;
}

void flight_sent(uint64_t cookie) {
    struct flying *row = row_of(cookie, 1);
    if (row)
        atomic_fetch_add(&row->copies, 1);
}

void flight_received(uint64_t cookie) {
    struct flying *row = row_of(cookie, 0);
    uint32_t copies = row ? atomic_load(&row->copies) : 0;
    while (copies && !atomic_compare_exchange_weak(&row->copies, &copies, copies - 1))
        ;
}

unsigned flight_count(uint64_t cookie) {
    struct flying *row = row_of(cookie, 0);
    return row ? atomic_load(&row->copies) : 0;
}

unsigned flight_total(void) {
    unsigned total = 0;
    for (int i = 0; table && i < FLYING_MAX; i++)
        total += atomic_load(&table[i].copies);
    return total;
}

void flight_purged(uint64_t cookie) {
    struct flying *row = row_of(cookie, 0);
    if (row)
        atomic_store(&row->copies, 0);
}
