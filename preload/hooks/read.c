/* Reads: they tell of the peer's FIN and RST. */
#define _GNU_SOURCE
#include "hook.h"
#include "calls/passing_fds.h"
#include "calls/purging.h"
#include "faults/fault.h"
#include "calls/late_release.h"
#include "faults/short_iov.h"
#include "calls/transferring.h"

/* What is no TCP socket may be a unix socket, whose queue loses what there is no room for. */
#define OTHER(name, real_call)                           \
    ({                                                   \
        struct purge purge;                              \
        purge_entering(&purge, fd, false, name, CALLER); \
        ssize_t got = real_call;                         \
        purge_exiting(&purge, NULL);                     \
        got;                                             \
    })

/*
 * One hook: the call, and what its result means for a TCP socket. count: the variable that says how much is read at
 * most, which a fault may make less.
 */
#define READ(name, count, real_call)                                            \
    struct traffic traffic;                                                     \
    ssize_t result;                                                             \
    if (!table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, name, CALLER)) \
        return OTHER(name, real_call);                                          \
    if (transfer_is_off(&traffic, RULE_READ, &(count), &result))                \
        return result;                                                          \
    transfer_waits(&traffic);                                                   \
    result = real_call;                                                         \
    transfer_read(&traffic, result, count);                                     \
    return result

HOOKED ssize_t read(int fd, void *buffer, size_t count) {
    READ("read", count, REAL(read)(fd, buffer, count));
}
TWIN_HOOK(__read, read);

HOOKED ssize_t __read_chk(int fd, void *buffer, size_t count, size_t size) {
    READ("read", count, REAL(__read_chk)(fd, buffer, count, size));
}

static size_t total(const struct iovec *parts, int count) {
    size_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += parts[i].iov_len;
    return sum;
}

/* The same with parts, which are only looked at when the kernel has taken them, or a fault makes them less. */
#define READ_PARTS(name, real_call)                                             \
    struct traffic traffic;                                                     \
    struct short_parts shorter;                                                 \
    size_t most = SIZE_MAX;                                                     \
    ssize_t result;                                                             \
    if (!table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, name, CALLER)) \
        return OTHER(name, real_call);                                          \
    if (transfer_is_off(&traffic, RULE_READ, &most, &result))                   \
        return result;                                                          \
    if (traffic.shortened && count > 0) {                                       \
        short_parts_of(&shorter, parts, (size_t)count, most);                   \
        parts = shorter.parts;                                                  \
        count = shorter.count;                                                  \
    }                                                                           \
    transfer_waits(&traffic);                                                   \
    result = real_call;                                                         \
    transfer_read(&traffic, result, result == 0 ? total(parts, count) : 1);     \
    return result

HOOKED ssize_t readv(int fd, const struct iovec *parts, int count) {
    READ_PARTS("readv", REAL(readv)(fd, parts, count));
}

HOOKED ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    READ_PARTS("preadv2", REAL(preadv2)(fd, parts, count, offset, flags));
}
TWIN_HOOK(preadv64v2, preadv2);

HOOKED ssize_t recv(int fd, void *buffer, size_t count, int flags) {
    READ("recv", count, REAL(recv)(fd, buffer, count, flags));
}

HOOKED ssize_t __recv_chk(int fd, void *buffer, size_t count, size_t size, int flags) {
    READ("recv", count, REAL(__recv_chk)(fd, buffer, count, size, flags));
}

HOOKED ssize_t recvfrom(int fd, void *buffer, size_t count, int flags, struct sockaddr *from, socklen_t *length) {
    READ("recvfrom", count, REAL(recvfrom)(fd, buffer, count, flags, from, length));
}

HOOKED ssize_t __recvfrom_chk(int fd, void *buffer, size_t count, size_t size, int flags, struct sockaddr *from,
                              socklen_t *length) {
    READ("recvfrom", count, REAL(__recvfrom_chk)(fd, buffer, count, size, flags, from, length));
}

/* Not TCP, but it may bring descriptors that are. */
static bool may_bring_descriptors(const struct msghdr *message) {
    return table_on && message->msg_controllen;
}

static void tell_of_descriptors(const struct msghdr *message, int flags, const char *name, const void *caller) {
    if (!may_bring_descriptors(message))
        return;
    struct call call = call_entering(name, caller);
    received_message(message, flags, &call);
}

/* The result's fields are the program's message's, whatever parts it was received into. */
static ssize_t receive_short(int fd, struct msghdr *message, int flags, size_t most) {
    SHORT_MESSAGE(message, most);
    ssize_t result = REAL(recvmsg)(fd, &short_message, flags);
    short_message.msg_iov = message->msg_iov;
    short_message.msg_iovlen = message->msg_iovlen;
    *message = short_message;
    return result;
}

static ssize_t receive_tcp(struct traffic *traffic, struct msghdr *message, int flags) {
    size_t most = SIZE_MAX;
    ssize_t result;
    if (transfer_is_off(traffic, RULE_READ, &most, &result))
        return result;
    transfer_waits(traffic);
    result = traffic->shortened ? receive_short(traffic->fd, message, flags, most)
                                : REAL(recvmsg)(traffic->fd, message, flags);
    transfer_read(traffic, result, result == 0 ? total(message->msg_iov, (int)message->msg_iovlen) : 1);
    return result;
}

HOOKED ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
    struct traffic traffic;
    if (table_maybe_tcp(fd) && transfer_entering(&traffic, fd, "recvmsg", CALLER))
        return receive_tcp(&traffic, message, flags);
    struct purge purge;
    purge_entering(&purge, fd, false, "recvmsg", CALLER);
    ssize_t result = REAL(recvmsg)(fd, message, flags);
    if (result >= 0 && may_bring_descriptors(message))
        received_rights(fd, message, flags);
    purge_exiting(&purge, result >= 0 ? message : NULL);
    if (result >= 0)
        tell_of_descriptors(message, flags, "recvmsg", CALLER);
    return result;
}

HOOKED int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout) {
    struct traffic traffic;
    bool tcp = table_maybe_tcp(fd) && transfer_entering(&traffic, fd, "recvmmsg", CALLER);
    ssize_t instead;
    if (tcp && transfer_is_off(&traffic, RULE_READ, NULL, &instead))
        return (int)instead;
    if (tcp)
        transfer_waits(&traffic);
    int result = REAL(recvmmsg)(fd, messages, count, flags, timeout);
    if (tcp) {
        /* The peer's end is a message of no bytes. */
        bool ended = result > 0 && messages[result - 1].msg_len == 0;
        transfer_read(&traffic, ended ? 0 : result, 1);
    } else {
        for (int i = 0; i < result; i++) {
            if (may_bring_descriptors(&messages[i].msg_hdr))
                received_rights(fd, &messages[i].msg_hdr, flags);
            tell_of_descriptors(&messages[i].msg_hdr, flags, "recvmmsg", CALLER);
        }
    }
    return result;
}
