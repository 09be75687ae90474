/* The dump of inet_diag (sock_diag(7)): one question, and each socket an answer. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answers.h"
#include "grow.h"
#include "kernel/clock.h"
#include "world.h"

enum { ANSWER_SIZE = 1 << 17 };

/* The older question: it is for both families, so that the kernel walks over its tables once. */
struct question {
    struct nlmsghdr header;
    struct inet_diag_req body;
};

static bool ask(int netlink, unsigned states) {
    const struct question question = {
        .header = {.nlmsg_len = sizeof question,
                   .nlmsg_type = TCPDIAG_GETSOCK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        .body = {.idiag_family = AF_INET, .idiag_ext = 1 << (INET_DIAG_INFO - 1), .idiag_states = states}};
    return send(netlink, &question, sizeof question, 0) == sizeof question;
}

static void read_address(struct address *address, int family, const __be32 ip[4], __be16 port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = ip[0]};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
    memcpy(&v6.sin6_addr, ip, sizeof v6.sin6_addr);
    if (family == AF_INET)
        address_from_sockaddr(address, (struct sockaddr *)&v4, sizeof v4);
    else
        address_from_sockaddr(address, (struct sockaddr *)&v6, sizeof v6);
}

static void read_info(struct sighting *sighting, const struct nlattr *attribute) {
    struct tcp_info info = {0};
    size_t length = (size_t)attribute->nla_len - sizeof *attribute;
    memcpy(&info, attribute + 1, length < sizeof info ? length : sizeof info);
    sighting->has_info = true;
    sighting->not_sent = info.tcpi_notsent_bytes;
    sighting->since_sent_ms = info.tcpi_last_data_sent;
    sighting->since_received_ms = info.tcpi_last_data_recv;
    sighting->since_ack_ms = info.tcpi_last_ack_recv;
    sighting->sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
    sighting->received = info.tcpi_bytes_received;
    sighting->acknowledged = info.tcpi_bytes_acked;
    sighting->segments = info.tcpi_data_segs_in;
}

static void read_attributes(struct sighting *sighting, const struct nlattr *attribute, size_t room) {
    while (room >= sizeof *attribute && attribute->nla_len >= sizeof *attribute && attribute->nla_len <= room) {
        size_t step = NLA_ALIGN(attribute->nla_len);
        if (attribute->nla_type == INET_DIAG_INFO)
            read_info(sighting, attribute);
        else if (attribute->nla_type == INET_DIAG_SHUTDOWN)
            memcpy(&sighting->shut, attribute + 1, sizeof sighting->shut);
        if (step >= room)
            return;
        room -= step;
        attribute = (const struct nlattr *)((const char *)attribute + step);
    }
}

void sighting_read(struct sighting *sighting, const struct nlmsghdr *header) {
    const struct inet_diag_msg *message = NLMSG_DATA(header);
    memset(sighting, 0, sizeof *sighting);
    sighting->cookie = message->id.idiag_cookie[0] | (uint64_t)message->id.idiag_cookie[1] << 32;
    sighting->inode = message->idiag_inode;
    sighting->state = message->idiag_state < STATE_COUNT ? (enum tcp_state)message->idiag_state : STATE_UNSET;
    sighting->uid = message->idiag_uid;
    sighting->interface = message->id.idiag_if;
    sighting->receive_queue = message->idiag_rqueue;
    sighting->send_queue = message->idiag_wqueue;
    sighting->timer = message->idiag_timer;
    sighting->retransmits = message->idiag_retrans;
    sighting->expires_ms = message->idiag_expires;
    sighting->holding = sighting->holding_end = sighting->peer = sighting->listener = NOBODY;
    read_address(&sighting->local, message->idiag_family, message->id.idiag_src, message->id.idiag_sport);
    read_address(&sighting->remote, message->idiag_family, message->id.idiag_dst, message->id.idiag_dport);
    read_attributes(sighting, (const struct nlattr *)(message + 1), header->nlmsg_len - NLMSG_LENGTH(sizeof *message));
    if (sighting->state == STATE_NEW_SYN_RECV)
        sighting->state = STATE_SYN_RECV;
    if (sighting_has_peers_fin(sighting) && sighting->received > 0) /* TCP_INFO counts it as one */
        sighting->received--;
}

bool is_of_socket(const struct nlmsghdr *header) {
    return header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg));
}

/* False at the end, or where the kernel refuses (errno). */
static bool read_answers(struct world *world, const char *answer, size_t length) {
    const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)answer;
    errno = 0;
    for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
        if (header->nlmsg_type == NLMSG_DONE)
            return false;
        if (header->nlmsg_type == NLMSG_ERROR) {
            errno = -((const struct nlmsgerr *)NLMSG_DATA(header))->error;
            return false;
        }
        if (header->nlmsg_type == TCPDIAG_GETSOCK && is_of_socket(header))
            sighting_read(GROW(world->list, world->count, world->room), header);
    }
    return true;
}

static bool read_dump(struct world *world, int netlink, char *answer) {
    for (;;) {
        ssize_t length = recv(netlink, answer, ANSWER_SIZE, 0);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            return false;
        if (!read_answers(world, answer, (size_t)length))
            return errno == 0;
    }
}

/* The netlink socket is made each time: it looks into the network namespace that we are in now. */
bool world_dump(struct world *world, unsigned states) {
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (netlink < 0)
        return false;
    char *answer = zeroed(1, ANSWER_SIZE); /* threads look too, whose stacks are small */
    world->time_us = clock_now();
    bool done = ask(netlink, states) && read_dump(world, netlink, answer);
    int reason = errno;
    free(answer);
    close(netlink);
    errno = reason;
    return done;
}
