/*
 * One call on one end of a connection, under a fault rule (CLOSETRACE_INJECT): what did the program see of it, and what
 * its peer?
 *
 *     fault CALL [ARG]
 *
 * C is acted on, S is its peer in the same process. Told: RET and ERRNO of the call, MS, how long it took; FREE,
 * whether C's number is free then; REUSED, whether the next descriptor gets it; EPOLL, whether the set in which C was
 * still knows it; SIGNALS, how often SIGUSR1 was caught; PEER, what S then reads within 150 ms: eof, reset, none, or so
 * many bytes and one of these (5+eof); PEER_MS, when it came to that.
 */
#include "pair.h"
#include "quiet.h"

#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <signal.h>
#include <spawn.h>

extern char **environ;

enum { PEER_WAITS_MS = 150, LENGTH = 5 };

static const char data[LENGTH + 1] = "hello";
static char buffer[64];
static volatile sig_atomic_t signals;
static struct pair pair;
static int listener, set;
static const char *argument = "";

static void caught(int signal) {
    (void)signal;
    signals++;
}

static void see_peer(int fd) {
    long start = now_ms(), limit = start + PEER_WAITS_MS;
    char bytes[256];
    ssize_t got = 0, length = -1;
    const char *end = "none";
    for (long left; (left = limit - now_ms()) > 0;) {
        struct pollfd peer = {.fd = fd, .events = POLLIN};
        if (poll(&peer, 1, (int)left) <= 0)
            break;
        length = quiet(SYS_read, fd, bytes, sizeof bytes);
        if (length <= 0)
            break;
        got += length;
    }
    if (length == 0)
        end = "eof";
    else if (length < 0 && errno == ECONNRESET)
        end = "reset";
    if (got)
        tell("PEER=%zd+%s", got, end);
    else
        tell("PEER=%s", end);
    tell("PEER_MS=%ld", now_ms() - start);
}

/* ---- the calls: each returns what libc's function did, -1 for its failure ---- */

static long call_close(void) {
    return close(pair.c);
}

static long call_close_range(void) {
    return close_range((unsigned)pair.c, (unsigned)pair.c, 0);
}

static long call_closefrom(void) {
    /* everything of the program's above C goes: it comes last */
    MUST(dup2(pair.c, 200));
    MUST(epoll_ctl(set, EPOLL_CTL_DEL, pair.c, NULL));
    MUST(quiet(SYS_close, pair.c));
    pair.c = 200;
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, pair.c, &(struct epoll_event){.events = EPOLLIN | EPOLLOUT}));
    tell("C_FD=%d", pair.c);
    closefrom(200);
    return 0;
}

static long call_fclose(void) {
    return fclose(fdopen(pair.c, "r+"));
}

static long call_freopen(void) {
    FILE *file = fdopen(pair.c, "r+");
    return freopen("/dev/null", "r", file) ? 0 : -1;
}

static long call_syscall_close(void) {
    return syscall(SYS_close, pair.c);
}

static int how(void) {
    return argument[0] == 'r' ? SHUT_RD : argument[0] == 'b' ? SHUT_RDWR : SHUT_WR;
}

static long call_shutdown(void) {
    return shutdown(pair.c, how());
}

static long call_syscall_shutdown(void) {
    return syscall(SYS_shutdown, pair.c, how());
}

static long call_write(void) {
    return write(pair.c, data, LENGTH);
}

static struct iovec parts[2] = {{(void *)(uintptr_t)data, 2}, {(void *)(uintptr_t)(data + 2), LENGTH - 2}};
static struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

static long call_writev(void) {
    return writev(pair.c, parts, 2);
}

static long call_pwritev2(void) {
    return pwritev2(pair.c, parts, 2, -1, 0);
}

static long call_send(void) {
    return send(pair.c, data, LENGTH, MSG_NOSIGNAL);
}

static long call_sendto(void) {
    return sendto(pair.c, data, LENGTH, MSG_NOSIGNAL, NULL, 0);
}

static long call_sendmsg(void) {
    return sendmsg(pair.c, &message, MSG_NOSIGNAL);
}

static long call_sendmmsg(void) {
    struct mmsghdr messages[1] = {{.msg_hdr = message}};
    return sendmmsg(pair.c, messages, 1, MSG_NOSIGNAL);
}

static int file_of_data(void) {
    int fd = MUST(quiet(SYS_memfd_create, "data", 0));
    MUST(quiet(SYS_write, fd, data, LENGTH));
    MUST(lseek(fd, 0, SEEK_SET));
    return fd;
}

static long call_sendfile(void) {
    return sendfile(pair.c, file_of_data(), NULL, LENGTH);
}

static long call_splice(void) {
    int ends[2];
    MUST(pipe(ends));
    MUST(quiet(SYS_write, ends[1], data, LENGTH));
    return splice(ends[0], NULL, pair.c, NULL, LENGTH, 0);
}

static long call_dprintf(void) {
    return dprintf(pair.c, "%s", data);
}

/* What stands in the buffer is written by the flush alone. */
static long call_fflush(void) {
    FILE *file = fdopen(pair.c, "w");
    if (fputs(data, file) < 0)
        return -2;
    return fflush(file);
}

static long call_syscall_write(void) {
    return syscall(SYS_write, pair.c, data, LENGTH);
}

static void feed(void) {
    leave_unread(pair, LENGTH);
}

static long call_read(void) {
    return read(pair.c, buffer, sizeof buffer);
}

static struct iovec room[2] = {{buffer, 1}, {buffer + 1, sizeof buffer - 1}};
static struct msghdr empty = {.msg_iov = room, .msg_iovlen = 2};

static long call_readv(void) {
    return readv(pair.c, room, 2);
}

static long call_preadv2(void) {
    return preadv2(pair.c, room, 2, -1, 0);
}

static long call_recv(void) {
    return recv(pair.c, buffer, sizeof buffer, 0);
}

static long call_recvfrom(void) {
    return recvfrom(pair.c, buffer, sizeof buffer, 0, NULL, NULL);
}

static long call_recvmsg(void) {
    long result = recvmsg(pair.c, &empty, 0);
    EXPECT(empty.msg_iov == room && empty.msg_iovlen == 2);
    return result;
}

static long call_recvmmsg(void) {
    struct mmsghdr messages[1] = {{.msg_hdr = empty}};
    return recvmmsg(pair.c, messages, 1, 0, NULL);
}

static long call_fgetc(void) {
    FILE *file = fdopen(pair.c, "r");
    int c = fgetc(file);
    EXPECT(c != EOF || ferror(file));
    return c == EOF ? -1 : 1;
}

static long call_syscall_read(void) {
    return syscall(SYS_read, pair.c, buffer, sizeof buffer);
}

/* C is made by the call: the scene's own is connection number 1. */
static long call_connect(void) {
    struct sockaddr_storage name = name_of(listener);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(bind(fd, (struct sockaddr *)&own, sizeof own));
    pair.c = fd;
    introduce("C", fd);
    long result = connect(fd, (struct sockaddr *)&name, sizeof(struct sockaddr_in));
    int error = errno;
    if (result == 0)
        pair.s = MUST((int)quiet(SYS_accept4, listener, NULL, NULL, 0));
    errno = error;
    return result;
}

static long accept_by(int (*door)(int, struct sockaddr *, socklen_t *)) {
    pair.s = connect_to(listener);
    long result = door(listener, NULL, NULL);
    int error = errno;
    if (result >= 0) {
        pair.c = (int)result;
        introduce("C", pair.c);
    }
    errno = error;
    return result < 0 ? -1 : 0;
}

static long call_accept(void) {
    return accept_by(accept);
}

static int accept_with_flags(int fd, struct sockaddr *name, socklen_t *length) {
    return accept4(fd, name, length, SOCK_CLOEXEC);
}

static long call_accept4(void) {
    return accept_by(accept_with_flags);
}

static long call_dup(void) {
    return dup(pair.c) < 0 ? -1 : 0;
}

static long call_dup2(void) {
    return dup2(pair.c, 100) < 0 ? -1 : 0;
}

static long call_dup3(void) {
    return dup3(pair.c, 101, O_CLOEXEC) < 0 ? -1 : 0;
}

static long call_fcntl(void) {
    return fcntl(pair.c, F_DUPFD, 0) < 0 ? -1 : 0;
}

static long child_of(pid_t child) {
    if (child > 0)
        EXPECT(waitpid(child, NULL, 0) == child);
    return child < 0 ? -1 : 0;
}

static long call_fork(void) {
    pid_t child = fork();
    if (child == 0)
        quiet(SYS_exit_group, 0);
    return child_of(child);
}

static long call_Fork(void) {
    pid_t child = _Fork();
    if (child == 0)
        quiet(SYS_exit_group, 0);
    return child_of(child);
}

static long call_vfork(void) {
    pid_t child = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): tested
    if (child == 0)
        quiet(SYS_exit_group, 0); // NOLINT(clang-analyzer-unix.Vfork)
    return child_of(child);
}

static long call_posix_spawn(void) {
    pid_t child = -1;
    char name[] = "true", *const argv[] = {name, NULL};
    errno = posix_spawn(&child, "/bin/true", NULL, NULL, argv, environ);
    return errno ? -1 : child_of(child);
}

static long call_system(void) {
    return system("true");
}

static long call_popen(void) {
    FILE *file = popen("true", "r");
    return file ? pclose(file) : -1;
}

static long call_syscall_fork(void) {
    pid_t child = (pid_t)syscall(SYS_fork);
    if (child == 0)
        syscall(SYS_exit_group, 0);
    return child_of(child);
}

/* ---- the ends: in a child, which is seen from here ---- */

static void end_by_exit(void) {
    exit(3);
}

static void end_by__exit(void) {
    _exit(3);
}

static void end_by_quick_exit(void) {
    quick_exit(3);
}

static void end_by_syscall(void) {
    syscall(SYS_exit_group, 3);
}

static long call_end(void (*end)(void)) {
    pid_t child = (pid_t)MUST(quiet(SYS_fork));
    if (child == 0) {
        MUST(quiet(SYS_close, pair.s));
        MUST(quiet(SYS_close, listener));
        end();
    }
    MUST(quiet(SYS_close, pair.c));
    int status;
    EXPECT(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static long call_exit(void) {
    return call_end(end_by_exit);
}

static long call__exit(void) {
    return call_end(end_by__exit);
}

static long call_quick_exit(void) {
    return call_end(end_by_quick_exit);
}

static long call_syscall_exit(void) {
    return call_end(end_by_syscall);
}

static const struct door {
    const char *name;
    long (*call)(void);
    void (*before)(void);
} doors[] = {
    {"close", call_close, NULL},
    {"close_range", call_close_range, NULL},
    {"closefrom", call_closefrom, NULL},
    {"fclose", call_fclose, NULL},
    {"freopen", call_freopen, NULL},
    {"syscall_close", call_syscall_close, NULL},
    {"shutdown", call_shutdown, NULL},
    {"syscall_shutdown", call_syscall_shutdown, NULL},
    {"write", call_write, NULL},
    {"writev", call_writev, NULL},
    {"pwritev2", call_pwritev2, NULL},
    {"send", call_send, NULL},
    {"sendto", call_sendto, NULL},
    {"sendmsg", call_sendmsg, NULL},
    {"sendmmsg", call_sendmmsg, NULL},
    {"sendfile", call_sendfile, NULL},
    {"splice", call_splice, NULL},
    {"dprintf", call_dprintf, NULL},
    {"fflush", call_fflush, NULL},
    {"syscall_write", call_syscall_write, NULL},
    {"read", call_read, feed},
    {"readv", call_readv, feed},
    {"preadv2", call_preadv2, feed},
    {"recv", call_recv, feed},
    {"recvfrom", call_recvfrom, feed},
    {"recvmsg", call_recvmsg, feed},
    {"recvmmsg", call_recvmmsg, feed},
    {"fgetc", call_fgetc, feed},
    {"syscall_read", call_syscall_read, feed},
    {"connect", call_connect, NULL},
    {"accept", call_accept, NULL},
    {"accept4", call_accept4, NULL},
    {"dup", call_dup, NULL},
    {"dup2", call_dup2, NULL},
    {"dup3", call_dup3, NULL},
    {"fcntl", call_fcntl, NULL},
    {"fork", call_fork, NULL},
    {"_Fork", call_Fork, NULL},
    {"vfork", call_vfork, NULL},
    {"posix_spawn", call_posix_spawn, NULL},
    {"system", call_system, NULL},
    {"popen", call_popen, NULL},
    {"syscall_fork", call_syscall_fork, NULL},
    {"exit", call_exit, NULL},
    {"_exit", call__exit, NULL},
    {"quick_exit", call_quick_exit, NULL},
    {"syscall_exit", call_syscall_exit, NULL},
};

/* C is the first that a rule can meet: it is made by calls that no door sees, and S is none of a client's. */
static void set_the_scene(void) {
    listener = listen_on_loopback(AF_INET, 8);
    pair.c = connect_to(listener);
    pair.s = (int)MUST(quiet(SYS_accept4, listener, NULL, NULL, 0));
    set = MUST(epoll_create1(EPOLL_CLOEXEC));
    introduce("C", pair.c);
    introduce("S", pair.s);
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, pair.c, &(struct epoll_event){.events = EPOLLIN | EPOLLOUT}));
    struct sigaction action = {.sa_handler = caught, .sa_flags = SA_RESTART};
    MUST(sigaction(SIGUSR1, &action, NULL));
}

/* The number as the program finds it after the call. */
static void see_number(void) {
    struct epoll_event event;
    int known = fcntl(pair.c, F_GETFD) >= 0;
    tell("FREE=%d", !known);
    if (!known) {
        EXPECT(quiet(SYS_close, pair.c) == -1 && errno == EBADF);
        int next = open("/dev/null", O_RDONLY);
        tell("REUSED=%d", next == pair.c);
        MUST((int)quiet(SYS_close, next));
    }
    if (fcntl(set, F_GETFD) >= 0)
        tell("EPOLL=%d", epoll_wait(set, &event, 1, 0));
}

static void play(const struct door *door) {
    set_the_scene();
    if (door->before)
        door->before();
    errno = 0;
    long start = now_ms(), result = door->call();
    int error = errno;
    tell("MS=%ld", now_ms() - start);
    tell("RET=%ld", result);
    tell("ERRNO=%s", result == -1 ? strerrorname_np(error) : "0");
    tell("SIGNALS=%d", (int)signals);
    see_number();
    if (fcntl(pair.s, F_GETFD) >= 0)
        see_peer(pair.s);
}

int main(int argc, char **argv) {
    alarm(30);
    tell("PID=%d", getpid());
    if (argc > 2)
        argument = argv[2];
    for (size_t i = 0; argc > 1 && i < sizeof doors / sizeof *doors; i++) {
        if (strcmp(doors[i].name, argv[1]) != 0)
            continue;
        play(&doors[i]);
        if (strstr(argv[1], "exit"))
            quiet(SYS_exit_group, 0); /* a rule has met the end of the child */
        syscall(SYS_exit_group, 0);
    }
    return 2;
}
