/*
 * Connections that end by something else than a close of this side's: by the peer's RST, by a time-out of our own
 * kernel's, by SOCK_DESTROY, by an RST of this side's own; connects that never become a connection. Who is told, and by
 * which call: scenes take the call as an argument (read, write, error, connect, nothing).
 */
#include "pair.h"

#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <signal.h>

/* For the socket that receives them all segments are lost on the way. */
static void lose_all_to(int fd) {
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    struct sock_fprog program = {.len = 1, .filter = code};
    MUST(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

static int family_of(const char *word) {
    return word && strcmp(word, "v6") == 0 ? AF_INET6 : AF_INET;
}

static struct pair pair_of(int family) {
    struct pair pair = quiet_pair(family);
    introduce("C", pair.c);
    introduce("S", pair.s);
    return pair;
}

/* The call by which C learns of its end, and the error that it is told. */
static int told_by(const char *how, int fd) {
    char byte = 0;
    int error = 0;
    socklen_t size = sizeof error;
    errno = 0;
    if (strcmp(how, "read") == 0)
        return recv(fd, &byte, 1, 0) < 0 ? errno : 0;
    if (strcmp(how, "write") == 0)
        return send(fd, &byte, 1, MSG_NOSIGNAL) < 0 ? errno : 0;
    if (strcmp(how, "error") == 0)
        MUST(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    if (strcmp(how, "number") == 0)
        MUST(syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, &error, &size));
    return error;
}

static void told(const char *how, int fd, int expected) {
    if (strcmp(how, "nothing") != 0)
        EXPECT(told_by(how, fd) == expected);
}

static void wait_for_death(int fd) {
    WAIT_UNTIL(state_of(fd) == TCP_CLOSE);
}

/* reset HOW [v6] */
static int reset(char **arguments) {
    struct pair pair = pair_of(family_of(arguments[1]));
    linger(pair.s, 0);
    MUST(close(pair.s));
    wait_for_death(pair.c);
    told(arguments[0], pair.c, ECONNRESET);
    MUST(close(pair.c));
    return 0;
}

/* It was told on another descriptor than the one that is closed. */
static int reset_dup(char **arguments) {
    (void)arguments;
    struct pair pair = pair_of(AF_INET);
    linger(pair.s, 0);
    MUST(close(pair.s));
    wait_for_death(pair.c);
    told("read", pair.c, ECONNRESET);
    int copy = MUST(dup(pair.c));
    tell("DUP=%d", copy);
    MUST(close(pair.c));
    MUST(close(copy));
    return 0;
}

/* reset-exit: left to the end of the process. */
static int reset_exit(char **arguments) {
    struct pair pair = pair_of(AF_INET);
    linger(pair.s, 0);
    MUST(close(pair.s));
    wait_for_death(pair.c);
    told(arguments[0], pair.c, ECONNRESET);
    return 0;
}

/* The peer's FIN, then its RST: a write is told EPIPE. */
static int reset_close_wait(char **arguments) {
    struct pair pair = pair_of(AF_INET);
    MUST(shutdown(pair.s, SHUT_WR));
    WAIT_UNTIL(state_of(pair.c) == TCP_CLOSE_WAIT);
    linger(pair.s, 0);
    MUST(close(pair.s));
    wait_for_death(pair.c);
    told(arguments[0], pair.c, EPIPE);
    MUST(close(pair.c));
    return 0;
}

/* user-timeout HOW [v6]: what was sent is not acknowledged. */
static int user_timeout(char **arguments) {
    struct pair pair = pair_of(family_of(arguments[1]));
    lose_all_to(pair.s);
    tcp_option(pair.c, TCP_USER_TIMEOUT, 300);
    send_bytes(pair.c, 5);
    wait_for_death(pair.c);
    told(arguments[0], pair.c, ETIMEDOUT);
    if (strcmp(arguments[0], "read") == 0)
        EXPECT(told_by("write", pair.c) == EPIPE);
    MUST(close(pair.c));
    return 0;
}

/* keepalive HOW */
static int keepalive(char **arguments) {
    struct pair pair = pair_of(AF_INET);
    int on = 1;
    MUST(setsockopt(pair.c, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
    tcp_option(pair.c, TCP_KEEPIDLE, 1);
    tcp_option(pair.c, TCP_KEEPINTVL, 1);
    tcp_option(pair.c, TCP_KEEPCNT, 1);
    lose_all_to(pair.s);
    wait_for_death(pair.c);
    told(arguments[0], pair.c, ETIMEDOUT);
    MUST(close(pair.c));
    return 0;
}

/* As ss -K does. */
static void destroy(int fd) {
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 body;
    } request = {
        .header = {.nlmsg_len = sizeof request, .nlmsg_type = SOCK_DESTROY, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .body = {.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0U},
    };
    struct sockaddr_in local = {0}, remote = {0};
    socklen_t size = sizeof local;
    uint64_t cookie = 0;
    MUST(getsockname(fd, (struct sockaddr *)&local, &size));
    MUST(getpeername(fd, (struct sockaddr *)&remote, &size));
    size = sizeof cookie;
    MUST(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size));
    request.body.id.idiag_sport = local.sin_port;
    request.body.id.idiag_dport = remote.sin_port;
    request.body.id.idiag_src[0] = local.sin_addr.s_addr;
    request.body.id.idiag_dst[0] = remote.sin_addr.s_addr;
    memcpy(request.body.id.idiag_cookie, &cookie, sizeof cookie);
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
    } answer = {0};
    int netlink = MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    MUST(send(netlink, &request, sizeof request, 0));
    MUST(recv(netlink, &answer, sizeof answer, 0));
    MUST(close(netlink));
    if (answer.error.error == -EOPNOTSUPP)
        skip("the kernel destroys no sockets");
    EXPECT(answer.error.error == 0);
}

/* destroyed HOW */
static int destroyed(char **arguments) {
    struct pair pair = pair_of(AF_INET);
    destroy(pair.c);
    wait_for_death(pair.c);
    told(arguments[0], pair.c, ECONNABORTED);
    MUST(close(pair.c));
    return 0;
}

static void disconnect(int fd) {
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    MUST(connect(fd, &nobody, sizeof nobody));
}

/* own-reset HOW: this side sends the RST, and is told of it as of an error. */
static int own_reset(char **arguments) {
    struct pair pair = pair_of(AF_INET);
    disconnect(pair.c);
    told(arguments[0], pair.c, ECONNRESET);
    MUST(close(pair.c));
    return 0;
}

/* A child sends the RST, the parent is told. */
static int child_resets(char **arguments) {
    struct pair pair = pair_of(AF_INET);
    pid_t child = MUST(fork());
    if (child == 0) {
        disconnect(pair.c);
        _exit(0);
    }
    int status;
    MUST(waitpid(child, &status, 0));
    told(arguments[0], pair.c, ECONNRESET);
    MUST(close(pair.c));
    return 0;
}

/* Both directions were shut down: what the peer sends then our own kernel resets. */
static int shut_both(char **arguments) {
    struct pair pair = pair_of(AF_INET);
    MUST(shutdown(pair.c, SHUT_RDWR));
    WAIT_UNTIL(state_of(pair.c) == TCP_FIN_WAIT2);
    send_bytes(pair.s, 5);
    wait_for_death(pair.c);
    told(arguments[0], pair.c, ECONNRESET);
    MUST(close(pair.c));
    return 0;
}

/* ---- bytes received, to which the kernel adds the FIN ---- */

/* received HOW: 100 bytes come, then the FIN, and C closes in CLOSE. */
static int received(char **arguments) {
    struct pair pair = pair_of(AF_INET);
    char bytes[200];
    bool first = strcmp(arguments[0], "peer-first") == 0, reads = strcmp(arguments[0], "unread") != 0;
    send_bytes(pair.s, 100);
    EXPECT(recv(pair.c, bytes, sizeof bytes, MSG_WAITALL | MSG_DONTWAIT) >= 0 || errno == EAGAIN);
    if (first)
        MUST(shutdown(pair.s, SHUT_WR));
    MUST(shutdown(pair.c, SHUT_WR));
    if (!first)
        MUST(close(pair.s));
    wait_for_death(pair.c);
    if (reads)
        EXPECT(read_to_end(pair.c));
    MUST(close(pair.c));
    return 0;
}

/* No FIN came, but an RST, when its own FIN was acknowledged. */
static int received_reset(char **arguments) {
    struct pair pair = pair_of(AF_INET);
    char bytes[100];
    leave_unread(pair, 100);
    EXPECT(recv(pair.c, bytes, sizeof bytes, 0) == 100);
    MUST(shutdown(pair.c, SHUT_WR));
    WAIT_UNTIL(state_of(pair.c) == TCP_FIN_WAIT2);
    linger(pair.s, 0);
    MUST(close(pair.s));
    wait_for_death(pair.c);
    told(arguments[0], pair.c, ECONNRESET);
    MUST(close(pair.c));
    return 0;
}

/* ---- connects ---- */

/* The address of a port that nobody listens on. */
static struct sockaddr_storage nobody(int family, socklen_t *size) {
    int listener = listen_on_loopback(family, 1);
    struct sockaddr_storage name = name_of(listener);
    *size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    MUST(close(listener));
    return name;
}

static int client_socket(int family, bool waits) {
    int fd = MUST(socket(family, SOCK_STREAM | (waits ? 0 : SOCK_NONBLOCK), 0));
    introduce("C", fd);
    return fd;
}

/* What was under way has ended. */
static void await_end(int fd) {
    struct pollfd entry = {.fd = fd, .events = POLLOUT};
    EXPECT(poll(&entry, 1, LIMIT_MS) == 1 && (entry.revents & POLLERR));
}

static void tell_remote(const struct sockaddr_storage *name) {
    tell("REMOTE=%s", address_text(name));
}

/* refused [v6] */
static int refused(char **arguments) {
    socklen_t size;
    struct sockaddr_storage name = nobody(family_of(arguments[0]), &size);
    tell_remote(&name);
    int fd = client_socket(name.ss_family, true);
    EXPECT(connect(fd, (struct sockaddr *)&name, size) == -1 && errno == ECONNREFUSED);
    MUST(close(fd));
    return 0;
}

/* refused-later HOW [v6] */
static int refused_later(char **arguments) {
    socklen_t size;
    struct sockaddr_storage name = nobody(family_of(arguments[1]), &size);
    tell_remote(&name);
    int fd = client_socket(name.ss_family, false);
    EXPECT(connect(fd, (struct sockaddr *)&name, size) == -1 && (errno == EINPROGRESS || errno == ECONNREFUSED));
    await_end(fd);
    if (strcmp(arguments[0], "connect") == 0)
        EXPECT(connect(fd, (struct sockaddr *)&name, size) == -1 && errno == ECONNREFUSED);
    else
        told(arguments[0], fd, ECONNREFUSED);
    MUST(close(fd));
    return 0;
}

/* Nobody answers the SYN. connect-timed-out wait|later */
static int connect_timed_out(char **arguments) {
    bool waits = strcmp(arguments[0], "wait") == 0;
    int listener = listen_on_loopback(AF_INET, 1);
    struct sockaddr_storage name = name_of(listener);
    lose_all_to(listener);
    tell_remote(&name);
    int fd = client_socket(AF_INET, waits);
    tcp_option(fd, TCP_SYNCNT, 1);
    int result = connect(fd, (struct sockaddr *)&name, sizeof(struct sockaddr_in));
    EXPECT(result == -1 && errno == (waits ? ETIMEDOUT : EINPROGRESS));
    if (!waits) {
        await_end(fd);
        told("error", fd, ETIMEDOUT);
    }
    MUST(close(fd));
    return 0;
}

/* By a send with MSG_FASTOPEN. */
static int refused_fast(char **arguments) {
    (void)arguments;
    socklen_t size;
    struct sockaddr_storage name = nobody(AF_INET, &size);
    tell_remote(&name);
    int fd = client_socket(AF_INET, true);
    EXPECT(sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&name, size) == -1);
    EXPECT(errno == ECONNREFUSED);
    MUST(close(fd));
    return 0;
}

/* A socket that never was connected: a send is refused, and there is no peer to blame. */
static int never_connected(char **arguments) {
    (void)arguments;
    int fd = client_socket(AF_INET, true);
    for (int i = 0; i < 2; i++)
        EXPECT(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    MUST(close(fd));
    return 0;
}

SCENES({"reset", reset}, {"reset-dup", reset_dup}, {"reset-exit", reset_exit}, {"reset-close-wait", reset_close_wait},
       {"user-timeout", user_timeout}, {"keepalive", keepalive}, {"destroyed", destroyed}, {"own-reset", own_reset},
       {"child-resets", child_resets}, {"shut-both", shut_both}, {"received", received},
       {"received-reset", received_reset}, {"refused", refused}, {"refused-later", refused_later},
       {"connect-timed-out", connect_timed_out}, {"refused-fast", refused_fast}, {"never-connected", never_connected})
