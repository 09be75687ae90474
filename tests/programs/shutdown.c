/* shutdown(), its three directions, and what a close has left to do after it. */
#include "pair.h"

static int direction(const char *name) {
    if (strcmp(name, "SHUT_RD") == 0)
        return SHUT_RD;
    return strcmp(name, "SHUT_WR") == 0 ? SHUT_WR : SHUT_RDWR;
}

/* shutdown(C, the direction given), then close(C). */
static int then_close(char **arguments) {
    struct pair pair = make_pair();
    int how = direction(arguments[0]);
    MUST(shutdown(pair.c, how));
    if (how == SHUT_RD) {
        EXPECT(state_of(pair.c) == TCP_ESTABLISHED);
    } else {
        WAIT_UNTIL(state_of(pair.c) == TCP_FIN_WAIT2);
        EXPECT(read_to_end(pair.s));
    }
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* What was there, and what comes, stays readable after SHUT_RD; whoever leaves it unread resets. */
static int read_side_unread(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    char byte;
    leave_unread(pair, 5);
    MUST(shutdown(pair.c, SHUT_RD));
    EXPECT(read(pair.c, &byte, 1) == 1);
    leave_unread(pair, 3);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* Whatever the references. */
static int shared(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int copy = MUST(dup(pair.c));
    tell("DUP=%d", copy);
    MUST(shutdown(pair.c, SHUT_WR));
    EXPECT(read_to_end(pair.s));
    WAIT_UNTIL(state_of(pair.c) == TCP_FIN_WAIT2);
    MUST(close(pair.c));
    MUST(close(copy));
    return 0;
}

static int twice(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(shutdown(pair.c, SHUT_WR));
    WAIT_UNTIL(state_of(pair.c) == TCP_FIN_WAIT2);
    MUST(shutdown(pair.c, SHUT_WR));
    MUST(shutdown(pair.c, SHUT_RDWR));
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* Nobody reads here any more: the kernel answers the peer's next write with an RST, and no call of C did it. */
static int peer_writes(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(shutdown(pair.c, SHUT_RDWR));
    EXPECT(read_to_end(pair.s));
    send_bytes(pair.s, 5);
    WAIT_UNTIL(state_of(pair.s) == TCP_CLOSE);
    WAIT_UNTIL(state_of(pair.c) == TCP_CLOSE);
    MUST(close(pair.c));
    return 0;
}

static int close_wait(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(shutdown(pair.s, SHUT_WR));
    EXPECT(read_to_end(pair.c));
    MUST(shutdown(pair.c, SHUT_WR));
    tell_end(pair.s);
    WAIT_UNTIL(state_of(pair.c) == TCP_CLOSE);
    return 0;
}

static int window_closed(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    fill(pair.c);
    MUST(shutdown(pair.c, SHUT_WR));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED);
    MUST(close(pair.c)); /* and the FIN still stands behind the data */
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED);
    tell_end(pair.s);
    return 0;
}

/* It fails with ENOTCONN, and has nothing to end. */
static int never_connected(char **arguments) {
    (void)arguments;
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    introduce("C", fd);
    EXPECT(shutdown(fd, SHUT_WR) < 0 && errno == ENOTCONN);
    MUST(close(fd));
    return 0;
}

static int corked(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    EXPECT(send(pair.c, "12345", 5, MSG_MORE) == 5);
    MUST(shutdown(pair.c, SHUT_WR));
    tell_end(pair.s);
    WAIT_UNTIL(state_of(pair.c) == TCP_FIN_WAIT2);
    MUST(close(pair.c));
    return 0;
}

SCENES({"then-close", then_close}, {"read-side-unread", read_side_unread}, {"shared", shared}, {"twice", twice},
       {"peer-writes", peer_writes}, {"close-wait", close_wait}, {"window-closed", window_closed},
       {"never-connected", never_connected}, {"corked", corked})
