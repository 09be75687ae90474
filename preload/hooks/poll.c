/* Calls that wait, and hold the sockets that they wait for meanwhile. */
#define _GNU_SOURCE
#include "hook.h"
#include "calls/late_release.h"
#include "refs/calls_under_way.h"

/* The kernel has taken the array, so that it can be read. */
static bool says_dead(const struct pollfd *fds, nfds_t count, int result) {
    for (nfds_t i = 0; result > 0 && i < count; i++)
        if (fds[i].revents & POLLERR)
            return true;
    return false;
}

/* Only looked at where a release is due. */
#define CHECK_POLL(name)                                                   \
    if (atomic_load_explicit(release_expected, memory_order_relaxed) != 0) \
    release_happened(name, CALLER, result, says_dead(fds, count, result))

static struct call_under_way *poll_begins(const char *name, const struct pollfd *fds, nfds_t count) {
    return call_may_outlive_descriptor() ? call_begins_on_set(name, (uintptr_t)fds, count, 0, 0) : NULL;
}

static struct call_under_way *select_begins(const char *name, int count, const fd_set *reads, const fd_set *writes,
                                            const fd_set *exceptions) {
    if (!call_may_outlive_descriptor())
        return NULL;
    return call_begins_on_set(name, count > 0 ? (uint64_t)count : 0, (uintptr_t)reads, (uintptr_t)writes,
                              (uintptr_t)exceptions);
}

/* The header says of poll() that it writes to fds; what it is asked for it reads there first, and so do we. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

HOOKED int poll(struct pollfd *fds, nfds_t count, int timeout) {
    struct call_under_way *row = poll_begins("poll", fds, count);
    int result = REAL(poll)(fds, count, timeout);
    call_has_come_back(row);
    CHECK_POLL("poll");
    return result;
}
TWIN_HOOK(__poll, poll);

HOOKED int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size) {
    struct call_under_way *row = poll_begins("poll", fds, count);
    int result = REAL(__poll_chk)(fds, count, timeout, size);
    call_has_come_back(row);
    CHECK_POLL("poll");
    return result;
}

HOOKED int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
    struct call_under_way *row = poll_begins("ppoll", fds, count);
    int result = REAL(ppoll)(fds, count, timeout, mask);
    call_has_come_back(row);
    CHECK_POLL("ppoll");
    return result;
}

HOOKED int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                       size_t size) {
    struct call_under_way *row = poll_begins("ppoll", fds, count);
    int result = REAL(__ppoll_chk)(fds, count, timeout, mask, size);
    call_has_come_back(row);
    CHECK_POLL("ppoll");
    return result;
}

HOOKED int select(int count, fd_set *reads, fd_set *writes, fd_set *exceptions, struct timeval *timeout) {
    struct call_under_way *row = select_begins("select", count, reads, writes, exceptions);
    int result = REAL(select)(count, reads, writes, exceptions, timeout);
    call_has_come_back(row);
    release_check("select", CALLER, result, false);
    return result;
}
TWIN_HOOK(__select, select);

HOOKED int pselect(int count, fd_set *reads, fd_set *writes, fd_set *exceptions, const struct timespec *timeout,
                   const sigset_t *mask) {
    struct call_under_way *row = select_begins("pselect", count, reads, writes, exceptions);
    int result = REAL(pselect)(count, reads, writes, exceptions, timeout, mask);
    call_has_come_back(row);
    release_check("pselect", CALLER, result, false);
    return result;
}
