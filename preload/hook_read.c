/* Reads: they tell of the peer's FIN and RST. */
#define _GNU_SOURCE
#include "door.h"
#include "opening.h"
#include "release.h"
#include "traffic.h"

/* One door: the call, and what its result means for a TCP socket. */
#define READ(name, wanted, real_call)                                       \
    struct traffic traffic;                                                 \
    if (!table_maybe_tcp(fd) || !traffic_begin(&traffic, fd, name, CALLER)) \
        return real_call;                                                   \
    ssize_t result = real_call;                                             \
    traffic_read(&traffic, result, wanted);                                 \
    return result

DOOR ssize_t read(int fd, void *buffer, size_t count) {
    READ("read", count, REAL(read)(fd, buffer, count));
}
TWIN_DOOR(__read, read);

DOOR ssize_t __read_chk(int fd, void *buffer, size_t count, size_t size) {
    READ("read", count, REAL(__read_chk)(fd, buffer, count, size));
}

static size_t total(const struct iovec *parts, int count) {
    size_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += parts[i].iov_len;
    return sum;
}

/* The parts are only looked at when the kernel has taken them. */
DOOR ssize_t readv(int fd, const struct iovec *parts, int count) {
    READ("readv", result == 0 ? total(parts, count) : 1, REAL(readv)(fd, parts, count));
}

DOOR ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    READ("preadv2", result == 0 ? total(parts, count) : 1, REAL(preadv2)(fd, parts, count, offset, flags));
}
TWIN_DOOR(preadv64v2, preadv2);

DOOR ssize_t recv(int fd, void *buffer, size_t count, int flags) {
    READ("recv", count, REAL(recv)(fd, buffer, count, flags));
}

DOOR ssize_t __recv_chk(int fd, void *buffer, size_t count, size_t size, int flags) {
    READ("recv", count, REAL(__recv_chk)(fd, buffer, count, size, flags));
}

DOOR ssize_t recvfrom(int fd, void *buffer, size_t count, int flags, struct sockaddr *from, socklen_t *length) {
    READ("recvfrom", count, REAL(recvfrom)(fd, buffer, count, flags, from, length));
}

DOOR ssize_t __recvfrom_chk(int fd, void *buffer, size_t count, size_t size, int flags, struct sockaddr *from,
                            socklen_t *length) {
    READ("recvfrom", count, REAL(__recvfrom_chk)(fd, buffer, count, size, flags, from, length));
}

/* Not TCP, but it may bring descriptors that are. */
static void look_for_descriptors(int channel, const struct msghdr *message, int flags, const char *name,
                                 const void *caller) {
    if (!table_on || !message->msg_controllen)
        return;
    struct call call = call_begin(name, caller);
    received_message(channel, message, flags, &call);
}

DOOR ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    struct traffic traffic;
    bool tcp = table_maybe_tcp(fd) && traffic_begin(&traffic, fd, "recvmsg", CALLER);
    ssize_t result = REAL(recvmsg)(fd, message, flags);
    if (tcp)
        traffic_read(&traffic, result, result == 0 ? total(message->msg_iov, (int)message->msg_iovlen) : 1);
    else if (result >= 0)
        look_for_descriptors(fd, message, flags, "recvmsg", CALLER);
    return result;
}

DOOR int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout) {
    struct traffic traffic;
    bool tcp = table_maybe_tcp(fd) && traffic_begin(&traffic, fd, "recvmmsg", CALLER);
    int result = REAL(recvmmsg)(fd, messages, count, flags, timeout);
    if (tcp) {
        /* The peer's end is a message of no bytes. */
        bool ended = result > 0 && messages[result - 1].msg_len == 0;
        traffic_read(&traffic, ended ? 0 : result, 1);
    } else {
        for (int i = 0; i < result; i++)
            look_for_descriptors(fd, &messages[i].msg_hdr, flags, "recvmmsg", CALLER);
    }
    return result;
}
