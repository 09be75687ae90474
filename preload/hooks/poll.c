/* Calls that wait, and hold the sockets that they wait for meanwhile. */
#define _GNU_SOURCE
#include "hook.h"
#include "calls/late_release.h"

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

HOOKED int poll(struct pollfd *fds, nfds_t count, int timeout) {
    int result = REAL(poll)(fds, count, timeout);
    CHECK_POLL("poll");
    return result;
}
TWIN_HOOK(__poll, poll);

HOOKED int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size) {
    int result = REAL(__poll_chk)(fds, count, timeout, size);
    CHECK_POLL("poll");
    return result;
}

HOOKED int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
    int result = REAL(ppoll)(fds, count, timeout, mask);
    CHECK_POLL("ppoll");
    return result;
}

HOOKED int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                       size_t size) {
    int result = REAL(__ppoll_chk)(fds, count, timeout, mask, size);
    CHECK_POLL("ppoll");
    return result;
}

HOOKED int select(int count, fd_set *reads, fd_set *writes, fd_set *exceptions, struct timeval *timeout) {
    int result = REAL(select)(count, reads, writes, exceptions, timeout);
    release_check("select", CALLER, result, false);
    return result;
}
TWIN_HOOK(__select, select);

HOOKED int pselect(int count, fd_set *reads, fd_set *writes, fd_set *exceptions, const struct timespec *timeout,
                   const sigset_t *mask) {
    int result = REAL(pselect)(count, reads, writes, exceptions, timeout, mask);
    release_check("pselect", CALLER, result, false);
    return result;
}
