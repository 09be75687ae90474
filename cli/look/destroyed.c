#define _GNU_SOURCE
#include "destroyed.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answers.h"

static bool join(int netlink, enum sknetlink_groups group) {
    return setsockopt(netlink, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0;
}

/* A large buffer, larger than an ordinary user may have where that is allowed. */
int destroyed_open(void) {
    const int size = 4 << 20;
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        return -1;
    if (setsockopt(netlink, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        setsockopt(netlink, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    /* One without an address of its own would count as the sender, which gets no copy. */
    const struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    if (bind(netlink, (const struct sockaddr *)&any, sizeof any) == 0 && join(netlink, SKNLGRP_INET_TCP_DESTROY)) {
        join(netlink, SKNLGRP_INET6_TCP_DESTROY);
        return netlink;
    }
    close(netlink);
    return -1;
}

enum destroyed_next destroyed_next(int fd, struct sighting *gone) {
    static char message[8192] __attribute__((aligned(8)));
    for (;;) {
        const ssize_t length = recv(fd, message, sizeof message, MSG_DONTWAIT);
        const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)message;
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return errno == ENOBUFS ? DESTROYED_OVERRUN : DESTROYED_NONE;
        if (!NLMSG_OK(header, (size_t)length) || header->nlmsg_type != SOCK_DIAG_BY_FAMILY || !is_of_socket(header))
            continue;
        sighting_read(gone, header);
        return DESTROYED_ONE;
    }
}

uint64_t destroyed_unread(const struct sighting *gone, const struct sighting *before) {
    const uint64_t queued = gone->receive_queue;
    if (sighting_has_peers_fin(before))
        return queued > 0 ? queued - 1 : 0;
    return queued == 1 && before->receive_queue == 0 ? 0 : queued;
}

uint64_t destroyed_lost(const struct sighting *gone, const struct sighting *before) {
    if (gone->send_queue == 0 || destroyed_unread(gone, before) > 0)
        return gone->send_queue;
    return gone->send_queue - 1;
}
