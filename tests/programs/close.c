/* close() of the last reference, in every state a connection can be in: what leaves then? */
#include "pair.h"

#include <linux/filter.h>
#include <sys/epoll.h>

static int last(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(close(pair.c));
    tell_end(pair.s);
    MUST(close(pair.s));
    return 0;
}

/* An epoll set knows the socket, and holds no reference to it. */
static int in_epoll_set(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int set = MUST(epoll_create1(EPOLL_CLOEXEC));
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, pair.c, &(struct epoll_event){.events = EPOLLIN}));
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* The peer's FIN has come, everything is read. */
static int close_wait(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    leave_unread(pair, 5);
    MUST(close(pair.s));
    EXPECT(read_to_end(pair.c));
    MUST(close(pair.c));
    return 0;
}

/* Drops, on arrival, every segment with a FIN: for the receiving socket it was lost on the way. */
static void lose_fins_to(int fd) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* the TCP header's flags */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x01, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    MUST(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

/* In CLOSE_WAIT, and the last ACK does not come: the kernel is found in LAST_ACK. */
static int last_ack(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    lose_fins_to(pair.s);
    MUST(shutdown(pair.s, SHUT_WR));
    EXPECT(read_to_end(pair.c));
    MUST(close(pair.c));
    return 0;
}

/* Both end before either's FIN has arrived. */
static int crossing(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    lose_fins_to(pair.s);
    MUST(close(pair.c));
    MUST(close(pair.s));
    return 0;
}

/* A descriptor whose socket is in CLOSING: its FIN has left and was not acknowledged, the peer's has come. */
static int closing(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    lose_fins_to(pair.s);
    MUST(shutdown(pair.c, SHUT_WR));
    MUST(shutdown(pair.s, SHUT_WR));
    WAIT_UNTIL(state_of(pair.c) == TCP_CLOSING);
    MUST(close(pair.c));
    return 0;
}

static int unread(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    leave_unread(pair, 5);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* Part of it was read: what was left counts. */
static int unread_rest(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    char byte;
    leave_unread(pair, 5);
    EXPECT(read(pair.c, &byte, 1) == 1);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

static int unread_close_wait(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    leave_unread(pair, 5);
    MUST(close(pair.s));
    WAIT_UNTIL(state_of(pair.c) == TCP_CLOSE_WAIT);
    MUST(close(pair.c));
    return 0;
}

static int unread_after_shutdown(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(shutdown(pair.c, SHUT_WR));
    WAIT_UNTIL(state_of(pair.c) == TCP_FIN_WAIT2);
    leave_unread(pair, 5);
    MUST(close(pair.c));
    WAIT_UNTIL(state_of(pair.s) == TCP_CLOSE);
    return 0;
}

static void leave_out_of_band(struct pair pair) {
    EXPECT(send(pair.s, "!", 1, MSG_OOB) == 1);
    struct pollfd entry = {.fd = pair.c, .events = POLLPRI};
    EXPECT(poll(&entry, 1, LIMIT_MS) == 1);
}

static int out_of_band(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    leave_out_of_band(pair);
    EXPECT(unread_of(pair.c) == 0); /* which is why one must not believe it */
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

static int out_of_band_read(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    char byte;
    leave_out_of_band(pair);
    EXPECT(recv(pair.c, &byte, 1, MSG_OOB) == 1);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

static int linger_zero(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    linger(pair.c, 0);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

static int linger_zero_close_wait(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    linger(pair.c, 0);
    MUST(close(pair.s));
    EXPECT(read_to_end(pair.c));
    MUST(close(pair.c));
    return 0;
}

static int linger_zero_after_shutdown(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    linger(pair.c, 0);
    MUST(shutdown(pair.c, SHUT_WR));
    WAIT_UNTIL(state_of(pair.c) == TCP_FIN_WAIT2);
    EXPECT(read_to_end(pair.s));
    MUST(close(pair.c));
    WAIT_UNTIL(state_of(pair.s) == TCP_CLOSE);
    return 0;
}

/* Unacknowledged data, and time to wait for it: an orderly end. */
static int linger_seconds(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    linger(pair.c, 5);
    send_bytes(pair.c, 100);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* The FIN stands behind data that the peer makes no room for, until it reads. */
static int window_closed(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    fill(pair.c);
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED);

    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    tell("DRAINED=%lld.%06ld", (long long)now.tv_sec, now.tv_nsec / 1000);
    tell_end(pair.s);
    return 0;
}

static int corked(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    tcp_option(pair.c, TCP_CORK, 1);
    send_bytes(pair.c, 5);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

static int more(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    EXPECT(send(pair.c, "12345", 5, MSG_MORE) == 5);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* Never more than socket(). */
static int never_connected(char **arguments) {
    (void)arguments;
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    introduce("C", fd);
    MUST(close(fd));
    return 0;
}

/* The SYN is not answered: the listener's queue, for one connection, is full. */
static int syn_sent(char **arguments) {
    (void)arguments;
    int listener = listen_on_loopback(AF_INET, 0);
    int waiting = connect_to(listener);
    WAIT_UNTIL(info_of(listener).tcpi_unacked == 1); /* of a listener: the length of its queue */

    struct sockaddr_storage name = name_of(listener);
    int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    EXPECT(connect(fd, (struct sockaddr *)&name, sizeof(struct sockaddr_in)) < 0 && errno == EINPROGRESS);
    introduce("C", fd);
    EXPECT(state_of(fd) == TCP_SYN_SENT);
    MUST(close(fd));
    MUST(close(waiting));
    return 0;
}

static int refused(char **arguments) {
    (void)arguments;
    int listener = listen_on_loopback(AF_INET, 1);
    struct sockaddr_storage name = name_of(listener);
    MUST(close(listener));

    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT(connect(fd, (struct sockaddr *)&name, sizeof(struct sockaddr_in)) < 0 && errno == ECONNREFUSED);
    introduce("C", fd);
    MUST(close(fd));
    return 0;
}

static int peer_reset(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    linger(pair.s, 0);
    MUST(close(pair.s));
    WAIT_UNTIL(state_of(pair.c) == TCP_CLOSE);
    MUST(close(pair.c));
    return 0;
}

static int after_shutdown(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(shutdown(pair.c, SHUT_WR));
    WAIT_UNTIL(state_of(pair.c) == TCP_FIN_WAIT2);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* Shut down here, then by the peer: all is over before the close (TCP_INFO says CLOSE, the kernel has TIME_WAIT). */
static int time_wait(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(shutdown(pair.c, SHUT_WR));
    EXPECT(read_to_end(pair.s));
    MUST(close(pair.s));
    EXPECT(read_to_end(pair.c));
    WAIT_UNTIL(state_of(pair.c) == TCP_CLOSE);
    MUST(close(pair.c));
    return 0;
}

/* The peer ended first, then our shutdown: all is over, and no TIME_WAIT on this side. */
static int after_last_ack(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(shutdown(pair.s, SHUT_WR));
    EXPECT(read_to_end(pair.c));
    MUST(shutdown(pair.c, SHUT_WR));
    WAIT_UNTIL(state_of(pair.c) == TCP_CLOSE);
    MUST(close(pair.c));
    return 0;
}

/* The RST leaves when the FIN is acknowledged, which takes as long as the peer delays its ACK. */
static int linger2_negative(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    tcp_option(pair.c, TCP_LINGER2, -1);
    MUST(close(pair.c));
    WAIT_UNTIL(state_of(pair.s) == TCP_CLOSE);
    return 0;
}

/* A lingering close waits for that acknowledgement: the RST has left when it returns. */
static int linger2_negative_waiting(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    tcp_option(pair.c, TCP_LINGER2, -1);
    linger(pair.c, 5);
    MUST(close(pair.c));
    WAIT_UNTIL(state_of(pair.s) == TCP_CLOSE);
    return 0;
}

/* Frozen for a checkpoint: it goes without a word, and its peer waits on. */
static int repair(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int on = 1;
    if (setsockopt(pair.c, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) < 0)
        skip("TCP_REPAIR is not permitted");
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED);
    linger(pair.s, 0);
    return 0;
}

/* connect() to nowhere: an abort, and the descriptor is as new. */
static int disconnect(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(connect(pair.c, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)));
    tell_end(pair.s);
    EXPECT(state_of(pair.c) == TCP_CLOSE);
    MUST(close(pair.c));
    return 0;
}

/* After the end of C no call of C has anything to do with the RST that answers S. */
static int peer_writes(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(close(pair.c));
    EXPECT(read_to_end(pair.s));
    send_bytes(pair.s, 5);
    WAIT_UNTIL(state_of(pair.s) == TCP_CLOSE);
    EXPECT(send(pair.s, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
    return 0;
}

/* Whether the kernel still has a socket with that local port, in whatever state. */
static bool port_is_known(unsigned port) {
    char line[256], pattern[16];
    bool found = false;
    FILE *table = fopen("/proc/self/net/tcp", "re");
    EXPECT(table);
    snprintf(pattern, sizeof pattern, ":%04X ", port);
    while (fgets(line, sizeof line, table)) {
        const char *local = strchr(line, ':'); /* "   0: 0100007F:0016 00000000:0000 ..." */
        const char *colon = local ? strchr(local + 1, ':') : NULL;
        found = found || (colon && strncmp(colon, pattern, strlen(pattern)) == 0);
    }
    fclose(table);
    return found;
}

/* An orphan does not wait in FIN_WAIT2 for ever; what the peer sends after its time is answered with an RST. */
static int orphan_expires(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    struct sockaddr_storage name = name_of(pair.c);
    unsigned port = ntohs(((struct sockaddr_in *)&name)->sin_port);
    tcp_option(pair.c, TCP_LINGER2, 1);
    EXPECT(port_is_known(port));
    MUST(close(pair.c));
    EXPECT(read_to_end(pair.s));
    WAIT_UNTIL(!port_is_known(port));
    send_bytes(pair.s, 5);
    WAIT_UNTIL(state_of(pair.s) == TCP_CLOSE);
    return 0;
}

/* Drops, on arrival, every segment without a SYN; what is accepted inherits that. */
static void lose_all_but_syns_to(int fd) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    MUST(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

static void allow_fast_open(void) {
    int fd = open("/proc/sys/net/ipv4/tcp_fastopen", O_WRONLY);
    if (fd < 0 || write(fd, "1543", 4) != 4)
        skip("no TCP fast open here");
    MUST(close(fd));
}

/* Accepted in SYN_RECV, with data: fast-open read|unread [v6] */
static int fast_open(char **arguments) {
    int family = arguments[1] ? AF_INET6 : AF_INET;
    allow_fast_open();
    int listener = listen_on_loopback(family, 1), client = MUST(socket(family, SOCK_STREAM, 0));
    struct sockaddr_storage name = name_of(listener);
    socklen_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    char bytes[5];
    tcp_option(listener, TCP_FASTOPEN, 5);
    lose_all_but_syns_to(listener);
    EXPECT(sendto(client, "hello", 5, MSG_FASTOPEN, (struct sockaddr *)&name, size) == 5);
    int fd = MUST(accept(listener, NULL, NULL));
    introduce("C", fd);
    introduce("S", client);
    EXPECT(state_of(fd) == TCP_SYN_RECV);
    if (strcmp(arguments[0], "read") == 0)
        EXPECT(recv(fd, bytes, sizeof bytes, 0) == 5);
    MUST(close(fd));
    tell_end(client);
    return 0;
}

enum { WAITING = 3 };

static int listener_with_queue(int clients[WAITING]) {
    int listener = listen_on_loopback(AF_INET, WAITING);
    introduce("C", listener);
    for (int i = 0; i < WAITING; i++)
        clients[i] = connect_to(listener);
    WAIT_UNTIL(info_of(listener).tcpi_unacked == WAITING);
    return listener;
}

static void wait_for_resets(const int clients[WAITING]) {
    for (int i = 0; i < WAITING; i++)
        EXPECT(!read_to_end(clients[i]));
}

static int listener(char **arguments) {
    (void)arguments;
    int clients[WAITING];
    int fd = listener_with_queue(clients);
    MUST(close(fd));
    wait_for_resets(clients);
    return 0;
}

static int idle_listener(char **arguments) {
    (void)arguments;
    int fd = listen_on_loopback(AF_INET, WAITING);
    introduce("C", fd);
    MUST(close(fd));
    return 0;
}

static int shared_listener(char **arguments) {
    (void)arguments;
    int clients[WAITING];
    int fd = listener_with_queue(clients);
    int copy = MUST(dup(fd));
    tell("DUP=%d", copy);
    MUST(close(fd));
    for (int i = 0; i < WAITING; i++)
        EXPECT(!ended(clients[i]));
    MUST(close(copy));
    wait_for_resets(clients);
    return 0;
}

static int shut_listener(char **arguments) {
    int clients[WAITING];
    int fd = listener_with_queue(clients);
    MUST(shutdown(fd, strcmp(arguments[0], "SHUT_RD") == 0 ? SHUT_RD : SHUT_RDWR));
    wait_for_resets(clients);
    MUST(close(fd));
    return 0;
}

SCENES({"last", last}, {"in-epoll-set", in_epoll_set}, {"close-wait", close_wait}, {"last-ack", last_ack},
       {"crossing", crossing}, {"closing", closing}, {"unread", unread}, {"unread-rest", unread_rest},
       {"unread-close-wait", unread_close_wait}, {"unread-after-shutdown", unread_after_shutdown},
       {"out-of-band", out_of_band}, {"out-of-band-read", out_of_band_read}, {"linger-zero", linger_zero},
       {"linger-zero-close-wait", linger_zero_close_wait}, {"linger-zero-after-shutdown", linger_zero_after_shutdown},
       {"linger-seconds", linger_seconds}, {"window-closed", window_closed}, {"corked", corked}, {"more", more},
       {"never-connected", never_connected}, {"syn-sent", syn_sent}, {"refused", refused}, {"peer-reset", peer_reset},
       {"after-shutdown", after_shutdown}, {"time-wait", time_wait}, {"after-last-ack", after_last_ack},
       {"linger2-negative", linger2_negative}, {"linger2-negative-waiting", linger2_negative_waiting},
       {"repair", repair}, {"disconnect", disconnect}, {"peer-writes", peer_writes}, {"orphan-expires", orphan_expires},
       {"listener", listener}, {"idle-listener", idle_listener}, {"shared-listener", shared_listener},
       {"shut-listener", shut_listener}, {"fast-open", fast_open})
