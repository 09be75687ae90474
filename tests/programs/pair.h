/*
 * What the test programs share: a TCP connection with both ends in hand, facts told to the test, and waits that
 * end when something has happened (or abort the program: nothing is left to luck or to a sleep).
 *
 * C is the side acted on, S its peer. A program is one subject; each of its scenes makes one situation:
 *
 *     build/tests/programs/close dup        plays the scene "dup"
 *
 * It tells the test what it needs to know as KEY=VALUE lines on standard output: C (local address), C_COOKIE,
 * C_FD, the same of S, PID, and what the scene adds. Exit status 0: the scene went as it should have; 77: this
 * machine cannot play it (SKIP=reason); else it prints on stderr what went wrong.
 */
#ifndef TESTS_PROGRAMS_PAIR_H
#define TESTS_PROGRAMS_PAIR_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_MS = 10000, EXIT_SKIP = 77 };

#define LOCAL_HELPER static inline __attribute__((unused))

/* ---- telling ---- */

/* One whole line in one write, so that lines of several processes never mix and nothing waits in a buffer. */
LOCAL_HELPER void tell(const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    line[length++] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)length) != length)
        _exit(2);
}

LOCAL_HELPER void complain(const char *what) {
    dprintf(STDERR_FILENO, "%s (errno: %s)\n", what, strerror(errno));
}

/* Something that had to work has not. At once: the sockets of a failed scene prove nothing. */
_Noreturn LOCAL_HELPER void fail(const char *what) {
    complain(what);
    _Exit(1);
}

_Noreturn LOCAL_HELPER void skip(const char *reason) {
    tell("SKIP=%s", reason);
    _exit(EXIT_SKIP);
}

/* The result of a system call; a scene goes on only if it has worked. */
#define MUST(call) must((long)(call), #call)
LOCAL_HELPER int must(long result, const char *call) {
    if (result < 0)
        fail(call);
    return (int)result;
}

/* ---- waiting ---- */

LOCAL_HELPER void pause_a_moment(void) {
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

LOCAL_HELPER long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until the condition holds, and fails the scene if it never does. */
#define WAIT_UNTIL(condition)                           \
    do {                                                \
        long limit = now_ms() + LIMIT_MS;               \
        while (!(condition)) {                          \
            if (now_ms() > limit)                       \
                fail("waited in vain for " #condition); \
            pause_a_moment();                           \
        }                                               \
    } while (0)

/* _Exit() here rather than fail(): analysers know it. */
#define EXPECT(condition)                           \
    do {                                            \
        if (!(condition)) {                         \
            complain("does not hold: " #condition); \
            _Exit(1);                               \
        }                                           \
    } while (0)

/* ---- what the kernel says of a socket ---- */

LOCAL_HELPER struct tcp_info info_of(int fd) {
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    MUST(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
    return info;
}

LOCAL_HELPER int state_of(int fd) {
    return info_of(fd).tcpi_state;
}

LOCAL_HELPER int unread_of(int fd) {
    int bytes = 0;
    MUST(ioctl(fd, SIOCINQ, &bytes));
    return bytes;
}

/* Sent data that the peer's kernel has not acknowledged, unsent data included. */
LOCAL_HELPER int unsent_of(int fd) {
    int bytes = 0;
    MUST(ioctl(fd, SIOCOUTQ, &bytes));
    return bytes;
}

/* Whether the peer's end of stream (or reset) has arrived here: no call of ours has to read anything for it. */
LOCAL_HELPER bool ended(int fd) {
    struct pollfd entry = {.fd = fd, .events = POLLRDHUP};
    MUST(poll(&entry, 1, 0));
    return (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* Reads until the end of the stream; true if it was a FIN, false if a reset. Fails if neither comes. */
LOCAL_HELPER bool read_to_end(int fd) {
    static char buffer[65536];
    struct timeval limit = {.tv_sec = LIMIT_MS / 1000};
    MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    for (;;) {
        ssize_t length = recv(fd, buffer, sizeof buffer, 0);
        if (length == 0)
            return true;
        if (length < 0 && errno == ECONNRESET)
            return false;
        if (length < 0)
            fail("the peer's end of stream has not come");
    }
}

/* Reads S to its end and tells what it was: PEER=eof or PEER=reset. */
LOCAL_HELPER void tell_end(int fd) {
    tell("PEER=%s", read_to_end(fd) ? "eof" : "reset");
}

/* ---- addresses ---- */

LOCAL_HELPER struct sockaddr_storage name_of(int fd) {
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    MUST(getsockname(fd, (struct sockaddr *)&name, &length));
    return name;
}

/* As the contract writes it: 127.0.0.1:80, [::1]:80, and a v4-mapped address as IPv4. */
LOCAL_HELPER const char *address_text(const struct sockaddr_storage *name) {
    static char text[80], host[INET6_ADDRSTRLEN];
    if (name->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)name;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(text, sizeof text, "%s:%d", host, ntohs(v4->sin_port));
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)name;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);
        if (mapped)
            inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], host, sizeof host);
        else
            inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(text, sizeof text, mapped ? "%s:%d" : "[%s]:%d", host, ntohs(v6->sin6_port));
    }
    return text;
}

/* Makes a socket known to the test: NAME=its address, NAME_COOKIE, NAME_FD. */
LOCAL_HELPER void introduce(const char *name, int fd) {
    struct sockaddr_storage address = name_of(fd);
    uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    MUST(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length));
    tell("%s=%s", name, address_text(&address));
    tell("%s_COOKIE=%llu", name, (unsigned long long)cookie);
    tell("%s_FD=%d", name, fd);
}

/* ---- connections ---- */

/* A listener on an ephemeral port of the loopback address. */
LOCAL_HELPER int listen_on_loopback(int family, int backlog) {
    struct sockaddr_storage name = {0};
    socklen_t length;
    if (family == AF_INET) {
        *(struct sockaddr_in *)&name =
            (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        length = sizeof(struct sockaddr_in);
    } else {
        *(struct sockaddr_in6 *)&name =
            (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        length = sizeof(struct sockaddr_in6);
    }
    int listener = MUST(socket(family, SOCK_STREAM, 0));
    MUST(bind(listener, (struct sockaddr *)&name, length));
    MUST(listen(listener, backlog));
    return listener;
}

LOCAL_HELPER int connect_to(int listener) {
    struct sockaddr_storage name = name_of(listener);
    int fd = MUST(socket(name.ss_family, SOCK_STREAM, 0));
    socklen_t length = name.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    MUST(connect(fd, (struct sockaddr *)&name, length));
    return fd;
}

struct pair {
    int c, s;
};

/* A connection, both ends here; the listener is gone. C is the client. Nothing is told of it yet. */
LOCAL_HELPER struct pair quiet_pair(int family) {
    int listener = listen_on_loopback(family, 1);
    struct pair pair;
    pair.c = connect_to(listener);
    pair.s = MUST(accept(listener, NULL, NULL));
    MUST(close(listener));
    return pair;
}

LOCAL_HELPER struct pair make_pair(void) {
    struct pair pair = quiet_pair(AF_INET);
    introduce("C", pair.c);
    introduce("S", pair.s);
    return pair;
}

LOCAL_HELPER void send_bytes(int fd, size_t count) {
    static const char bytes[1024];
    EXPECT(count <= sizeof bytes);
    EXPECT(send(fd, bytes, count, 0) == (ssize_t)count);
}

/* S writes, and it lies unread at C. */
LOCAL_HELPER void leave_unread(struct pair pair, int count) {
    int before = unread_of(pair.c);
    send_bytes(pair.s, (size_t)count);
    WAIT_UNTIL(unread_of(pair.c) == before + count);
}

/* Writes until neither buffer takes more: the peer's window is closed, unsent data lies here. */
LOCAL_HELPER void fill(int fd) {
    static const char block[65536];
    int flags = MUST(fcntl(fd, F_GETFL));
    MUST(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
    long quiet_since = now_ms();
    /* 50 ms without a byte of room, and tried as often as shows that this process was not merely kept waiting. */
    int refused = 0;
    for (long limit = now_ms() + LIMIT_MS; now_ms() - quiet_since < 50 || refused < 20;) {
        if (now_ms() > limit)
            fail("the window never closes");
        if (send(fd, block, sizeof block, 0) > 0) {
            quiet_since = now_ms();
            refused = 0;
        } else if (errno != EAGAIN) {
            fail("send");
        } else {
            refused++;
            pause_a_moment();
        }
    }
    MUST(fcntl(fd, F_SETFL, flags));
    EXPECT(unsent_of(fd) > 0);
}

LOCAL_HELPER void linger(int fd, int seconds) {
    struct linger option = {.l_onoff = 1, .l_linger = seconds};
    MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &option, sizeof option));
}

LOCAL_HELPER void tcp_option(int fd, int option, int value) {
    MUST(setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value));
}

/* ---- scenes ---- */

struct scene {
    const char *name;
    int (*play)(char **arguments);
};

/* main() of a program: plays the scene that the first argument names. */
LOCAL_HELPER int play_scene(const struct scene *scenes, int argc, char **argv) {
    alarm(30); /* whatever hangs ends */
    for (; argc > 1 && scenes->name; scenes++) {
        if (strcmp(scenes->name, argv[1]) == 0) {
            tell("PID=%d", getpid());
            return scenes->play(argv + 2);
        }
    }
    dprintf(STDERR_FILENO, "usage: %s SCENE [ARG...]\n", argv[0]);
    return 2;
}

#define SCENES(...)                                              \
    int main(int argc, char **argv) {                            \
        static const struct scene scenes[] = {__VA_ARGS__, {0}}; \
        return play_scene(scenes, argc, argv);                   \
    }

#endif
