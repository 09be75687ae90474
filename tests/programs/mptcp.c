/* Connections of MPTCP (protocol 262): what is told of them, and of the TCP connection that a listener of it accepts.
 */
#include "pair.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int mptcp_socket(void) {
    int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
    if (fd < 0)
        skip("the kernel has no MPTCP");
    return fd;
}

/* C connects to S by that protocol; the listener is one of MPTCP. */
static struct pair pair_by(int protocol) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    struct pair pair;
    int listener = mptcp_socket();
    MUST(bind(listener, (struct sockaddr *)&name, size));
    MUST(listen(listener, 1));
    MUST(getsockname(listener, (struct sockaddr *)&name, &size));
    pair.c = protocol == IPPROTO_MPTCP ? mptcp_socket() : MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(connect(pair.c, (struct sockaddr *)&name, size));
    pair.s = MUST(accept(listener, NULL, NULL));
    MUST(close(listener));
    introduce("C", pair.c);
    introduce("S", pair.s);
    return pair;
}

/* ends close|dup|exit|child [mptcp|tcp] */
static int ends(char **arguments) {
    struct pair pair = pair_by(arguments[1] ? IPPROTO_TCP : IPPROTO_MPTCP);
    char bytes[4];
    send_bytes(pair.c, 4);
    EXPECT(recv(pair.s, bytes, 4, MSG_WAITALL) == 4);
    if (strcmp(arguments[0], "dup") == 0) {
        int copy = MUST(dup(pair.c));
        tell("DUP=%d", copy);
        MUST(close(pair.c));
        pair.c = copy;
    }
    if (strcmp(arguments[0], "shutdown") == 0)
        MUST(shutdown(pair.c, SHUT_WR));
    else
        MUST(close(pair.c));
    EXPECT(read_to_end(pair.s));
    MUST(close(pair.s));
    return 0;
}

SCENES({"ends", ends})
