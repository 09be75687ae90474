/* System calls that no door of the library sees: quiet(SYS_close, fd). As syscall(2), up to four arguments. */
#ifndef TESTS_PROGRAMS_QUIET_H
#define TESTS_PROGRAMS_QUIET_H

#include <errno.h>
#include <sys/syscall.h>

#include "arch/machine.h"

static inline long quiet4(long number, long a, long b, long c, long d) {
    long result = raw6(number, a, b, c, d, 0, 0);
    if (result < 0)
        errno = (int)-result;
    return result < 0 ? -1 : result;
}

#define QUIET(number, a, b, c, d, ...) quiet4(number, (long)(a), (long)(b), (long)(c), (long)(d))
#define quiet(...)                     QUIET(__VA_ARGS__, 0, 0, 0, 0, 0)

#endif
