/* Calls that close a connection without being close(): dup2() over it, fclose(), freopen(), sweeps over numbers. */
#include "pair.h"

#include <dirent.h>
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4U
#endif

static int dup2_over(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int null = MUST(open("/dev/null", O_RDWR | O_CLOEXEC));
    EXPECT(dup2(null, pair.c) == pair.c);
    tell_end(pair.s);
    return 0;
}

static int dup3_over_unread(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int null = MUST(open("/dev/null", O_RDWR | O_CLOEXEC));
    leave_unread(pair, 5);
    EXPECT(dup3(null, pair.c, O_CLOEXEC) == pair.c);
    tell_end(pair.s);
    return 0;
}

/* One connection over another: C ends, N gets C's number beside its own. */
static int dup2_connection_over(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    struct pair other = quiet_pair(AF_INET);
    introduce("N", other.c);
    EXPECT(dup2(other.c, pair.c) == pair.c);
    tell_end(pair.s);
    MUST(close(other.c));
    EXPECT(state_of(pair.c) == TCP_ESTABLISHED && !ended(other.s));
    MUST(close(pair.c)); /* that number is N now */
    EXPECT(read_to_end(other.s));
    return 0;
}

/* Nothing is closed where both numbers are the same socket, or the same number. */
static int dup2_same(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int copy = MUST(dup(pair.c));
    tell("DUP=%d", copy);
    EXPECT(dup2(pair.c, pair.c) == pair.c);
    EXPECT(dup2(pair.c, copy) == copy);
    EXPECT(state_of(pair.c) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(close(pair.c));
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

/* A dup2() that fails has closed nothing. */
static int dup2_fails(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    EXPECT(dup2(1000, pair.c) < 0 && errno == EBADF);
    EXPECT(state_of(pair.c) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* What stdio still had goes out before the FIN. */
static int stream(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    char text[8];
    FILE *file = fdopen(pair.c, "r+");
    EXPECT(file && fputs("hello", file) >= 0);
    EXPECT(fclose(file) == 0);
    EXPECT(recv(pair.s, text, 5, MSG_WAITALL) == 5);
    tell_end(pair.s);
    return 0;
}

static int stream_reopened(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    FILE *file = fdopen(pair.c, "r+");
    EXPECT(file);
    file = freopen("/dev/null", "r+", file);
    EXPECT(file);
    tell_end(pair.s);
    fclose(file);
    return 0;
}

/* Three connections: C1, C2 with unread data, C3 with two descriptors. S stay out of the sweep's way: below it. */
static void three(int c[3], int s[3]) {
    enum { LOW = 20 };
    for (int i = 0; i < 3; i++) {
        struct pair pair = quiet_pair(AF_INET);
        char name[8];
        s[i] = pair.s;
        c[i] = MUST(fcntl(pair.c, F_DUPFD_CLOEXEC, LOW));
        MUST(close(pair.c));
        snprintf(name, sizeof name, "C%d", i + 1);
        introduce(name, c[i]);
        if (i == 1)
            leave_unread((struct pair){c[i], s[i]}, 5);
    }
    tell("DUP=%d", MUST(fcntl(c[2], F_DUPFD_CLOEXEC, LOW)));
}

static void tell_three(const int s[3]) {
    EXPECT(read_to_end(s[0]));
    EXPECT(!read_to_end(s[1]));
    EXPECT(read_to_end(s[2]));
}

/* The log has to go on after a sweep: one more connection ends. */
static void one_more(void) {
    struct pair pair = quiet_pair(AF_INET);
    introduce("AFTER", pair.c);
    MUST(close(pair.c));
    EXPECT(read_to_end(pair.s));
}

static int leaving_range(char **arguments) {
    (void)arguments;
    int c[3], s[3];
    three(c, s);
    EXPECT(close_range(20, ~0U, 0) == 0);
    tell_three(s);
    one_more();
    return 0;
}

/* As programs start: everything but the standard descriptors. Both ends of C are in it; S goes after C. */
static int leaving_everything(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    EXPECT(pair.c < pair.s);
    EXPECT(close_range(3, ~0U, 0) == 0);
    one_more();
    return 0;
}

static int leaving_closefrom(char **arguments) {
    (void)arguments;
    int c[3], s[3];
    three(c, s);
    closefrom(20);
    tell_three(s);
    one_more();
    return 0;
}

static int leaving_numbers(char **arguments) {
    (void)arguments;
    int c[3], s[3];
    three(c, s);
    for (int fd = 20; fd < 1024; fd++)
        close(fd);
    tell_three(s);
    one_more();
    return 0;
}

static int leaving_directory(char **arguments) {
    (void)arguments;
    int c[3], s[3];
    three(c, s);
    DIR *directory = opendir("/proc/self/fd");
    EXPECT(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        int fd = atoi(entry->d_name);
        if (fd >= 20 && fd != dirfd(directory))
            close(fd);
    }
    closedir(directory);
    tell_three(s);
    one_more();
    return 0;
}

/* Marks only: nothing is closed. */
static int leaving_marks(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    EXPECT(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0);
    EXPECT(state_of(pair.c) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

SCENES({"dup2-over", dup2_over}, {"dup3-over-unread", dup3_over_unread}, {"dup2-connection-over", dup2_connection_over},
       {"dup2-same", dup2_same}, {"dup2-fails", dup2_fails}, {"stream", stream}, {"stream-reopened", stream_reopened},
       {"sweep-range", leaving_range}, {"sweep-everything", leaving_everything}, {"sweep-closefrom", leaving_closefrom},
       {"sweep-numbers", leaving_numbers}, {"sweep-directory", leaving_directory}, {"sweep-marks", leaving_marks})
