#define _GNU_SOURCE
#include "sock_diag.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "own_fds.h"
#include "process.h"
#include "seccomp_guard.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

enum trust { TRUST_UNTRIED, TRUST_PROVEN, TRUST_NONE };

static atomic_int trust;            /* enum trust */
static _Atomic uint64_t looks_into; /* the namespace that the netlink socket was opened in */
static atomic_uint sequence;
static atomic_int busy; /* how many are between question and answer */

struct request {
    struct nlmsghdr header;
    union {
        struct inet_diag_req_v2 body;
        struct unix_diag_req unix_body;
    };
};

/*
 * A filter that was inherited across an exec cannot be read, and may kill for a netlink socket. Where there is one, a
 * child tries it first: a copy with nothing shared, which sends no signal when it ends and which no wait of the
 * program's sees (clone(2): exit signal 0, __WCLONE).
 */
static bool child_survives(void) {
    int status = 0;
    long child = raw6(SYS_clone, 0, 0, 0, 0, 0, 0);
    if (child == 0) {
        const struct rlimit no_core = {0};
        raw6(SYS_prlimit64, 0, RLIMIT_CORE, (long)&no_core, 0, 0, 0);
        raw6(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG, 0, 0, 0);
        raw6(SYS_exit_group, 0, 0, 0, 0, 0, 0);
    }
    while (child > 0 && raw6(SYS_wait4, child, (long)&status, __WALL, 0, 0, 0) == -EINTR)
        ;
    return child > 0 && status == 0;
}

static bool may_open_netlink(void) {
    static atomic_int answer; /* 0: not known yet, 1: yes, 2: no */
    if (!atomic_load(&answer)) {
        bool filtered = !sandbox_up && raw6(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0, 0) == SECCOMP_MODE_FILTER;
        atomic_store(&answer, !filtered || child_survives() ? 1 : 2);
    }
    return atomic_load(&answer) == 1;
}

static int open_netlink(void) {
    if (!may_open_netlink())
        return -1;
    long fd = own_open(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return -1;
    uint64_t namespace = 0;
    socklen_t size = sizeof namespace;
    probe(SYS_getsockopt, fd, SOL_SOCKET, SO_NETNS_COOKIE, (long)&namespace, (long)&size, 0);
    int kept = own_adopt(OWN_NETLINK, (int)fd);
    if (kept >= 0)
        atomic_store(&looks_into, namespace);
    return kept;
}

static void address_kernel(struct request *request, size_t body) {
    memset(request, 0, sizeof *request);
    request->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body);
    request->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request->header.nlmsg_flags = NLM_F_REQUEST;
    request->header.nlmsg_seq = atomic_fetch_add(&sequence, 1);
}

static void fill_request(struct request *request, const struct address *local, const struct address *remote,
                         uint32_t interface, uint64_t cookie) {
    address_kernel(request, sizeof request->body);
    request->body.sdiag_family = local->family == ADDRESS_V6 ? AF_INET6 : AF_INET;
    request->body.sdiag_protocol = IPPROTO_TCP;
    request->body.idiag_ext = 1 << (INET_DIAG_INFO - 1);
    request->body.idiag_states = ~0U;
    struct inet_diag_sockid *id = &request->body.id;
    id->idiag_sport = htons(local->port);
    id->idiag_dport = htons(remote->port);
    memcpy(id->idiag_src, local->ip, sizeof id->idiag_src);
    memcpy(id->idiag_dst, remote->ip, sizeof id->idiag_dst);
    id->idiag_if = interface;
    id->idiag_cookie[0] = (uint32_t)cookie;
    id->idiag_cookie[1] = (uint32_t)(cookie >> 32);
}

/* The attribute of that type among those that fill room bytes, or NULL. */
static const struct nlattr *attribute_of(const struct nlattr *attribute, size_t room, unsigned type) {
    while (room >= sizeof *attribute && attribute->nla_len >= sizeof *attribute && attribute->nla_len <= room) {
        size_t step = NLA_ALIGN(attribute->nla_len);
        if (attribute->nla_type == type)
            return attribute;
        if (step >= room)
            return NULL;
        room -= step;
        attribute = (const struct nlattr *)((const char *)attribute + step);
    }
    return NULL;
}

static void copy_attribute(const struct nlattr *attribute, void *to, size_t size) {
    size_t length = attribute->nla_len - sizeof *attribute;
    memset(to, 0, size);
    memcpy(to, attribute + 1, length < size ? length : size);
}

static bool fin_waits(const struct nlattr *attributes, size_t room, enum tcp_state state) {
    struct tcp_info info;
    bool due = state == STATE_FIN_WAIT1 || state == STATE_LAST_ACK || state == STATE_CLOSING;
    const struct nlattr *attribute = due ? attribute_of(attributes, room, INET_DIAG_INFO) : NULL;
    if (!attribute)
        return false;
    copy_attribute(attribute, &info, sizeof info);
    return info.tcpi_notsent_bytes > 0;
}

static void read_failure(const struct nlmsghdr *header, struct diag_answer *answer) {
    const struct nlmsgerr *failure = NLMSG_DATA(header);
    /* ENOENT, and ESTALE for another's cookie: not there. Anything else: no answer. */
    answer->asked = failure->error == -ENOENT || failure->error == -ESTALE;
}

static void read_inet(const struct nlmsghdr *header, struct diag_answer *answer) {
    const struct inet_diag_msg *message = NLMSG_DATA(header);
    answer->asked = true;
    answer->found = true;
    answer->state = (enum tcp_state)message->idiag_state;
    answer->inode = message->idiag_inode;
    answer->receive_queue = message->idiag_rqueue;
    answer->fin_unsent = fin_waits((const struct nlattr *)(message + 1),
                                   header->nlmsg_len - NLMSG_LENGTH(sizeof *message), answer->state);
}

/* Of a unix socket only the peer's inode is of interest. */
static void read_unix(const struct nlmsghdr *header, struct diag_answer *answer) {
    const struct unix_diag_msg *message = NLMSG_DATA(header);
    const struct nlattr *attribute = attribute_of((const struct nlattr *)(message + 1),
                                                  header->nlmsg_len - NLMSG_LENGTH(sizeof *message), UNIX_DIAG_PEER);
    uint32_t inode = 0;
    if (attribute)
        copy_attribute(attribute, &inode, sizeof inode);
    answer->asked = true;
    answer->found = inode != 0;
    answer->inode = inode;
}

static void read_answer(const struct request *request, const struct nlmsghdr *header, struct diag_answer *answer) {
    if (header->nlmsg_type == NLMSG_ERROR)
        read_failure(header, answer);
    else if (request->body.sdiag_family == AF_UNIX)
        read_unix(header, answer);
    else
        read_inet(header, answer);
}

/*
 * The kernel has queued the answer when sendto() returns. Another thread, or a handler that interrupts us, may ask
 * in between and take our answer off the queue: whoever finds none asks once more. False: no answer to be had.
 */
static bool ask_once(int fd, struct request *request, struct scratch *scratch, struct diag_answer *answer) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    if (probe(SYS_sendto, fd, (long)request, request->header.nlmsg_len, MSG_DONTWAIT, (long)&kernel, sizeof kernel) < 0)
        return false;
    for (;;) {
        long length = probe(SYS_recvfrom, fd, (long)scratch->text, sizeof scratch->text, MSG_DONTWAIT, 0, 0);
        const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)scratch->text;
        if (length < (long)sizeof *header)
            return false;
        if (header->nlmsg_seq != request->header.nlmsg_seq)
            continue;
        read_answer(request, header, answer);
        return true;
    }
}

enum { TRIES = 8, TURNS = 200 };

static void ask_netlink(struct request *request, struct scratch *scratch, struct diag_answer *answer) {
    memset(answer, 0, sizeof *answer);
    int fd = own_descriptor(OWN_NETLINK);
    if (fd < 0)
        fd = open_netlink();
    if (fd < 0)
        return;
    int turn = 0;
    while (atomic_load(&busy) > 0 && turn++ < TURNS)
        probe(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    if (turn > TURNS)
        atomic_store(&busy, 0); /* somebody never came back: a thread cancelled, a handler that jumped away */
    atomic_fetch_add(&busy, 1);
    for (int i = 0; i < TRIES && !ask_once(fd, request, scratch, answer); i++)
        request->header.nlmsg_seq = atomic_fetch_add(&sequence, 1);
    atomic_fetch_sub(&busy, 1);
    atomic_fetch_add(&process_counters()->asked, 1);
}

static void ask_without_cookie(struct request *request, struct scratch *scratch, struct diag_answer *answer) {
    request->body.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
    request->body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    ask_netlink(request, scratch, answer);
}

/* Then the kernel may have met that one, and has said "not there" for its cookie. */
static bool another_listens(const struct identity *identity, struct scratch *scratch) {
    struct request request;
    struct diag_answer answer;
    fill_request(&request, &identity->local, &identity->remote, identity->interface, 0);
    ask_without_cookie(&request, scratch, &answer);
    return answer.found && answer.state == STATE_LISTEN;
}

static bool is_cookie(const struct nlmsghdr *header, uint64_t cookie) {
    const struct inet_diag_msg *message = NLMSG_DATA(header);
    return message->id.idiag_cookie[0] == (uint32_t)cookie && message->id.idiag_cookie[1] == (uint32_t)(cookie >> 32);
}

/* One datagram of a dump. False: there is no more, or no answer. */
static bool read_inet_part(const struct nlmsghdr *header, long length, uint64_t cookie, struct diag_answer *answer) {
    for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
            answer->asked = answer->asked && header->nlmsg_type == NLMSG_DONE;
            return false;
        }
        if (!answer->found && header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)) &&
            is_cookie(header, cookie))
            read_inet(header, answer);
    }
    return true;
}

/* All listeners on its port, of that family. */
static void dump_listeners(int fd, const struct identity *identity, uint8_t family, struct scratch *scratch,
                           struct diag_answer *answer) {
    struct request request;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    long length;
    fill_request(&request, &identity->local, &identity->remote, 0, 0);
    request.header.nlmsg_flags |= NLM_F_DUMP;
    request.body.sdiag_family = family;
    request.body.idiag_ext = 0;
    request.body.idiag_states = 1U << STATE_LISTEN;
    answer->asked = probe(SYS_sendto, fd, (long)&request, request.header.nlmsg_len, MSG_DONTWAIT, (long)&kernel,
                          sizeof kernel) >= 0;
    do
        length =
            answer->asked ? probe(SYS_recvfrom, fd, (long)scratch->line, sizeof scratch->line, MSG_DONTWAIT, 0, 0) : 0;
    while (length > 0 &&
           read_inet_part((const struct nlmsghdr *)(const void *)scratch->line, length, identity->cookie, answer));
    answer->asked = answer->asked && length > 0;
}

/*
 * By a descriptor of its own, since a dump comes in parts that another thread's question would take. A socket of IPv6
 * that is bound to an IPv4 address is of the other family.
 */
static void look_among_listeners(const struct identity *identity, struct scratch *scratch, struct diag_answer *answer) {
    uint64_t namespace = 0;
    socklen_t size = sizeof namespace;
    bool v4 = identity->local.family == ADDRESS_V4;
    memset(answer, 0, sizeof *answer);
    long fd = own_open(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return;
    probe(SYS_getsockopt, fd, SOL_SOCKET, SO_NETNS_COOKIE, (long)&namespace, (long)&size, 0);
    if (namespace == identity->namespace) {
        dump_listeners((int)fd, identity, v4 ? AF_INET : AF_INET6, scratch, answer);
        if (v4 && answer->asked && !answer->found)
            dump_listeners((int)fd, identity, AF_INET6, scratch, answer);
    }
    probe(SYS_close, fd, 0, 0, 0, 0, 0);
}

void diag_look_up(const struct identity *identity, struct scratch *scratch, struct diag_answer *answer) {
    struct request request;
    if (identity->mptcp) {
        memset(answer, 0, sizeof *answer);
        return;
    }
    fill_request(&request, &identity->local, &identity->remote, identity->interface, identity->cookie);
    ask_netlink(&request, scratch, answer);
    if (answer->asked && !answer->found && address_is_unspecified(&identity->remote) &&
        another_listens(identity, scratch))
        look_among_listeners(identity, scratch, answer);
}

void diag_look_up_peer(const struct identity *identity, struct scratch *scratch, struct diag_answer *answer) {
    struct request request;
    fill_request(&request, &identity->remote, &identity->local, 0, 0);
    ask_without_cookie(&request, scratch, answer);
    /* Without a cookie the kernel falls back to a listener on the port. */
    if (answer->found && answer->state == STATE_LISTEN)
        answer->found = false;
}

uint64_t diag_unix_peer(uint64_t inode, struct scratch *scratch) {
    struct request request;
    struct diag_answer answer;
    address_kernel(&request, sizeof request.unix_body);
    request.unix_body.sdiag_family = AF_UNIX;
    request.unix_body.udiag_states = ~0U;
    request.unix_body.udiag_ino = (uint32_t)inode;
    request.unix_body.udiag_show = UDIAG_SHOW_PEER;
    request.unix_body.udiag_cookie[0] = INET_DIAG_NOCOOKIE;
    request.unix_body.udiag_cookie[1] = INET_DIAG_NOCOOKIE;
    ask_netlink(&request, scratch, &answer);
    return answer.found ? answer.inode : 0;
}

/* It has its place among the connections, and we know the place. */
static bool can_be_found(const struct identity *identity, enum tcp_state state) {
    return state == STATE_LISTEN ||
           (state != STATE_UNSET && state != STATE_CLOSE && !address_is_unspecified(&identity->remote));
}

bool diag_prepare(const struct identity *identity, enum tcp_state state, struct scratch *scratch) {
    if (identity->mptcp)
        return false;
    if (own_holds(OWN_NETLINK) && identity->namespace && atomic_load(&looks_into) != identity->namespace)
        own_drop(OWN_NETLINK); /* perhaps this thread has moved to the socket's namespace meanwhile */
    if (!own_holds(OWN_NETLINK) && open_netlink() < 0)
        return false;
    if (identity->namespace && atomic_load(&looks_into) != identity->namespace)
        return false;
    bool provable = can_be_found(identity, state);
    if (state != STATE_CLOSE && !provable)
        return false;
    if (atomic_load(&trust) == TRUST_UNTRIED && provable) {
        struct diag_answer answer;
        diag_look_up(identity, scratch, &answer);
        if (answer.asked)
            atomic_store(&trust, answer.found ? TRUST_PROVEN : TRUST_NONE);
        else
            return false;
    }
    return atomic_load(&trust) == TRUST_PROVEN || (!provable && atomic_load(&trust) == TRUST_UNTRIED);
}

void diag_forked(void) {
    atomic_store(&busy, 0);
    own_forked();
}
