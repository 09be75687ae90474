/* x86-64: a system call, the compare-and-swap of two words, the thread pointer; and how a program is known for it. */
#ifndef CLOSETRACE_X86_64_MACHINE_H
#define CLOSETRACE_X86_64_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* For those who include <linux/audit.h>, <elf.h>; the loader's name and the library's folder on Debian; in words. */
#define MACHINE_AUDIT_ARCH AUDIT_ARCH_X86_64
#define MACHINE_ELF        EM_X86_64
#define MACHINE_LOADER     "ld-linux-x86-64.so.2"
#define MACHINE_TRIPLET    "x86_64-linux-gnu"
#define MACHINE_NAME       "x86-64"

/* The version of the symbols that every glibc for this machine has. */
#define MACHINE_OLDEST_GLIBC   "GLIBC_2.2.5"
#define MACHINE_SETCLOCK_GLIBC "GLIBC_2.3.3" /* pthread_condattr_setclock()'s first */

/* The kernel's answer, -errno on failure; errno is left alone. */
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

/* Two words side by side, aligned to 16 bytes. */
struct machine_pair {
    uint64_t first, second;
};

/*
 * At once: where the words at pair are *expected, they become the new ones. False: they are not, and *expected is what
 * is there now.
 */
static inline bool machine_exchange(void *pair, struct machine_pair *expected, struct machine_pair new) {
    bool done;
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(done), "+m"(*(struct machine_pair *)pair), "+a"(expected->first), "+d"(expected->second)
                     : "b"(new.first), "c"(new.second)
                     : "memory");
    return done;
}

/*
 * The thread pointer: the address of this thread's control block, below which its thread-local variables stand, if it
 * is one of libc's making; any number in another. Only where AT_HWCAP2 has this bit (Linux 5.9): else by a system call.
 */
#define MACHINE_HWCAP2_THREAD_POINTER      2
#define MACHINE_ASK_THREAD_POINTER(answer) SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, (long)(answer)
static inline uintptr_t machine_thread_pointer(void) {
    uintptr_t pointer;
    __asm__ volatile("rdfsbase %0" : "=r"(pointer));
    return pointer;
}

#endif
