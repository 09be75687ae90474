#define _GNU_SOURCE
#include "closing_range.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>

#include "closing.h"
#include "kernel/process.h"
#include "purging.h"
#include "refs/odd_tables.h"
#include "refs/fds_in_flight.h"
#include "refs/proc_search.h"
#include "faults/fault.h"
#include "kernel/own_fds.h"
#include "kernel/raw.h"
#include "kernel/tcp_socket.h"
#include "kernel/thread.h"
#include "kernel/libc_real.h"
#include "kernel/seccomp_guard.h"
#include "refs/fd_table.h"

/* What is in the range, around what is ours. */
static int close_others(unsigned first, unsigned last) {
    for (;;) {
        int spared = own_first_in(first, last);
        if (spared < 0)
            return REAL(close_range)(first, last, 0);
        if ((unsigned)spared > first && REAL(close_range)(first, (unsigned)spared - 1, 0) != 0)
            return -1;
        if ((unsigned)spared >= last)
            return 0;
        first = (unsigned)spared + 1;
    }
}

/*
 * The highest in the range in whose queue copies of connections wait; -1: none. The shared table names queues, and
 * anybody may have written it: only what is open here is looked at, so that a forged one costs no search.
 */
static int last_queue_in(unsigned first, unsigned last) {
    OWN_SCRATCH *scratch = scratch_take();
    struct listing listing;
    int highest = -1;
    if (!scratch || !search_own_begin(&listing, scratch))
        return -1;
    for (int fd; (fd = search_own_next(&listing)) >= 0;) {
        uint64_t inode = (unsigned)fd >= first && (unsigned)fd <= last && fd > highest ? socket_inode(fd) : 0;
        if (inode && flight_holds_tcp(inode))
            highest = fd;
    }
    search_own_end(&listing);
    return highest;
}

/* Sockets of AF_UNIX with copies of connections in their queues: each by itself, to see what goes with it. */
static void close_queues(unsigned first, unsigned last, const char *name, const void *caller) {
    while (first <= last && flight_any() && flight_holds_tcp(0)) {
        struct purge purge;
        int fd = last_queue_in(first, last);
        if (fd < 0)
            return;
        purge_entering(&purge, fd, true, name, caller);
        raw6(SYS_close, fd, 0, 0, 0, 0, 0);
        purge_exiting(&purge, NULL);
        if ((unsigned)fd == first)
            return;
        last = (unsigned)fd - 1;
    }
}

/* What a fault makes of a call that went on all the same. */
static int fail_with(int error) {
    if (error)
        error_set(error);
    return error ? -1 : 0;
}

/*
 * From the highest down, as the kernel lets go of them: close_range() takes them out of the table in ascending order,
 * but the files are given up when it returns, the last first (task_work_run() in kernel/task_work.c). Each TCP socket
 * by itself, and what stands between two of them at once.
 */
static int close_all(unsigned first, unsigned last, const char *name, const void *caller) {
    unsigned end = (unsigned)table_end(), above = last;
    int failed = 0, saved = error_now();
    for (unsigned fd = last < end ? last + 1 : end; fd-- > first;) {
        struct closing closing;
        if (!table_maybe_tcp((int)fd))
            continue;
        if (fd < above)
            close_queues(fd + 1, above, name, caller);
        if (fd < above && close_others(fd + 1, above) != 0)
            return -1;
        above = fd;
        if (!closing_entering(&closing, (int)fd, name, caller))
            continue;
        long result = closing_is_off(&closing) ? 0 : raw6(SYS_close, fd, 0, 0, 0, 0, 0);
        if (closing_exiting(&closing, result < 0 ? -1 : 0, (int)-result) == -1 && fault_replaces(&closing.call)) {
            failed = closing.call.rule->error;
            error_set(saved);
        }
        if (fd == first)
            return fail_with(failed);
        above = fd - 1;
    }
    close_queues(first, above, name, caller);
    return close_others(first, above) == 0 ? fail_with(failed) : -1;
}

int range_close(unsigned first, unsigned last, int flags, const char *name, const void *caller) {
    bool plain = !table_on || first > last || (flags & ~CLOSE_RANGE_UNSHARE) != 0;
    bool allowed = !sandbox_up || (sandbox_allows(SYS_close, (long)first, 0, 0, 0, 0, 0) &&
                                   (!flags || sandbox_allows(SYS_unshare, CLONE_FILES, 0, 0, 0, 0, 0)));
    bool concerned =
        first < (unsigned)table_end() || own_first_in(first, last) >= 0 || (flight_any() && flight_holds_tcp(0));
    if (plain || !concerned || !allowed)
        return REAL(close_range)(first, last, flags);
    if (flags & CLOSE_RANGE_UNSHARE) {
        long result = raw6(SYS_unshare, CLONE_FILES, 0, 0, 0, 0, 0);
        if (result < 0) {
            error_set((int)-result);
            return -1;
        }
        odd_table_unshared();
    }
    return close_all(first, last, name, caller);
}

void range_close_from(int lowest, const char *name, const void *caller) {
    unsigned first = lowest < 0 ? 0 : (unsigned)lowest;
    int saved = error_now();
    if (!table_on || (sandbox_up && !sandbox_allows(SYS_close, lowest, 0, 0, 0, 0, 0))) {
        REAL(closefrom)(lowest);
        return;
    }
    /* Where the kernel has no close_range(), libc closes number by number. */
    if (close_all(first, UINT_MAX, name, caller) != 0 && error_now() == ENOSYS)
        REAL(closefrom)(lowest);
    error_set(saved);
}
