/* One socket, asked for by its cookie and addresses (sock_diag(7)). */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answers.h"

struct question {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
};

static int netlink_socket(void) {
    static int netlink = -1;
    if (netlink < 0)
        netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    return netlink;
}

static void fill(struct question *question, const struct sighting_name *name) {
    static uint32_t sequence;
    memset(question, 0, sizeof *question);
    question->header.nlmsg_len = sizeof *question;
    question->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    question->header.nlmsg_flags = NLM_F_REQUEST;
    question->header.nlmsg_seq = ++sequence;
    question->body.sdiag_family = name->local.family == ADDRESS_V6 ? AF_INET6 : AF_INET;
    question->body.sdiag_protocol = IPPROTO_TCP;
    question->body.idiag_ext = 1 << (INET_DIAG_INFO - 1);
    question->body.idiag_states = ALL_STATES;
    struct inet_diag_sockid *id = &question->body.id;
    id->idiag_sport = htons(name->local.port);
    id->idiag_dport = htons(name->remote.port);
    memcpy(id->idiag_src, name->local.ip, sizeof id->idiag_src);
    memcpy(id->idiag_dst, name->remote.ip, sizeof id->idiag_dst);
    id->idiag_cookie[0] = (uint32_t)name->cookie;
    id->idiag_cookie[1] = (uint32_t)(name->cookie >> 32);
}

bool sighting_look_up(const struct sighting_name *name, struct sighting *sighting) {
    static char answer[8192] __attribute__((aligned(8)));
    const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)answer;
    const int netlink = netlink_socket();
    struct question question;
    fill(&question, name);
    if (netlink < 0 || send(netlink, &question, sizeof question, 0) != sizeof question)
        return false;
    for (;;) {
        const ssize_t length = recv(netlink, answer, sizeof answer, 0);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 || !NLMSG_OK(header, (size_t)length))
            return false;
        if (header->nlmsg_seq != question.header.nlmsg_seq)
            continue; /* of a question that nobody waited for */
        if (header->nlmsg_type == NLMSG_ERROR || !is_of_socket(header))
            return false;
        sighting_read(sighting, header);
        return sighting->cookie == name->cookie;
    }
}
