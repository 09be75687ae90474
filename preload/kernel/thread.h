/*
 * Whether libc has made the thread that this code runs in. A child of clone() may have thread-local storage of its own
 * choice, or none at all (a sandbox's helpers, runtimes that make their own threads): there is no errno there, and no
 * variable of the thread's own; whoever touches them writes into somebody's memory, or dies. What libc does there
 * without them, a hook does without them. So
 *
 *   - a thread-local variable is reached only through THREAD_OWN(), which says where there is none;
 *   - errno is read of a call that has failed (libc has set it there), else through the functions below. It need not be
 *     kept: system calls of ours leave it alone (machine.h).
 *
 * A test holds the library's code to it (tests/symbols.bats). Async-signal-safe.
 */
#ifndef CLOSETRACE_THREAD_H
#define CLOSETRACE_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/machine.h"

/* Before main, in a thread of libc's. Until then each thread is taken for one. */
void thread_start(void);

/* A thread that libc does not know is about to be made. (syscall_<arch>.S sets it too.) */
extern atomic_bool thread_strangers;
static inline void thread_expect_stranger(void) {
    atomic_store_explicit(&thread_strangers, true, memory_order_relaxed);
}

/*
 * Thread pointers that were found to be libc's, each at a place that it leads to. A thread's memory may have become a
 * stranger's since: at `mark` from the pointer a thread of libc's has THREAD_MARK.
 */
enum { THREADS_KNOWN = 1024 };
#define THREAD_MARK 0x636c6f7365747263ULL
struct thread_facts {
    bool readable; /* the thread pointer, without a system call */
    ptrdiff_t mark;
    _Atomic uintptr_t known[THREADS_KNOWN];
};
extern struct thread_facts thread_facts;

static inline size_t thread_place(uintptr_t pointer) {
    return (size_t)((pointer >> 6) * 0x9E3779B97F4A7C15ULL >> 54);
}

static inline bool thread_has_mark(uintptr_t pointer) {
    return *(const uint64_t *)(pointer + (uintptr_t)thread_facts.mark) ==
           THREAD_MARK; // NOLINT(performance-no-int-to-ptr)
}

/* The same where it is not known yet, or costs a system call. */
bool thread_look(void);

/* Where the pointer costs a system call, it is asked for only where there are strangers. */
static inline bool thread_is_libcs(void) {
    if (__builtin_expect(!thread_facts.readable, 0))
        return !atomic_load_explicit(&thread_strangers, memory_order_relaxed) || thread_look();
    uintptr_t pointer = machine_thread_pointer();
    bool known = atomic_load_explicit(&thread_facts.known[thread_place(pointer)], memory_order_relaxed) == pointer;
    return __builtin_expect(known && pointer && thread_has_mark(pointer), 1) || thread_look();
}

/*
 * A variable of the thread's own, zeroed at first: name() is its address, NULL in a thread that is not libc's. The
 * address is taken in a function of its own, which no compiler may look through: it would take it before it is known
 * whether there is one.
 */
/* NOLINTBEGIN(bugprone-macro-parentheses): a type, a name */
#define THREAD_OWN(type, name)                                    \
    static __thread type name##_of_thread;                        \
    static __attribute__((noinline)) type *name##_address(void) { \
        type *address = &name##_of_thread;                        \
        __asm__ volatile("" : "+r"(address));                     \
        return address;                                           \
    }                                                             \
    static inline type *name(void) {                              \
        return thread_is_libcs() ? name##_address() : NULL;       \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

/* errno; 0 where there is none, nothing is set where there is none. */
int error_now(void);
void error_set(int error);

/* Of a call of libc's that returned that; where it failed, libc has set it, whatever thread this is. */
int error_of_failed(void);
static inline int error_of(long result) {
    return __builtin_expect(result == -1, 0) ? error_of_failed() : 0;
}

#endif
