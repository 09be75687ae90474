/*
 * Named places at which a test holds a thread and lets others go on, so that what happens at one moment can be made to
 * happen, every time: of the test build alone (-DCLOSETRACE_STOPS). Of any other build nothing is left of them.
 *
 * The test makes a file of STOPS of these, zeroed, names it in STOPS_FILE and maps it (tests/programs/stops.h).
 */
#ifndef CLOSETRACE_STOP_H
#define CLOSETRACE_STOP_H

#include <stdint.h>

enum { STOPS = 32, STOP_NAME = 64, STOP_WHO = 16 };

enum stop_state {
    STOP_OFF,
    STOP_ARMED, /* the next that comes there is held */
    STOP_HELD,  /* a thread is; others go on */
    STOP_OPEN,  /* it goes on */
};

struct stop {
    _Atomic uint32_t state; /* a futex */
    char name[STOP_NAME];
    char who[STOP_WHO]; /* the thread's name; empty: any */
};

#ifdef CLOSETRACE_STOPS
void stop_at(const char *name);
#define STOP(name) stop_at(name)
#else
#define STOP(name) ((void)0)
#endif

#endif
