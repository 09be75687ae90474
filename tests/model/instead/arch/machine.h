/* preload/arch/machine.h for the models: the exchange of two words is a step. */
#ifndef MODEL_MACHINE_H
#define MODEL_MACHINE_H

#include "model.h"

#define machine_exchange machine_exchange_at_once
#include "../../../../preload/arch/machine.h"
#undef machine_exchange

static inline bool machine_exchange(void *pair, struct machine_pair *expected, struct machine_pair new) {
    MODEL_STEP("exchange a pair");
    const bool done = machine_exchange_at_once(pair, expected, new);
    model_saw(done ? 1 : expected->first * 3 + expected->second * 5);
    return done;
}

#endif
