#define _GNU_SOURCE
#include "thread.h"

#include <errno.h>
#include <sys/auxv.h>

#include "seccomp_guard.h"

/* For tests: a library that finds the thread pointer not to be readable. */
#ifndef CLOSETRACE_THREAD_POINTER
#define CLOSETRACE_THREAD_POINTER 1
#endif

enum { PLACES_TRIED = 4, KERNEL_SIGSET = 8 };

struct thread_facts thread_facts;
__attribute__((visibility("hidden"))) atomic_bool thread_strangers;

static bool started;
static ptrdiff_t error_place; /* errno, from the thread pointer */
static __thread uint64_t mark = THREAD_MARK;

/* False: it cannot be asked. */
static bool ask_pointer(uintptr_t *pointer) {
    if (thread_facts.readable)
        *pointer = machine_thread_pointer();
    return thread_facts.readable || probe(MACHINE_ASK_THREAD_POINTER(pointer), 0, 0, 0, 0) == 0;
}

void thread_start(void) {
    uintptr_t pointer = 0;
    thread_facts.readable = CLOSETRACE_THREAD_POINTER && (getauxval(AT_HWCAP2) & MACHINE_HWCAP2_THREAD_POINTER);
    started = ask_pointer(&pointer);
    thread_facts.mark = (ptrdiff_t)((uintptr_t)&mark - pointer);
    error_place = (ptrdiff_t)((uintptr_t)&errno - pointer);
}

/* The kernel reads the word for us: a set of signals, which it then refuses for what should be done with it. */
static bool is_readable(uintptr_t address) {
    enum { NOTHING = 99 };
    return probe(SYS_rt_sigprocmask, NOTHING, (long)address, 0, KERNEL_SIGSET, 0, 0) == -EINVAL;
}

/* In a sandbox that does not let us ask, it is enough that the control block looks like one. */
static bool may_be_read(uintptr_t pointer) {
    if (!sandbox_up || sandbox_allows(SYS_rt_sigprocmask, 0, 0, 0, 0, 0, 0))
        return is_readable(pointer + (uintptr_t)thread_facts.mark);
    return *(const uintptr_t *)pointer == pointer; // NOLINT(performance-no-int-to-ptr)
}

static bool is_known(uintptr_t pointer) {
    size_t place = thread_place(pointer);
    for (size_t i = 0; i < PLACES_TRIED; i++)
        if (atomic_load(&thread_facts.known[(place + i) % THREADS_KNOWN]) == pointer)
            return thread_has_mark(pointer);
    return false;
}

/* At the first place that is free, else at its own. */
static void know_thread(uintptr_t pointer) {
    size_t place = thread_place(pointer);
    for (size_t i = 0; i < PLACES_TRIED; i++) {
        uintptr_t none = 0;
        if (atomic_compare_exchange_strong(&thread_facts.known[(place + i) % THREADS_KNOWN], &none, pointer))
            return;
    }
    atomic_store(&thread_facts.known[place], pointer);
}

bool thread_look(void) {
    uintptr_t pointer = 0;
    if (!started || !ask_pointer(&pointer))
        return true;
    if (!pointer)
        return false;
    if (is_known(pointer))
        return true;
    if (!may_be_read(pointer) || !thread_has_mark(pointer))
        return false;
    know_thread(pointer);
    return true;
}

int error_now(void) {
    return thread_is_libcs() ? errno : 0;
}

/* In a stranger libc has just written it where it would be, without asking whether that is the thread's. */
int error_of_failed(void) {
    uintptr_t pointer = 0;
    if (thread_is_libcs())
        return errno;
    return ask_pointer(&pointer) ? *(const int *)(pointer + (uintptr_t)error_place) : 0;
}

void error_set(int error) {
    if (thread_is_libcs())
        errno = error;
}
