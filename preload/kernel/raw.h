/*
 * System calls made by ourselves, for ourselves. They return the kernel's answer (-errno on failure), leave errno
 * alone, are no cancellation points and pass no hook. The program's own calls never go this way: those are made
 * through libc (real.h).
 */
#ifndef CLOSETRACE_RAW_H
#define CLOSETRACE_RAW_H

#include <sys/syscall.h>

#if !defined(__x86_64__)
#error "closetrace knows x86-64 so far: raw.h, vfork_<arch>.S and syscall_<arch>.S want a twin for this machine"
#endif

#ifdef __clang_analyzer__
/* It does not look into assembly, and would take what a call fills in for never set. */
long raw6(long number, long a, long b, long c, long d, long e, long f);
#else
static inline long raw6(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#endif

#endif
