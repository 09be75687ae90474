/*
 * Probes: the system calls that closetrace makes of its own accord, and whether it may. A program that installs a
 * seccomp filter may be killed for a call that it never makes itself; so every filter that is seen being installed
 * is kept, and each probe is first tried on the copy (pure/seccomp_filter.h). What a filter does not plainly
 * allow is not done.
 */
#ifndef CLOSETRACE_SECCOMP_GUARD_H
#define CLOSETRACE_SECCOMP_GUARD_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

#include "raw.h"

extern bool sandbox_up;
extern uint64_t sandbox_since; /* microseconds since the Epoch, when the first one went up */

bool sandbox_allows(long number, long a, long b, long c, long d, long e, long f);

/* raw6(), or -EPERM where the sandbox does not plainly allow it. Async-signal-safe. */
static inline long probe(long number, long a, long b, long c, long d, long e, long f) {
    if (__builtin_expect(sandbox_up, 0) && !sandbox_allows(number, a, b, c, d, e, f))
        return -1; /* -EPERM */
    return raw6(number, a, b, c, d, e, f);
}

/*
 * A filter is about to be installed: from now on nothing is assumed allowed, since a handler may run before the
 * call has returned to us. The result goes to sandbox_settled() with the outcome and, if it was installed, the
 * program that the kernel accepted (NULL: SECCOMP_MODE_STRICT).
 */
unsigned sandbox_rising(uint64_t now);
void sandbox_settled(unsigned slot, bool installed, const struct sock_fprog *program);

#endif
