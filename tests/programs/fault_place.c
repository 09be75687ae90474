/*
 * Faults in places where it is hard: parked connections beside what a program does with its descriptors, delays that
 * are interrupted or cancelled, edges that must not be missed. Scenes; the rule is the test's.
 */
#include "pair.h"
#include "quiet.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>

static int highest_of_program(void) {
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    return (int)limit.rlim_cur;
}

/* ---- parked ---- */

/* Many are held at once: none of them takes a number of the program's, and each ends in the end. */
static int many(char **arguments) {
    int count = atoi(arguments[0]), listener = listen_on_loopback(AF_INET, 128);
    MUST(quiet(SYS_close_range, listener + 1, 255, 0)); /* what was inherited */
    int *ends = calloc((size_t)count, sizeof *ends);
    MUST(ends ? 0 : -1);
    int expected = dup(0);
    close(expected);
    for (int i = 0; i < count; i++) {
        int c = connect_to(listener);
        EXPECT(c == expected + i);
        ends[i] = MUST(accept(listener, NULL, NULL)); /* its number grows by one each time: C's is free again */
        close(c);
        EXPECT(fcntl(c, F_GETFD) == -1);
        ends[i] = MUST(dup2(ends[i], ends[i]));
        EXPECT(ends[i] == expected + i + 1);
        EXPECT(dup2(ends[i], expected + i) == expected + i);
        close(ends[i]);
        ends[i] = expected + i;
    }
    tell("HELD=%d", count);
    for (int i = 0; i < count; i++)
        close(ends[i]);
    free(ends);
    return 0;
}

static void expect_quiet(int fd) {
    struct pollfd peer = {.fd = fd, .events = POLLIN};
    EXPECT(poll(&peer, 1, 30) == 0);
}

static uint64_t cookie_of(int fd) {
    uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0 ? cookie : 0;
}

/* fork, exec, sweeps and loops over numbers neither meet it nor end it. */
static int beside(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    uint64_t cookie = cookie_of(pair.c);
    char socket_name[64], path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", pair.c);
    socket_name[MUST((int)readlink(path, socket_name, sizeof socket_name - 1))] = '\0';
    close(pair.c);
    expect_quiet(pair.s);
    for (int fd = 3; fd < highest_of_program() && fd < 4096; fd++)
        if (fd != pair.s)
            close(fd);
    expect_quiet(pair.s);
    MUST(dup2(pair.s, 3));
    if (pair.s != 3)
        close(pair.s);
    MUST(close_range(4, ~0U, 0));
    expect_quiet(3);
    closefrom(4);
    expect_quiet(3);
    if (fork() == 0) {
        for (int fd = 4; fd < 70000; fd++)
            EXPECT(cookie_of(fd) != cookie);
        _exit(0);
    }
    int status;
    MUST(wait(&status));
    EXPECT(status == 0);
    if (fork() == 0) {
        execl("/bin/sh", "sh", "-c", "! ls -l /proc/$$/fd | grep -qF $0", socket_name, (char *)NULL);
        _exit(1);
    }
    MUST(wait(&status));
    EXPECT(status == 0);
    expect_quiet(3);
    tell("PEER=none");
    return 0;
}

/* A loop that closes whatever /proc/self/fd shows, until nothing is there, comes to an end. */
static int loop(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    MUST(dup2(pair.s, 3));
    if (pair.s != 3)
        close(pair.s);
    if (pair.c != 3)
        close(pair.c);
    expect_quiet(3);
    int rounds = 0, closed;
    do {
        closed = 0;
        for (int fd = 4; fd < 20000; fd++)
            if (fcntl(fd, F_GETFD) >= 0)
                closed += close(fd) == 0;
    } while (closed && ++rounds < 1000);
    tell("ROUNDS=%d", rounds);
    return 0;
}

/* select() is for numbers below 1024, and an epoll set for descriptors that are open. */
static int waiting(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    struct epoll_event event = {.events = EPOLLIN, .data.fd = 4711};
    int set = MUST(epoll_create1(EPOLL_CLOEXEC)), other = MUST(epoll_create1(EPOLL_CLOEXEC));
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, pair.c, &event));
    MUST(epoll_ctl(other, EPOLL_CTL_ADD, pair.c, &event));
    close(pair.c);
    send_bytes(pair.s, 5);
    EXPECT(epoll_wait(set, &event, 1, 50) == 0);
    EXPECT(epoll_wait(other, &event, 1, 50) == 0);
    EXPECT(epoll_ctl(set, EPOLL_CTL_MOD, pair.c, &event) == -1 && errno == EBADF);
    int next = MUST(dup(pair.s));
    EXPECT(next == pair.c);                            /* the number is the program's again, */
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, next, &event)); /* and new to the set */
    struct pollfd polled = {.fd = next, .events = POLLIN};
    EXPECT(poll(&polled, 1, 0) == 0);
    fd_set reads;
    FD_ZERO(&reads);
    FD_SET(next, &reads);
    EXPECT(select(next + 1, &reads, NULL, NULL, &(struct timeval){0}) == 0);
    return 0;
}

/* It is over when the peer closes. */
static int until_peer(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    close(pair.c);
    expect_quiet(pair.s);
    MUST(shutdown(pair.s, SHUT_WR));
    EXPECT(read_to_end(pair.s));
    tell("PEER=eof");
    return 0;
}

/* The hold goes on when the process becomes another program: it ends there. */
static int exec_ends(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int ready[2];
    MUST(pipe(ready));
    pid_t child = MUST(fork());
    if (child == 0) {
        char byte;
        close(pair.s);
        MUST((int)read(ready[0], &byte, 1)); /* the parent has closed */
        close(pair.c);
        execl("/bin/sleep", "sleep", "0.3", (char *)NULL);
    }
    MUST(quiet(SYS_close, pair.c));
    MUST((int)write(ready[1], "", 1));
    long start = now_ms();
    EXPECT(read_to_end(pair.s));
    tell("EARLY=%d", now_ms() - start < 250);
    MUST(waitpid(child, NULL, 0));
    return 0;
}

/* ---- delays ---- */

static volatile sig_atomic_t handled;
static struct pair in_handler;

static void count_signal(int signal) {
    (void)signal;
    handled++;
}

static void close_in_handler(int signal) {
    (void)signal;
    int saved = errno;
    close(in_handler.c);
    errno = saved;
}

static void on(int signal, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    MUST(sigaction(signal, &action, NULL));
}

static int handler(char **arguments) {
    (void)arguments;
    in_handler = make_pair();
    on(SIGUSR1, close_in_handler);
    long start = now_ms();
    MUST(raise(SIGUSR1));
    tell("MS=%ld", now_ms() - start);
    EXPECT(fcntl(in_handler.c, F_GETFD) == -1);
    tell_end(in_handler.s);
    return 0;
}

/* Signals run their handlers, and the delay goes on to its end. */
static int interrupted(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    on(SIGALRM, count_signal);
    struct itimerval often = {.it_interval.tv_usec = 20000, .it_value.tv_usec = 20000};
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    long start = now_ms();
    EXPECT(close(pair.c) == 0);
    long took = now_ms() - start;
    often = (struct itimerval){0};
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    tell("MS=%ld", took);
    tell("HANDLED=%d", (int)handled);
    return 0;
}

static struct pair shared;
static volatile int reached;

static void *close_and_wait(void *unused) {
    reached = 1;
    close(shared.c);
    reached = 2;
    return unused;
}

/* A thread that is cancelled in the delay of its close() has not closed. */
static int cancelled(char **arguments) {
    (void)arguments;
    pthread_t thread;
    void *result;
    shared = make_pair();
    EXPECT(pthread_create(&thread, NULL, close_and_wait, NULL) == 0);
    WAIT_UNTIL(reached == 1);
    usleep(20000);
    long start = now_ms();
    EXPECT(pthread_cancel(thread) == 0);
    EXPECT(pthread_join(thread, &result) == 0);
    tell("CANCELED=%d", result == PTHREAD_CANCELED);
    tell("MS=%ld", now_ms() - start);
    tell("OPEN=%d", fcntl(shared.c, F_GETFD) >= 0);
    return 0;
}

/* ---- edges ---- */

static void make_nonblocking(int fd) {
    MUST(fcntl(fd, F_SETFL, MUST(fcntl(fd, F_GETFL)) | O_NONBLOCK));
}

enum { MESSAGE = 1000 };

/* A writer that takes a short write for a full buffer, and waits for the edge; a reader that takes a short read for an
 * empty one. */
static int edges(char **arguments) {
    (void)arguments;
    static char message[MESSAGE], buffer[MESSAGE];
    struct pair pair = make_pair();
    int set = MUST(epoll_create1(EPOLL_CLOEXEC));
    make_nonblocking(pair.c);
    make_nonblocking(pair.s);
    struct epoll_event event = {.events = EPOLLOUT | EPOLLET, .data.u64 = 1};
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, pair.c, &event));
    event = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.u64 = 2};
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, pair.s, &event));
    size_t sent = 0, got = 0;
    int waits = 0;
    while (got < MESSAGE) {
        EXPECT(epoll_wait(set, &event, 1, 2000) == 1);
        waits++;
        if (event.data.u64 == 1 && sent < MESSAGE)
            sent += (size_t)MUST(write(pair.c, message, MESSAGE - sent));
        else if (event.data.u64 == 2) {
            ssize_t length = read(pair.s, buffer, sizeof buffer);
            EXPECT(length > 0 || errno == EAGAIN);
            got += length > 0 ? (size_t)length : 0;
        }
    }
    tell("GOT=%zu", got);
    tell("WAITS=%d", waits);
    return 0;
}

/* ---- where a rule cannot be carried out ---- */

/* A call that has not succeeded is followed by nothing. */
static int again(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    char byte;
    make_nonblocking(pair.c);
    EXPECT(read(pair.c, &byte, 1) == -1 && errno == EAGAIN);
    return 0;
}

/* NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): it is what is tested */
static int borrowed(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    pid_t child = vfork();
    if (child == 0) {
        close(pair.c);
        _exit(0);
    }
    int status;
    MUST(waitpid(child, &status, 0));
    EXPECT(status == 0 && fcntl(pair.c, F_GETFD) >= 0);
    MUST(quiet(SYS_close, pair.c));
    return 0;
}
/* NOLINTEND(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork) */

static int sandboxed(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = 1, .filter = &allow};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
    EXPECT(close(pair.c) == 0);
    EXPECT(read_to_end(pair.s));
    return 0;
}

/* ---- counting ---- */

/* Forked workers close a connection each; what was reset is told by the peers. */
static int workers(char **arguments) {
    int count = atoi(arguments[0]), reset = 0;
    for (int i = 0; i < count; i++) {
        struct pair pair = quiet_pair(AF_INET);
        pid_t child = MUST(fork());
        if (child == 0) {
            close(pair.c);
            _exit(0);
        }
        MUST(quiet(SYS_close, pair.c));
        MUST(waitpid(child, NULL, 0));
        reset += !read_to_end(pair.s);
        close(pair.s);
    }
    tell("RESET=%d", reset);
    return 0;
}

/* Ten connections are closed one after the other: which of them were reset. */
static int ten(char **arguments) {
    (void)arguments;
    char which[11] = "";
    for (int i = 0; i < 10; i++) {
        struct pair pair = quiet_pair(AF_INET);
        close(pair.c);
        which[i] = read_to_end(pair.s) ? '-' : 'R';
        MUST(quiet(SYS_close, pair.s));
    }
    tell("WHICH=%s", which);
    return 0;
}

SCENES({"many", many}, {"beside", beside}, {"loop", loop}, {"waiting", waiting}, {"until-peer", until_peer},
       {"exec-ends", exec_ends}, {"handler", handler}, {"interrupted", interrupted}, {"cancelled", cancelled},
       {"edges", edges}, {"again", again}, {"borrowed", borrowed}, {"sandboxed", sandboxed}, {"workers", workers},
       {"ten", ten})
