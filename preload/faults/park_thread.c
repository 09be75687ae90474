#define _GNU_SOURCE
#include "park_thread.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>

#include "kernel/memory.h"
#include "kernel/own_fds.h"
#include "kernel/process.h"
#include "kernel/libc_real.h"
#include "kernel/seccomp_guard.h"
#include "kernel/thread.h"

enum { STACK = 65536, KERNEL_SIGSET = 8, LOOK_EVERY_MS = 20 };

static atomic_bool there;
static void (*job)(void);

static int work_for_ever(void *work) {
    for (;;)
        (*(void (**)(void))work)();
    return 0;
}

/* Without thread-local storage: no code of ours needs any. */
static bool make_thread(void) {
    uint64_t all = ~0ULL, old;
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS;
    char *memory = memory_map(STACK, false);
    if (!memory)
        return false;
    if (probe(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&old, KERNEL_SIGSET, 0, 0) < 0) {
        memory_unmap(memory, STACK);
        return false;
    }
    int saved = error_now();
    thread_expect_stranger();
    int thread = REAL(clone)(work_for_ever, memory + STACK, flags, &job, NULL, NULL, NULL);
    error_set(saved);
    probe(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, KERNEL_SIGSET, 0, 0);
    if (thread < 0)
        memory_unmap(memory, STACK);
    return thread > 0;
}

static void make_wake(void) {
    long fd = own_open(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0);
    if (fd >= 0)
        own_adopt(OWN_WAKE, (int)fd);
}

bool park_thread_start(void (*work)(void)) {
    if (atomic_load(&there) || atomic_exchange(&there, true))
        return true;
    make_wake();
    job = work;
    if (make_thread())
        return true;
    atomic_store(&there, false);
    return false;
}

void park_thread_wake(void) {
    uint64_t one = 1;
    int fd = own_descriptor(OWN_WAKE);
    if (fd >= 0)
        probe(SYS_write, fd, (long)&one, sizeof one, 0, 0, 0);
}

/* Without an eventfd (the program has closed it) it looks by itself, often. */
void park_thread_poll(struct pollfd *fds, size_t count, int milliseconds) {
    uint64_t value;
    struct pollfd *wake = &fds[count];
    *wake = (struct pollfd){.fd = own_descriptor(OWN_WAKE), .events = POLLIN};
    if (wake->fd < 0 && (milliseconds < 0 || milliseconds > LOOK_EVERY_MS))
        milliseconds = LOOK_EVERY_MS;
    if (sandbox_up && !sandbox_allows(SYS_poll, (long)fds, (long)count + 1, milliseconds, 0, 0, 0))
        raw6(SYS_exit, 0, 0, 0, 0, 0, 0); /* what is parked stays so until the process ends */
    if (raw6(SYS_poll, (long)fds, (long)count + 1, milliseconds, 0, 0, 0) <= 0) {
        for (size_t i = 0; i < count; i++)
            fds[i].revents = 0;
        return;
    }
    if (wake->revents & POLLIN)
        probe(SYS_read, wake->fd, (long)&value, sizeof value, 0, 0, 0);
    else if (wake->revents)
        own_drop(OWN_WAKE);
}

void park_thread_forked(void) {
    atomic_store(&there, false);
}
