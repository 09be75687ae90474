/*
 * The time, of the kernel: libc's clock may be another library's that has been preloaded to fake it. Async-signal-safe.
 */
#ifndef CLOSETRACE_CLOCK_H
#define CLOSETRACE_CLOCK_H

#include <stdint.h>

enum { CLOCK_SECOND = 1000000000 };

/* Before main; until then each time costs a system call. */
void clock_start(void);

/* Of an event: microseconds since the Epoch; in a sandbox of a coarser clock that needs no system call. */
uint64_t clock_now(void);

/* For waits: nanoseconds of CLOCK_MONOTONIC, which nobody sets. */
uint64_t clock_running(void);
static inline uint64_t clock_running_ms(void) {
    return clock_running() / 1000000;
}

#endif
