/*
 * What all lessons share, so that a lesson's own program holds nothing but the lesson: the connection, turns, words.
 *
 * A server and a client, each a process of its own, are started together by examples/lib.bash. They take turns over two
 * pipes beside the connection (descriptors 8 and 9): what happens in a lesson happens in the same order each time, and
 * nothing waits for luck. Whatever fails ends the program with a message; nobody waits longer than LIMIT_MS.
 */
#ifndef EXAMPLES_LESSON_H
#define EXAMPLES_LESSON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/older_functions.h"

enum { LIMIT_MS = 10000, MY_TURN = 8, YOUR_TURN = 9 };

#define LESSON static inline __attribute__((unused))

/* The result of a call without which the lesson cannot go on. */
#define MUST(call) must((long)(call), #call)
LESSON int must(long result, const char *call) {
    if (result < 0)
        err(1, "%s", call);
    return (int)result;
}

/* A line of this program's own in the recording, in one write: lines of several processes never mix. */
LESSON void speak(const char *who, const char *format, va_list arguments) {
    char line[256];
    int length = snprintf(line, sizeof line, "%22s%s says: ", "", who);
    length += vsnprintf(line + length, sizeof line - (size_t)length - 1, format, arguments);
    line[length++] = '\n';
    MUST(write(STDOUT_FILENO, line, (size_t)length));
}

__attribute__((format(printf, 1, 2))) LESSON void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    speak(program_invocation_short_name, format, arguments);
    va_end(arguments);
}

/* ---- turns ---- */

LESSON void hand_over(int number) {
    MUST(write(YOUR_TURN, &number, sizeof number));
}

LESSON int receive(void) {
    int number;
    struct pollfd pipe = {.fd = MY_TURN, .events = POLLIN};
    if (MUST(poll(&pipe, 1, LIMIT_MS)) == 0)
        errx(1, "my turn never came");
    MUST(read(MY_TURN, &number, sizeof number));
    return number;
}

/* Lets the other program go on; waits until it has done as much. */
LESSON void your_turn(void) {
    hand_over(0);
}

LESSON void my_turn(void) {
    receive();
}

/* ---- the connection ---- */

/* The ports of the connection, known to both programs. */
static int server_port, client_port;

LESSON int port_of(int fd, int (*name)(int, struct sockaddr *, socklen_t *)) {
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    MUST(name(fd, (struct sockaddr *)&address, &size));
    return ntohs(address.sin_port);
}

/* The server's end of a new connection, from a listener on a free port of loopback. */
LESSON int accept_client(void) {
    static int listener = -1;
    if (listener < 0) {
        struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        listener = MUST(socket(AF_INET, SOCK_STREAM, 0));
        MUST(bind(listener, (struct sockaddr *)&loopback, sizeof loopback));
        MUST(listen(listener, 1));
        server_port = port_of(listener, getsockname);
    }
    alarm(LIMIT_MS / 500);
    hand_over(server_port);
    my_turn();
    int fd = MUST(accept(listener, NULL, NULL));
    client_port = port_of(fd, getpeername);
    your_turn();
    return fd;
}

/* The client's end. Both return when both have theirs. */
LESSON int connect_to_server(void) {
    alarm(LIMIT_MS / 500);
    server_port = receive();
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    struct sockaddr_in server = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)server_port)};
    MUST(connect(fd, (struct sockaddr *)&server, sizeof server));
    client_port = port_of(fd, getsockname);
    your_turn();
    my_turn();
    return fd;
}

LESSON void write_text(int fd, const char *text) {
    MUST(write(fd, text, strlen(text)));
}

/* Whether a read would return at once: with data, with the end of the stream, or with an error. */
LESSON bool is_readable(int fd) {
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return MUST(poll(&entry, 1, 0)) == 1;
}

LESSON void look(int fd) {
    say(is_readable(fd) ? "something has come" : "nothing has come: no data, and no end of the stream");
}

/* Reads once and says what came. What read() has returned. */
LESSON long read_and_say(int fd) {
    char text[128];
    long count = read(fd, text, sizeof text);
    if (count > 0)
        say("I have read \"%.*s\"", (int)count, text);
    else if (count == 0)
        say("I have read the end of the stream");
    else
        say("read() has failed: %s", strerrorname_np(errno));
    return count;
}

/* Writes and says what came of it; a refused write raises no signal. */
LESSON void write_and_say(int fd, const char *text) {
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) >= 0)
        say("I have written \"%s\"", text);
    else
        say("writing \"%s\" has failed: %s", text, strerrorname_np(errno));
}

/* Writes until no buffer on the way, here and at the peer, takes any more. How many bytes that were. */
LESSON long fill(int fd) {
    static const char block[65536];
    long total = 0, count;
    while ((count = send(fd, block, sizeof block, MSG_DONTWAIT)) > 0)
        total += count;
    if (errno != EAGAIN)
        err(1, "fill");
    return total;
}

/* Reads to the end of the stream, or to an error. How many bytes that were. */
LESSON long read_to_end(int fd) {
    static char block[65536];
    long total = 0, count;
    while ((count = read(fd, block, sizeof block)) > 0)
        total += count;
    if (count == 0)
        errno = 0;
    return total;
}

LESSON void read_exactly(int fd, long count) {
    static char block[65536];
    while (count > 0)
        count -= MUST(read(fd, block, count < (long)sizeof block ? (size_t)count : sizeof block));
}

LESSON void read_to_end_and_say(int fd) {
    long count = read_to_end(fd);
    say("I have read %ld bytes, then %s", count, errno ? strerrorname_np(errno) : "the end of the stream");
}

LESSON void wait_for_reset(int fd) {
    struct pollfd entry = {.fd = fd, .events = 0};
    if (MUST(poll(&entry, 1, LIMIT_MS)) == 0)
        errx(1, "no reset has come");
}

/* ---- what the kernel says ---- */

/* The state of one end as /proc/net/tcp has it, which also knows the sockets that no process has; "gone" if it does
 * not. */
LESSON const char *kernel_state(int local_port, int remote_port) {
    static const char *const names[] = {"?",         "ESTABLISHED", "SYN_SENT",   "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",
                                        "TIME_WAIT", "CLOSE",       "CLOSE_WAIT", "LAST_ACK", "LISTEN",    "CLOSING"};
    FILE *table = fopen("/proc/net/tcp", "re");
    if (!table)
        err(1, "/proc/net/tcp");
    char line[512], local[16], remote[16], wanted_local[16], wanted_remote[16];
    snprintf(wanted_local, sizeof wanted_local, "0100007F:%04X", (unsigned)local_port & 0xFFFF);
    snprintf(wanted_remote, sizeof wanted_remote, "0100007F:%04X", (unsigned)remote_port & 0xFFFF);
    unsigned state = 0;
    const char *found = "gone";
    while (fgets(line, sizeof line, table))
        if (sscanf(line, "%*s %15s %15s %x", local, remote, &state) == 3 && state < sizeof names / sizeof *names &&
            strcmp(local, wanted_local) == 0 && strcmp(remote, wanted_remote) == 0)
            found = names[state];
    fclose(table);
    return found;
}

LESSON const char *client_state(void) {
    return kernel_state(client_port, server_port);
}

LESSON const char *server_state(void) {
    return kernel_state(server_port, client_port);
}

/* What has become of the connection, in a line of the recording. */
LESSON void say_states(void) {
    const char *client = client_state();
    say("in the kernel: client %s, server %s", client, server_state());
}

/* Waits until the end that state() looks at is in this state. */
LESSON void wait_for_state(const char *(*state)(void), const char *wanted) {
    for (int waited = 0; strcmp(state(), wanted) != 0; waited++) {
        if (waited == LIMIT_MS)
            errx(1, "waited in vain for %s, it is %s", wanted, state());
        usleep(1000);
    }
}

/* Waits until the thread whose id is (or will be) there sleeps in a call. */
LESSON void wait_until_asleep(const volatile pid_t *thread) {
    char path[64], state = 0;
    for (int waited = 0; state != 'S'; waited++) {
        if (waited == LIMIT_MS)
            errx(1, "the thread does not sleep");
        usleep(1000);
        if (*thread == 0)
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", *thread);
        FILE *stat = fopen(path, "re");
        if (!stat || fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
            errx(1, "%s cannot be read", path);
        fclose(stat);
    }
}

#endif
