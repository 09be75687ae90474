#define _GNU_SOURCE
#include "clock.h"

#include <sys/auxv.h>
#include <time.h>

#include "elf_symbol.h"
#include "seccomp_guard.h"

/* The kernel's code in our memory, which needs no system call on most machines. NULL: there is none, or not yet. */
static int (*of_vdso)(clockid_t clock, struct timespec *time);

void clock_start(void) {
    const void *vdso = (const void *)getauxval(AT_SYSINFO_EHDR); // NOLINT(performance-no-int-to-ptr)
    of_vdso = (int (*)(clockid_t, struct timespec *))elf_symbol(vdso, "__vdso_clock_gettime");
}

static __attribute__((noinline)) void ask_by_call(clockid_t clock, struct timespec *time) {
    *time = (struct timespec){0};
    probe(SYS_clock_gettime, clock, (long)time, 0, 0, 0, 0);
}

static inline void ask(clockid_t clock, struct timespec *time) {
    if (__builtin_expect(!of_vdso, 0) || of_vdso(clock, time) != 0)
        ask_by_call(clock, time);
}

static uint64_t microseconds(const struct timespec *time) {
    return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_nsec / 1000;
}

uint64_t clock_now(void) {
    struct timespec now;
    if (__builtin_expect(!sandbox_up, 1)) {
        ask(CLOCK_REALTIME, &now);
        return microseconds(&now);
    }
    /* The coarse clock is read from shared memory on every machine; the fine one may want a system call. */
    ask(CLOCK_REALTIME_COARSE, &now);
    uint64_t time = microseconds(&now);
    return time > sandbox_since ? time : sandbox_since;
}

uint64_t clock_running(void) {
    struct timespec now;
    ask(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CLOCK_SECOND + (uint64_t)now.tv_nsec;
}
