/* The time of an event. Async-signal-safe. */
#ifndef CLOSETRACE_CLOCK_H
#define CLOSETRACE_CLOCK_H

#include <stdint.h>

/* Microseconds since the Epoch; in a sandbox of a coarser clock that needs no system call. */
uint64_t clock_now(void);

#endif
