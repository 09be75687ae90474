/*
 * Every wrapped call on every kind of descriptor, with good arguments and bad ones. What a call returns, the errno
 * that it leaves (also a success, which must leave it alone), the SIGPIPE that it raises and the lowest number that is
 * free afterwards are printed: a traced run must print what a bare run prints.
 *
 *     safety_same calls [KIND]     safety_same sigpipe      safety_same failing      safety_same streams
 */
#include "pair.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { PRESET = 4242, HIGH = 60, MANY = 1025 };

extern char **environ;

/* ---- what happened ---- */

static volatile sig_atomic_t sigpipes;

static void on_sigpipe(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    bool plain = info->si_code == SI_USER && info->si_pid == getpid() && info->si_uid == getuid();
    sigpipes += plain ? 1 : 100;
}

/* Results that are bytes or descriptors are the same each time; nothing else is printed. */
static void show(const char *kind, const char *call, long result, int error, int fd) {
    int pending = 0;
    socklen_t length = sizeof pending;
    bool asked = getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &length) == 0;
    int lowest = dup(0);
    close(lowest);
    printf("%s: %s = %ld errno %d sigpipe %d error %d free %d\n", kind, call, result, error, (int)sigpipes,
           asked ? pending : -1, lowest);
    sigpipes = 0;
}

/* ---- kinds of descriptors ---- */

struct subject {
    int fd, peer;
};

static struct subject nonblocking(int fd, int peer) {
    MUST(fcntl(fd, F_SETFL, MUST(fcntl(fd, F_GETFL)) | O_NONBLOCK));
    return (struct subject){fd, peer};
}

static struct subject connected_with(int family) {
    struct pair pair = quiet_pair(family);
    leave_unread(pair, 10);
    return nonblocking(pair.c, pair.s);
}

static struct subject make_tcp(void) {
    return connected_with(AF_INET);
}

static struct subject make_tcp6(void) {
    return connected_with(AF_INET6);
}

static struct subject make_half_closed(void) {
    struct pair pair = quiet_pair(AF_INET);
    MUST(shutdown(pair.c, SHUT_WR));
    WAIT_UNTIL(ended(pair.s));
    return nonblocking(pair.c, pair.s);
}

static struct subject make_peer_closed(void) {
    struct pair pair = quiet_pair(AF_INET);
    MUST(close(pair.s));
    WAIT_UNTIL(ended(pair.c));
    return nonblocking(pair.c, -1);
}

static struct subject make_reset(void) {
    struct pair pair = quiet_pair(AF_INET);
    linger(pair.s, 0);
    MUST(close(pair.s));
    WAIT_UNTIL(ended(pair.c));
    return nonblocking(pair.c, -1);
}

static struct subject make_reset_seen(void) {
    struct subject subject = make_reset();
    char byte;
    EXPECT(recv(subject.fd, &byte, 1, 0) == -1 && errno == ECONNRESET);
    return subject;
}

static struct subject make_unconnected(void) {
    return nonblocking(MUST(socket(AF_INET, SOCK_STREAM, 0)), -1);
}

static struct subject make_listener(void) {
    int listener = listen_on_loopback(AF_INET, 2);
    return nonblocking(listener, connect_to(listener));
}

/* In SYN_SENT, and it stays there: the listener's queue is full. */
static struct subject make_connecting(void) {
    int listener = listen_on_loopback(AF_INET, 0);
    struct sockaddr_storage name = name_of(listener);
    connect_to(listener);
    struct subject subject = nonblocking(MUST(socket(AF_INET, SOCK_STREAM, 0)), listener);
    EXPECT(connect(subject.fd, (struct sockaddr *)&name, sizeof(struct sockaddr_in)) == -1 && errno == EINPROGRESS);
    return subject;
}

static struct subject make_unix(void) {
    int ends[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    EXPECT(write(ends[1], "0123456789", 10) == 10);
    return nonblocking(ends[0], ends[1]);
}

static struct subject make_udp(void) {
    return nonblocking(MUST(socket(AF_INET, SOCK_DGRAM, 0)), -1);
}

static struct subject make_broken_pipe(void) {
    int ends[2];
    MUST(pipe(ends));
    MUST(close(ends[0]));
    return nonblocking(ends[1], -1);
}

static struct subject make_file(void) {
    return nonblocking(MUST(open("/dev/null", O_RDWR)), -1);
}

static struct subject make_path(void) {
    return (struct subject){MUST(open("/dev/null", O_PATH)), -1};
}

static struct subject make_epoll(void) {
    return (struct subject){MUST(epoll_create1(0)), -1};
}

static struct subject make_closed(void) {
    return (struct subject){HIGH - 1, -1};
}

static struct subject make_negative(void) {
    return (struct subject){-1, -1};
}

static struct subject make_huge(void) {
    return (struct subject){0x7ffffff0, -1};
}

struct kind {
    const char *name;
    struct subject (*make)(void);
};

static const struct kind kinds[] = {
    {"tcp", make_tcp},
    {"tcp6", make_tcp6},
    {"half-closed", make_half_closed},
    {"peer-closed", make_peer_closed},
    {"reset", make_reset},
    {"reset-seen", make_reset_seen},
    {"unconnected", make_unconnected},
    {"listener", make_listener},
    {"connecting", make_connecting},
    {"unix", make_unix},
    {"udp", make_udp},
    {"broken-pipe", make_broken_pipe},
    {"file", make_file},
    {"path", make_path},
    {"epoll", make_epoll},
    {"closed", make_closed},
    {"negative", make_negative},
    {"huge", make_huge},
};

/* ---- calls ---- */

static void close_all(void) {
    for (int fd = 3; fd < HIGH + 8; fd++)
        close(fd);
}

/* Good and bad places, in variables that the compiler knows nothing about. */
static char text[16] = "some bytes, ten", room[64], large[1 << 20];
static char *volatile bad = (char *)16;
static char *volatile null = NULL;
static volatile size_t endless = SIZE_MAX, most = SSIZE_MAX;
static volatile int minus_one = -1;
static struct iovec parts[MANY];
static struct iovec two[2] = {{text, 3}, {text, 4}};
static struct iovec nothing[2] = {{text, 0}, {text, 0}};
static struct iovec half_bad[2] = {{text, 3}, {(void *)16, 4}};
static struct iovec negative[2] = {{text, 3}, {text, SIZE_MAX}};
static struct iovec into[2] = {{room, 3}, {room + 8, 4}};
static struct sockaddr_in nobody, somebody;
static socklen_t length;
static int file, pipe_out, pipe_in, pidfd;

static struct msghdr *message(struct iovec *list, size_t count) {
    static struct msghdr header;
    header = (struct msghdr){.msg_iov = list, .msg_iovlen = count};
    return &header;
}

static struct msghdr *message_with_control(size_t size) {
    static struct msghdr header;
    static char junk[64] = {1};
    header = (struct msghdr){.msg_iov = two, .msg_iovlen = 2, .msg_control = junk, .msg_controllen = size};
    return &header;
}

static struct mmsghdr *messages(struct iovec *list) {
    static struct mmsghdr pair[2];
    for (int i = 0; i < 2; i++)
        pair[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = list, .msg_iovlen = 2}};
    return pair;
}

static struct sockaddr *address(int family) {
    static struct sockaddr_in name;
    name = (struct sockaddr_in){.sin_family = (sa_family_t)family, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    name.sin_port = nobody.sin_port;
    return (struct sockaddr *)&name;
}

/* What is open besides the subject: always the same numbers. */
static void set_up(void) {
    int ends[2];
    MUST(pipe(ends));
    pipe_out = ends[0];
    pipe_in = ends[1];
    EXPECT(write(pipe_in, "pipe", 4) == 4);
    file = MUST(open("/proc/self/exe", O_RDONLY));
    pidfd = MUST(pidfd_open(getpid(), 0));
    length = sizeof somebody;
}

#define TRY(call)                                   \
    do {                                            \
        set_up();                                   \
        struct subject subject = kind->make();      \
        int fd = subject.fd;                        \
        errno = PRESET;                             \
        long result = (long)(call);                 \
        int error = errno;                          \
        show(kind->name, #call, result, error, fd); \
        close_all();                                \
    } while (0)

static void try_writes(const struct kind *kind) {
    TRY(write(fd, text, 5));
    TRY(write(fd, text, 0));
    TRY(write(fd, null, 0));
    TRY(write(fd, bad, 5));
    TRY(write(fd, bad, 0));
    TRY(write(fd, text, endless));
    TRY(write(fd, text, most));
    TRY(write(fd, large, endless));
    TRY(writev(fd, two, 2));
    TRY(writev(fd, two, 0));
    TRY(writev(fd, two, minus_one));
    TRY(writev(fd, parts, MANY));
    /* Not on a connection with an error pending: made as a sendmsg(), a writev() of nothing takes the error off
     * (README.md, Limits). */
    if (strcmp(kind->name, "reset") != 0) {
        TRY(writev(fd, parts, MANY - 1));
        TRY(writev(fd, nothing, 2));
    }
    TRY(writev(fd, half_bad, 2));
    TRY(writev(fd, negative, 2));
    TRY(writev(fd, (struct iovec *)bad, 2));
    TRY(pwritev2(fd, two, 2, -1, 0));
    TRY(pwritev2(fd, two, 2, 0, 0));
    TRY(pwritev2(fd, two, 2, -1, 0x4000000));
    TRY(pwritev2(fd, nothing, 2, -1, 0));
    TRY(send(fd, text, 5, 0));
    TRY(send(fd, text, 0, 0));
    TRY(send(fd, bad, 5, 0));
    TRY(send(fd, text, endless, MSG_DONTWAIT | MSG_OOB));
    TRY(send(fd, text, 5, MSG_NOSIGNAL));
    TRY(send(fd, text, 5, MSG_OOB));
    TRY(send(fd, text, 5, MSG_MORE | MSG_DONTWAIT));
    TRY(send(fd, text, 5, 0x8000000));
    TRY(sendto(fd, text, 5, 0, address(AF_INET), sizeof somebody));
    TRY(sendto(fd, text, 5, 0, (struct sockaddr *)bad, sizeof somebody));
    TRY(sendto(fd, text, 5, 0, address(AF_INET), 3));
    TRY(sendmsg(fd, message(two, 2), 0));
    TRY(sendmsg(fd, message(two, 0), 0));
    TRY(sendmsg(fd, message(nothing, 2), 0));
    TRY(sendmsg(fd, message(parts, MANY), 0));
    TRY(sendmsg(fd, message((struct iovec *)bad, 2), 0));
    TRY(sendmsg(fd, (struct msghdr *)bad, 0));
    TRY(sendmsg(fd, message_with_control(8), 0));
    TRY(sendmsg(fd, message_with_control(64), 0));
    TRY(sendmmsg(fd, messages(two), 2, 0));
    TRY(sendmmsg(fd, messages(two), 0, 0));
    TRY(sendmmsg(fd, messages(half_bad), 2, 0));
    TRY(sendmmsg(fd, (struct mmsghdr *)bad, 2, 0));
    TRY(sendfile(fd, file, NULL, 7));
    TRY(sendfile(fd, file, NULL, 0));
    TRY(sendfile(fd, file, (off_t *)bad, 7));
    TRY(sendfile(fd, -1, NULL, 7));
    TRY(splice(pipe_out, NULL, fd, NULL, 4, SPLICE_F_NONBLOCK));
    TRY(splice(pipe_out, NULL, fd, (off64_t *)bad, 4, SPLICE_F_NONBLOCK));
    TRY(splice(pipe_out, NULL, fd, NULL, 4, 0x1000));
    TRY(dprintf(fd, "%d%m", 42));
    TRY(dprintf(fd, "%s", ""));
}

static void try_reads(const struct kind *kind) {
    TRY(read(fd, room, 20));
    TRY(read(fd, room, 0));
    TRY(read(fd, bad, 5));
    TRY(read(fd, room, endless));
    TRY(readv(fd, into, 2));
    TRY(readv(fd, into, 0));
    TRY(readv(fd, parts, MANY));
    TRY(readv(fd, nothing, 2));
    TRY(readv(fd, (struct iovec *)bad, 2));
    TRY(preadv2(fd, into, 2, -1, 0));
    TRY(preadv2(fd, into, 2, 0, 0));
    TRY(preadv2(fd, into, 2, -1, 0x4000000));
    TRY(recv(fd, room, 20, 0));
    TRY(recv(fd, room, 20, MSG_PEEK));
    TRY(recv(fd, null, 20, MSG_TRUNC));
    TRY(recv(fd, room, 20, MSG_OOB));
    TRY(recv(fd, room, 20, MSG_ERRQUEUE));
    TRY(recv(fd, bad, 20, 0));
    TRY(recvfrom(fd, room, 20, 0, (struct sockaddr *)&somebody, &length));
    TRY(recvfrom(fd, room, 20, 0, (struct sockaddr *)bad, &length));
    TRY(recvfrom(fd, room, 20, 0, (struct sockaddr *)&somebody, (socklen_t *)bad));
    TRY(recvmsg(fd, message(into, 2), 0));
    TRY(recvmsg(fd, message(parts, MANY), 0));
    TRY(recvmsg(fd, (struct msghdr *)bad, 0));
    TRY(recvmsg(fd, message((struct iovec *)bad, 2), 0));
    TRY(recvmmsg(fd, messages(into), 2, 0, NULL));
    TRY(recvmmsg(fd, messages(into), 0, 0, NULL));
    TRY(recvmmsg(fd, (struct mmsghdr *)bad, 2, 0, NULL));
    TRY(splice(fd, NULL, pipe_in, NULL, 4, SPLICE_F_NONBLOCK));
    TRY(poll(&(struct pollfd){.fd = fd, .events = POLLIN | POLLOUT}, 1, 0));
    TRY(poll((struct pollfd *)bad, 1, 0));
    TRY(select(MANY, (fd_set *)bad, NULL, NULL, &(struct timeval){0}));
    TRY(ppoll((struct pollfd *)bad, 1, &(struct timespec){0}, NULL));
}

static void try_ends(const struct kind *kind) {
    TRY(shutdown(fd, SHUT_RD));
    TRY(shutdown(fd, SHUT_WR));
    TRY(shutdown(fd, SHUT_RDWR));
    TRY(shutdown(fd, 3));
    TRY(shutdown(fd, -1));
    TRY(shutdown(fd, SHUT_WR) + 2 * shutdown(fd, SHUT_WR));
    TRY(close(fd));
    TRY(close(fd) + 2 * close(fd));
    TRY(close_range((unsigned)fd, (unsigned)fd, 0));
    TRY(close_range((unsigned)fd, (unsigned)fd, CLOSE_RANGE_CLOEXEC));
    TRY(close_range((unsigned)fd, (unsigned)fd, 0x100));
    TRY(close_range((unsigned)fd, 1, 0));
    TRY(close_range(3, ~0U, 0));
    TRY(close_range(3, HIGH, CLOSE_RANGE_UNSHARE));
    TRY((closefrom(4), 0));
    TRY(syscall(SYS_close, fd));
    TRY(syscall(SYS_shutdown, fd, SHUT_WR));
    TRY(syscall(SYS_close_range, fd, fd, 0));
    TRY(syscall(SYS_close_range, 7, 3, 0));
}

static void try_opens(const struct kind *kind) {
    TRY(bind(fd, address(AF_INET), sizeof somebody));
    TRY(bind(fd, (struct sockaddr *)bad, sizeof somebody));
    TRY(syscall(SYS_bind, fd, address(AF_INET), 1));
    TRY(connect(fd, address(AF_INET), sizeof somebody));
    TRY(connect(fd, address(AF_INET), 3));
    TRY(connect(fd, address(AF_INET), 1));
    TRY(connect(fd, address(AF_INET6), sizeof somebody));
    TRY(connect(fd, (struct sockaddr *)bad, sizeof somebody));
    TRY(connect(fd, (struct sockaddr *)null, 0));
    TRY(connect(fd, address(AF_UNSPEC), sizeof somebody));
    TRY(connect(fd, address(AF_UNSPEC), 2));
    TRY(accept(fd, NULL, NULL));
    TRY(accept(fd, (struct sockaddr *)&somebody, &length));
    TRY(accept(fd, (struct sockaddr *)bad, &length));
    TRY(accept(fd, (struct sockaddr *)&somebody, (socklen_t *)bad));
    TRY(accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
    TRY(accept4(fd, NULL, NULL, 0x100));
    TRY(setsockopt(fd, IPPROTO_TCP, TCP_LINGER2, &(int){1}, sizeof(int)));
    TRY(setsockopt(fd, IPPROTO_TCP, TCP_LINGER2, bad, sizeof(int)));
    TRY(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, bad, 1));
    TRY(dup(fd));
    TRY(dup2(fd, fd));
    TRY(dup2(fd, HIGH));
    TRY(dup2(fd, -1));
    TRY(dup2(fd, 0x7fffffff));
    TRY(dup2(file, fd));
    TRY(dup2(HIGH + 1, fd));
    TRY(dup3(fd, fd, 0));
    TRY(dup3(fd, HIGH, O_CLOEXEC));
    TRY(dup3(fd, HIGH, 1));
    TRY(dup3(file, fd, O_CLOEXEC));
    TRY(fcntl(fd, F_DUPFD, 0));
    TRY(fcntl(fd, F_DUPFD, HIGH));
    TRY(fcntl(fd, F_DUPFD, -1));
    TRY(fcntl(fd, F_DUPFD_CLOEXEC, HIGH));
    TRY(fcntl(fd, F_GETFD));
    TRY(fcntl(fd, F_GETFL));
    TRY(fcntl(fd, 9999, 1));
    TRY(pidfd_getfd(pidfd, fd, 0));
    TRY(pidfd_getfd(pidfd, fd, 1));
    TRY(pidfd_getfd(-1, fd, 0));
    TRY(syscall(SYS_dup, fd));
    TRY(syscall(SYS_dup2, fd, fd));
    TRY(syscall(SYS_dup3, fd, fd, 0));
    TRY(syscall(SYS_accept4, fd, 0, 0, 0));
    TRY(syscall(SYS_write, fd, text, 5));
    TRY(syscall(SYS_write, fd, bad, 5));
    TRY(syscall(SYS_writev, fd, nothing, 2));
    TRY(syscall(SYS_sendto, fd, text, 5, MSG_NOSIGNAL, 0, 0));
    TRY(syscall(SYS_recvfrom, fd, room, 20, 0, 0, 0));
    TRY(syscall(SYS_sendmsg, fd, bad, 0));
    TRY(syscall(SYS_recvmsg, fd, bad, 0));
    TRY(syscall(SYS_connect, fd, bad, 16));
    TRY(syscall(SYS_gettid) == getpid());
    TRY(syscall(99999));
}

/* Some processes may not change their descriptors' table; nobody may be surprised by one that is left over. */
static int calls(char **arguments) {
    struct sigaction action = {.sa_sigaction = on_sigpipe, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGPIPE, &action, NULL));
    close_all();
    int listener = listen_on_loopback(AF_INET, 1);
    struct sockaddr_storage name = name_of(listener); /* a port on which nobody listens */
    nobody = *(struct sockaddr_in *)&name;
    MUST(close(listener));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (arguments[0] && strcmp(arguments[0], kinds[i].name) != 0)
            continue;
        try_writes(&kinds[i]);
        try_reads(&kinds[i]);
        try_ends(&kinds[i]);
        try_opens(&kinds[i]);
    }
    return fflush(stdout);
}

/* ---- SIGPIPE ---- */

static FILE *stream_on(int fd, int mode) {
    FILE *stream = fdopen(fd, "w");
    if (!stream || setvbuf(stream, NULL, mode, BUFSIZ) != 0)
        fail("a stream");
    return stream;
}

static FILE *buffered(int fd) {
    FILE *stream = stream_on(fd, _IOFBF);
    EXPECT(fputs("in the buffer", stream) >= 0);
    return stream;
}

#define WRITER(name, call)     \
    static long name(int fd) { \
        return (long)(call);   \
    }
WRITER(by_write, write(fd, text, 5))
WRITER(by_writev, writev(fd, two, 2))
WRITER(by_pwritev2, pwritev2(fd, two, 2, -1, 0))
WRITER(by_send, send(fd, text, 5, 0))
WRITER(by_send_nosignal, send(fd, text, 5, MSG_NOSIGNAL))
WRITER(by_sendto, sendto(fd, text, 5, 0, NULL, 0))
WRITER(by_sendmsg, sendmsg(fd, message(two, 2), 0))
WRITER(by_sendmmsg, sendmmsg(fd, messages(two), 2, 0))
WRITER(by_sendfile, sendfile(fd, file, NULL, 7))
WRITER(by_splice, splice(pipe_out, NULL, fd, NULL, 4, 0))
WRITER(by_dprintf, dprintf(fd, "%d", 42))
WRITER(by_syscall_write, syscall(SYS_write, fd, text, 5))
WRITER(by_syscall_sendto, syscall(SYS_sendto, fd, text, 5, 0, 0, 0))
WRITER(by_fputs, fputs("text", stream_on(fd, _IONBF)))
WRITER(by_fprintf, fprintf(stream_on(fd, _IOLBF), "%s\n", "text"))
WRITER(by_fwrite, (long)fwrite(text, 1, 5, stream_on(fd, _IONBF)))
WRITER(by_putc, putc('x', stream_on(fd, _IONBF)))
WRITER(by_fflush, fflush(buffered(fd)))
WRITER(by_fflush_all, (buffered(fd), fflush(NULL)))
WRITER(by_fclose, fclose(buffered(fd)))
WRITER(by_fseek, fseek(buffered(fd), 0, SEEK_END))
// cppcheck-suppress leakReturnValNotUsed
WRITER(by_freopen, freopen("/dev/null", "w", buffered(fd)) != NULL)

static const struct writer {
    const char *name;
    long (*write)(int fd);
} writers[] = {
    {"write", by_write},
    {"writev", by_writev},
    {"pwritev2", by_pwritev2},
    {"send", by_send},
    {"send-nosignal", by_send_nosignal},
    {"sendto", by_sendto},
    {"sendmsg", by_sendmsg},
    {"sendmmsg", by_sendmmsg},
    {"sendfile", by_sendfile},
    {"splice", by_splice},
    {"dprintf", by_dprintf},
    {"syscall-write", by_syscall_write},
    {"syscall-sendto", by_syscall_sendto},
    {"fputs", by_fputs},
    {"fprintf", by_fprintf},
    {"fwrite", by_fwrite},
    {"putc", by_putc},
    {"fflush", by_fflush},
    {"fflush-all", by_fflush_all},
    {"fclose", by_fclose},
    {"fseek", by_fseek},
    {"freopen", by_freopen},
};

static volatile sig_atomic_t runs, clobber_errno;
static volatile int errno_in_handler;

static void handle(int signal, siginfo_t *info, void *context) {
    errno_in_handler = errno;
    on_sigpipe(signal, info, context);
    runs++;
    if (clobber_errno)
        errno = 77;
}

/* Errors of stdio leave errno as libc's inner calls did; results and signals are what matters. */
static void write_and_tell(const struct writer *writer, int fd, const char *how) {
    runs = 0;
    sigpipes = 0;
    errno_in_handler = -1;
    errno = PRESET;
    long result = writer->write(fd);
    int error = errno;
    int handled = runs;
    sigset_t mask, pending;
    MUST(sigprocmask(SIG_BLOCK, NULL, &mask));
    MUST(sigpending(&pending));
    tell("%s %s: %ld errno %d handled %d as %d, blocked %d, pending %d", writer->name, how, result, error, handled,
         (int)sigpipes, sigismember(&mask, SIGPIPE), sigismember(&pending, SIGPIPE));
    if (sigismember(&pending, SIGPIPE)) {
        sigset_t only;
        siginfo_t info;
        sigemptyset(&only);
        sigaddset(&only, SIGPIPE);
        int taken = sigtimedwait(&only, &info, &(struct timespec){0});
        tell("%s %s: took %d code %d of itself %d", writer->name, how, taken, info.si_code,
             info.si_pid == getpid() && info.si_uid == getuid());
    }
}

/* In a child, which may die of it. */
static void try_sigpipe(const struct writer *writer, const char *how, struct sigaction action, bool blocked) {
    pid_t child = MUST(fork());
    if (child == 0) {
        struct subject subject = make_half_closed();
        MUST(fcntl(subject.fd, F_SETFL, 0));
        set_up();
        MUST(sigaction(SIGPIPE, &action, NULL));
        if (blocked) {
            sigset_t only;
            sigemptyset(&only);
            sigaddset(&only, SIGPIPE);
            MUST(sigprocmask(SIG_BLOCK, &only, NULL));
        }
        write_and_tell(writer, subject.fd, how);
        if (action.sa_flags & SA_RESETHAND) {
            struct sigaction now;
            MUST(sigaction(SIGPIPE, NULL, &now));
            tell("%s %s: default again %d", writer->name, how, now.sa_handler == SIG_DFL);
        }
        _exit(0);
    }
    int status;
    MUST(waitpid(child, &status, 0));
    tell("%s %s: ended with %d", writer->name, how, status);
}

static int sigpipe(char **arguments) {
    (void)arguments;
    struct sigaction fatal = {.sa_handler = SIG_DFL}, ignored = {.sa_handler = SIG_IGN};
    struct sigaction handled = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    struct sigaction once = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND | SA_RESTART};
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        try_sigpipe(&writers[i], "default", fatal, false);
        try_sigpipe(&writers[i], "ignored", ignored, false);
        try_sigpipe(&writers[i], "handled", handled, false);
        clobber_errno = 1;
        try_sigpipe(&writers[i], "handled once, by a handler that changes errno", once, false);
        clobber_errno = 0;
        try_sigpipe(&writers[i], "blocked", handled, true);
        try_sigpipe(&writers[i], "default and blocked", fatal, true);
    }
    return 0;
}

/* What errno is in a handler of SIGPIPE: that of before the call, since libc has not seen its result yet. */
static int sigpipe_errno(char **arguments) {
    (void)arguments;
    struct sigaction handled = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    MUST(sigaction(SIGPIPE, &handled, NULL));
    for (int i = 0; i < 8; i++) { /* system calls; what stdio does before is libc's affair */
        struct subject subject = make_half_closed();
        set_up();
        write_and_tell(&writers[i], subject.fd, "handled");
        tell("%s: errno in the handler %d", writers[i].name, errno_in_handler);
    }
    return 0;
}

static bool sleeps(pid_t child) {
    char path[64], contents[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    int stat = MUST(open(path, O_RDONLY));
    ssize_t bytes = read(stat, contents, sizeof contents - 1);
    close(stat);
    return bytes > 0 && strstr(contents, ") S ") != NULL;
}

/* A SIGPIPE from elsewhere, while a call that could raise one itself waits for room: it acts at once. */
static int sigpipe_from_elsewhere(char **arguments) {
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        const struct writer *writer = &writers[i];
        if (arguments[0] && strcmp(arguments[0], writer->name) != 0)
            continue;
        struct pair pair = quiet_pair(AF_INET);
        atomic_int *ready = mmap(NULL, sizeof *ready, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        EXPECT(ready != MAP_FAILED);
        fill(pair.c);
        pid_t child = MUST(fork());
        if (child == 0) {
            set_up();
            MUST(signal(SIGPIPE, SIG_DFL) == SIG_ERR ? -1 : 0);
            atomic_store(ready, 1);
            writer->write(pair.c);
            _exit(0);
        }
        WAIT_UNTIL(atomic_load(ready) && sleeps(child));
        MUST(kill(child, SIGPIPE));
        int status = -1;
        long limit = now_ms() + 10000;
        while (waitpid(child, &status, WNOHANG) == 0 && now_ms() < limit)
            pause_a_moment();
        tell("%s: ended with %d", writer->name, status);
        if (status == -1)
            kill(child, SIGKILL);
    }
    return 0;
}

/* ---- calls that start programs and fail, calls that make processes and succeed ---- */

#define SHOW(call)                                                          \
    do {                                                                    \
        errno = PRESET;                                                     \
        long shown = (long)(call);                                          \
        int error = errno;                                                  \
        int lowest = dup(0);                                                \
        close(lowest);                                                      \
        printf("%s = %ld errno %d free %d\n", #call, shown, error, lowest); \
        fflush(stdout);                                                     \
    } while (0)

static int reap(int child) {
    int status = -1;
    if (child > 0)
        waitpid(child, &status, 0);
    return child > 0 ? status : -1;
}

static int forked(void) {
    int child = fork();
    if (child == 0)
        _exit(3);
    return reap(child);
}

static int forked_plainly(void) {
    int child = _Fork();
    if (child == 0)
        _exit(4);
    return reap(child);
}

static int vforked(void) {
    int child = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): tested
    if (child == 0)
        _exit(5);
    return reap(child);
}

static int forked_by_number(void) {
    int child = (int)syscall(SYS_fork);
    if (child == 0)
        _exit(6);
    return reap(child);
}

static int spawned(const char *path, char *const argv[]) {
    pid_t child = 99;
    int result = posix_spawn(&child, path, NULL, NULL, argv, environ);
    return result ? -1000 * result - (child != 99) : reap(child);
}

static int failing(char **arguments) {
    (void)arguments;
    static char *no_arguments[] = {NULL};
    static char *echo[] = {"sh", "-c", "exit 9", NULL};
    char script[] = "/tmp/closetrace-XXXXXX"; /* neither a program nor a script */
    int made = MUST(mkstemp(script));
    EXPECT(write(made, "exit 8\n", 7) == 7);
    MUST(fchmod(made, 0755));
    MUST(close(made));
    struct pair pair = quiet_pair(AF_INET);
    MUST(fcntl(pair.c, F_SETFD, FD_CLOEXEC));

    SHOW(execve("/nonexistent/program", echo, environ));
    SHOW(execve("/", echo, environ));
    SHOW(execve(bad, echo, environ));
    SHOW(execve(script, echo, environ));
    SHOW(execve("/bin/sh", (char **)bad, environ));
    SHOW(execv("/etc/passwd", echo));
    SHOW(execvp("no-such-program-anywhere", echo));
    SHOW(execvp("", echo));
    SHOW(execvpe("no-such-program-anywhere", echo, no_arguments));
    SHOW(execl("/nonexistent/program", "x", "y", (char *)NULL));
    SHOW(execlp("no-such-program-anywhere", "x", (char *)NULL));
    SHOW(execle("/nonexistent/program", "x", (char *)NULL, environ));
    SHOW(fexecve(-1, echo, environ));
    SHOW(fexecve(pair.c, echo, environ));
    SHOW(execveat(-1, "x", echo, environ, 0));
    SHOW(execveat(AT_FDCWD, "/nonexistent/program", echo, environ, 0x800000));
    SHOW(syscall(SYS_execve, "/nonexistent/program", echo, environ));
    SHOW(spawned("/nonexistent/program", echo));
    SHOW(spawned("/bin/sh", echo));
    SHOW(forked());
    SHOW(forked_plainly());
    SHOW(vforked());
    SHOW(forked_by_number());
    SHOW(system("exit 7"));
    SHOW(system(NULL));
    SHOW(popen("true", "neither") != NULL);
    SHOW(pclose(popen("exit 6", "r")));
    SHOW(socket(AF_INET, SOCK_STREAM, 0));
    SHOW(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
    SHOW(socket(AF_INET, 99, 0));
    SHOW(socket(9999, SOCK_STREAM, 0));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)bad));
    SHOW(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){0}));
    SHOW(raise(-1));
    SHOW(raise(0));
    SHOW(kill(getpid(), 0));
    SHOW(kill(getpid(), 9999));
    SHOW(kill(-1000000, SIGTERM));
    SHOW(signal(SIGTERM, SIG_IGN) == SIG_ERR);
    SHOW(raise(SIGTERM));
    SHOW(kill(getpid(), SIGTERM));
    MUST(unlink(script));
    return 0;
}

/* ---- stdio on a socket ---- */

static int streams(char **arguments) {
    (void)arguments;
    char line[32] = "", *grown = NULL;
    size_t size = 0;
    struct pair pair = quiet_pair(AF_INET);
    FILE *out = fdopen(pair.s, "w"), *in = fdopen(pair.c, "r+");
    EXPECT(out && in);
    signal(SIGPIPE, SIG_IGN);
    errno = ENOENT;
    SHOW(fprintf(out, "first %d\n", 1));
    errno = EXDEV;
    int length_of_error = fprintf(out, "%m\n"); /* errno is the program's, until libc is called */
    printf("%d\n", length_of_error);
    SHOW(fputs("third line\nfourth", out));
    SHOW(putc('!', out));
    SHOW(fflush(out));
    SHOW(fgets(line, sizeof line, in) != NULL);
    printf("%s", line);
    SHOW(getline(&grown, &size, in));
    printf("%s", grown);
    SHOW(fscanf(in, "%31s", line));
    SHOW(getc(in));
    SHOW(fread(line, 1, 4, in));
    SHOW(ungetc('u', in));
    SHOW(fgetc(in));
    SHOW(fputs("back", in));
    SHOW(fflush(in));
    SHOW(fclose(out));
    SHOW(fread(line, 1, sizeof line, in));
    SHOW(getc(in));
    SHOW(feof(in));
    SHOW(ferror(in));
    SHOW(fputs("to nobody", in));
    SHOW(fflush(in));
    SHOW(fputs("to nobody", in));
    SHOW(fflush(in));
    SHOW(ferror(in));
    SHOW(fclose(in));
    free(grown);

    /* perror() on a socket */
    pair = quiet_pair(AF_INET);
    MUST(fflush(stderr));
    int saved = MUST(dup(STDERR_FILENO));
    MUST(dup2(pair.c, STDERR_FILENO));
    errno = EXDEV;
    perror("perror");
    SHOW(fprintf(stderr, "fprintf: %s\n", "to a socket"));
    MUST(dup2(saved, STDERR_FILENO));
    SHOW(recv(pair.s, line, sizeof line, 0));
    printf("%.*s\n", (int)sizeof line, line);
    return fflush(stdout);
}

/*
 * A stream that has no descriptor, in memory where a number lies that is a TCP socket's: closing it closes nothing.
 */
static int memory_stream(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    char *contents = NULL;
    size_t size = 0;
    for (size_t bytes = 128; bytes < 1024; bytes += 16) {
        int *used = malloc(bytes);
        for (size_t i = 0; used && i < bytes / sizeof *used; i++)
            used[i] = pair.c;
        free(used);
    }
    FILE *stream = open_memstream(&contents, &size);
    EXPECT(stream && fputs("nothing of this is sent", stream) >= 0);
    EXPECT(fclose(stream) == 0);
    free(contents);
    EXPECT(!ended(pair.s));
    tell("open=%d", fcntl(pair.c, F_GETFD));
    MUST(close(pair.c));
    return 0;
}

SCENES({"calls", calls}, {"sigpipe", sigpipe}, {"sigpipe-errno", sigpipe_errno},
       {"sigpipe-from-elsewhere", sigpipe_from_elsewhere}, {"failing", failing}, {"streams", streams},
       {"memory-stream", memory_stream})
