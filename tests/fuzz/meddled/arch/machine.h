/* preload/arch/machine.h for meddled code: two words are exchanged by plain C, which the sanitizers see. */
#ifndef MEDDLED_MACHINE_H
#define MEDDLED_MACHINE_H

#include "../meddle.h"

#define raw6             raw6_of_the_machine
#define machine_exchange machine_exchange_of_the_machine
#include "../../../../preload/arch/machine.h"
#undef raw6
#undef machine_exchange

static inline long raw6(long number, long a, long b, long c, long d, long e, long f) {
    (void)d, (void)e, (void)f;
    return meddled_call(number, a, b, c);
}

static inline bool machine_exchange(void *pair, struct machine_pair *expected, struct machine_pair new) {
    struct machine_pair *at = pair;
    MEDDLE(&at->first);
    MEDDLE(&at->second);
    const struct machine_pair there = *at;
    const bool done = there.first == expected->first && there.second == expected->second;
    if (done)
        *at = new;
    *expected = there;
    return done;
}

#endif
