/* Calls that wait, and hold the sockets that they wait for meanwhile. */
#define _GNU_SOURCE
#include "door.h"
#include "release.h"

DOOR int poll(struct pollfd *fds, nfds_t count, int timeout) {
    int result = REAL(poll)(fds, count, timeout);
    release_check("poll", CALLER, result);
    return result;
}
TWIN_DOOR(__poll, poll);

DOOR int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size) {
    int result = REAL(__poll_chk)(fds, count, timeout, size);
    release_check("poll", CALLER, result);
    return result;
}

DOOR int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
    int result = REAL(ppoll)(fds, count, timeout, mask);
    release_check("ppoll", CALLER, result);
    return result;
}

DOOR int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                     size_t size) {
    int result = REAL(__ppoll_chk)(fds, count, timeout, mask, size);
    release_check("ppoll", CALLER, result);
    return result;
}

DOOR int select(int count, fd_set *reads, fd_set *writes, fd_set *exceptions, struct timeval *timeout) {
    int result = REAL(select)(count, reads, writes, exceptions, timeout);
    release_check("select", CALLER, result);
    return result;
}
TWIN_DOOR(__select, select);

DOOR int pselect(int count, fd_set *reads, fd_set *writes, fd_set *exceptions, const struct timespec *timeout,
                 const sigset_t *mask) {
    int result = REAL(pselect)(count, reads, writes, exceptions, timeout, mask);
    release_check("pselect", CALLER, result);
    return result;
}
