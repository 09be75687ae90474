#define _GNU_SOURCE
#include "tcp_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "seccomp_guard.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif

static _Atomic uint32_t own_odd_options;
_Atomic uint32_t *socket_odd_options = &own_odd_options;

void socket_option_set(int level, int name) {
    if ((level == IPPROTO_TCP && (name == TCP_LINGER2 || name == TCP_REPAIR)) ||
        (level == SOL_SOCKET && name == SO_LINGER))
        atomic_store(socket_odd_options, 1);
}

/* getsockopt of a value with a fixed size. */
static bool option(int fd, int level, int name, void *value, socklen_t size) {
    return probe(SYS_getsockopt, fd, level, name, (long)value, (long)&size, 0) == 0;
}

static long protocol_of(int fd, int *protocol) {
    socklen_t size = sizeof *protocol;
    *protocol = 0;
    return probe(SYS_getsockopt, fd, SOL_SOCKET, SO_PROTOCOL, (long)protocol, (long)&size, 0);
}

enum socket_kind socket_kind(int fd) {
    int protocol;
    long result = protocol_of(fd, &protocol);
    if (result == -EBADF || result == -EPERM)
        return SOCKET_GONE;
    return result == 0 && (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP) ? SOCKET_TCP : SOCKET_OTHER;
}

bool socket_is_mptcp(int fd) {
    int protocol;
    return protocol_of(fd, &protocol) == 0 && protocol == IPPROTO_MPTCP;
}

uint64_t socket_cookie(int fd) {
    uint64_t cookie = 0;
    return option(fd, SOL_SOCKET, SO_COOKIE, &cookie, sizeof cookie) ? cookie : 0;
}

static void read_name(long call, int fd, struct address *address) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    memset(address, 0, sizeof *address);
    if (probe(call, fd, (long)&storage, (long)&length, 0, 0, 0) == 0)
        address_from_sockaddr(address, (const struct sockaddr *)&storage, length);
}

void socket_local_name(int fd, struct identity *identity) {
    read_name(SYS_getsockname, fd, &identity->local);
}

void socket_remote_name(int fd, struct identity *identity) {
    read_name(SYS_getpeername, fd, &identity->remote);
}

void socket_names(int fd, struct identity *identity) {
    socket_local_name(fd, identity);
    socket_remote_name(fd, identity);
}

bool socket_identify(int fd, struct identity *identity) {
    memset(identity, 0, sizeof *identity);
    identity->role = ROLE_UNKNOWN;
    identity->cookie = socket_cookie(fd);
    if (!identity->cookie)
        return false;
    identity->mptcp = socket_is_mptcp(fd);
    option(fd, SOL_SOCKET, SO_NETNS_COOKIE, &identity->namespace, sizeof identity->namespace);
    option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &identity->interface, sizeof identity->interface);
    socket_names(fd, identity);
    return true;
}

static uint64_t at_least_zero(int64_t number) {
    return number > 0 ? (uint64_t)number : 0;
}

/*
 * Whether our FIN was acknowledged, of a socket in CLOSE: bytes_acked counts the sequence numbers that the peer
 * has acknowledged, so also the client's SYN and the FIN (tcp_snd_una_update in net/ipv4/tcp_input.c);
 * bytes_sent and bytes_retrans count data alone.
 */
static bool fin_acknowledged(const struct tcp_info *info, enum event_role role) {
    uint64_t data = info->tcpi_bytes_sent - info->tcpi_bytes_retrans;
    return info->tcpi_bytes_acked > data + (role == ROLE_SERVER ? 0 : 1);
}

/* tcpi_min_rtt is ~0 until something was acknowledged; options are those agreed on in the handshake. */
static bool handshake_done(const struct tcp_info *info) {
    return info->tcpi_options || info->tcpi_min_rtt != ~0U || info->tcpi_bytes_received > 0;
}

/* bytes_received counts the peer's FIN as one (tcp_rcv_nxt_update). */
static bool counts_peer_fin(enum tcp_state state) {
    return state == STATE_CLOSE_WAIT || state == STATE_LAST_ACK || state == STATE_CLOSING;
}

static uint64_t unacknowledged(int fd, const struct tcp_info *info, bool fin_sent) {
    if (info->tcpi_unacked == 0)
        return 0;
    int queued = 0;
    if (probe(SYS_ioctl, fd, SIOCOUTQ, (long)&queued, 0, 0, 0) < 0)
        return 0;
    return at_least_zero((int64_t)queued - info->tcpi_notsent_bytes - fin_sent);
}

/*
 * What a close would find in the receive queue. SIOCINQ says 0 at an out-of-band byte, though the byte is still
 * there and turns the close into a reset, so a queue that holds memory at the urgent mark counts as one byte.
 */
static uint64_t unread_bytes(int fd, enum tcp_state state) {
    uint32_t memory[9] = {0};
    if (option(fd, SOL_SOCKET, SO_MEMINFO, memory, sizeof memory) && memory[0] == 0)
        return 0;
    if (state == STATE_SYN_RECV) /* of TCP fast open, where SIOCINQ says 0 */
        return memory[0] > 0;
    int queued = 0, at_mark = 0;
    if (probe(SYS_ioctl, fd, SIOCINQ, (long)&queued, 0, 0, 0) == 0 && queued > 0)
        return (uint64_t)queued;
    return probe(SYS_ioctl, fd, SIOCATMARK, (long)&at_mark, 0, 0, 0) == 0 && at_mark ? 1 : 0;
}

static bool lingers_for_zero(int fd) {
    struct linger linger = {0};
    return option(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) && linger.l_onoff && linger.l_linger == 0;
}

static bool lingers_in_fin_wait2_not_at_all(int fd) {
    int seconds = 0;
    return option(fd, IPPROTO_TCP, TCP_LINGER2, &seconds, sizeof seconds) && seconds < 0;
}

static bool in_repair(int fd) {
    int on = 0;
    return option(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) && on;
}

bool socket_stand(int fd, enum event_role role, bool for_close, struct standing *standing) {
    struct tcp_info info;
    struct before *before = &standing->before;
    memset(standing, 0, sizeof *standing);
    memset(&info, 0, sizeof info);
    if (!option(fd, IPPROTO_TCP, TCP_INFO, &info, sizeof info))
        return false;
    standing->known = true;
    before->state = (enum tcp_state)info.tcpi_state;
    if (before->state == STATE_LISTEN) {
        before->pending = info.tcpi_unacked; /* the accept queue's length: tcp_get_info() in net/ipv4/tcp.c */
        return true;
    }
    before->was_connected = handshake_done(&info);
    before->fin_sent = before->state == STATE_CLOSE && before->was_connected && fin_acknowledged(&info, role);
    if (before->was_connected)
        standing->idle_us = 1000ULL * (info.tcpi_last_data_sent < info.tcpi_last_data_recv ? info.tcpi_last_data_sent
                                                                                           : info.tcpi_last_data_recv);
    if (info.tcpi_last_ack_recv > info.tcpi_last_data_sent)
        standing->after_last_us = 1000ULL * (info.tcpi_last_ack_recv - info.tcpi_last_data_sent);
    standing->sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
    standing->received = info.tcpi_bytes_received - (counts_peer_fin(before->state) ? 1 : 0);
    bool fin_out =
        before->state == STATE_FIN_WAIT1 || before->state == STATE_CLOSING || before->state == STATE_LAST_ACK;
    before->fin_unsent = fin_out && info.tcpi_notsent_bytes > 0; /* the FIN counts as one of them */
    if (before->state != STATE_CLOSE)                            /* where the numbers are left over from what it was */
        standing->unsent = at_least_zero((int64_t)info.tcpi_notsent_bytes - before->fin_unsent);
    standing->unacked = unacknowledged(fd, &info, fin_out && !before->fin_unsent);
    before->fin_would_wait = standing->unsent > 0 && standing->unacked + standing->unsent + 1 > info.tcpi_snd_wnd;
    before->unread = unread_bytes(fd, before->state);
    if (for_close && before->was_connected && before->state != STATE_CLOSE) {
        bool odd = atomic_load_explicit(socket_odd_options, memory_order_relaxed) || role == ROLE_UNKNOWN;
        before->linger_zero = odd && lingers_for_zero(fd);
        before->linger2_negative = odd && lingers_in_fin_wait2_not_at_all(fd);
        before->repair = odd && in_repair(fd);
    }
    return true;
}

enum tcp_state socket_state(int fd) {
    struct standing standing;
    return socket_stand(fd, ROLE_UNKNOWN, false, &standing) ? standing.before.state : STATE_CLOSE;
}

bool socket_has_error(int fd) {
    struct pollfd entry = {.fd = fd};
    return probe(SYS_poll, (long)&entry, 1, 0, 0, 0, 0) > 0 && (entry.revents & POLLERR);
}

bool socket_peer_has_closed(enum tcp_state state) {
    return state == STATE_CLOSE || state == STATE_CLOSE_WAIT || state == STATE_LAST_ACK || state == STATE_CLOSING ||
           state == STATE_TIME_WAIT;
}

bool socket_hold_is_over(enum tcp_state state, bool until_peer_closes) {
    return state == STATE_CLOSE || state == STATE_TIME_WAIT || (until_peer_closes && socket_peer_has_closed(state));
}

bool socket_closes_on_exec(int fd) {
    long flags = probe(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0);
    return flags >= 0 && (flags & FD_CLOEXEC);
}

uint64_t socket_inode(int fd) {
    struct stat status;
    return probe(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 && S_ISSOCK(status.st_mode) ? status.st_ino : 0;
}

bool socket_disconnect(int fd) {
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    return probe(SYS_connect, fd, (long)&nobody, sizeof nobody, 0, 0, 0) == 0;
}
