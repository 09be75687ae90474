/* System calls that no door of the library sees: quiet(SYS_close, fd). As syscall(2), up to four arguments. */
#ifndef TESTS_PROGRAMS_QUIET_H
#define TESTS_PROGRAMS_QUIET_H

#include <errno.h>
#include <sys/syscall.h>

static inline long quiet4(long number, long a, long b, long c, long d) {
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    if (result < 0)
        errno = (int)-result;
    return result < 0 ? -1 : result;
}

#define QUIET(number, a, b, c, d, ...) quiet4(number, (long)(a), (long)(b), (long)(c), (long)(d))
#define quiet(...)                     QUIET(__VA_ARGS__, 0, 0, 0, 0, 0)

#endif
