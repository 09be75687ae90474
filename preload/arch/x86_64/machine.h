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
#define MACHINE_OLDEST_GLIBC "GLIBC_2.2.5"

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

/* The address of this thread's control block; its thread-local variables stand below. */
static inline uintptr_t machine_thread_pointer(void) {
    uintptr_t block;
    __asm__("movq %%fs:0, %0" : "=r"(block));
    return block;
}

/*
 * Makes of zeroed memory the control block of a new thread that runs our code alone. Of it libc's code needs its own
 * address and the stack guard, as the ABI and glibc's tcbhead_t have them.
 */
static inline void machine_make_thread_block(uintptr_t *block) {
    uintptr_t guard, pointer_guard;
    __asm__("movq %%fs:0x28, %0" : "=r"(guard));
    __asm__("movq %%fs:0x30, %0" : "=r"(pointer_guard));
    block[0] = (uintptr_t)block;
    block[2] = (uintptr_t)block;
    block[5] = guard;
    block[6] = pointer_guard;
}

#endif
