/*
 * walk_actor: the traced program of the random walk (tests/walk/walk.py, which has the list of what it is told).
 *
 *     walk_actor SOCKET              connects to the driver's unix socket and obeys it
 *     walk_actor SOCKET resume ID    goes on after an exec: the control channel is still there; answers ID
 *     walk_actor SOCKET spawner      only forks fresh actors, never has a TCP socket
 *
 * Each command is one packet, "ID CONTEXT NAME ARGS...", and is answered by one packet, "A ID key=value ...". The
 * channel lives at CONTROL, above every number that a command touches save the sweeps (closefrom, close_range to
 * the end), which close it: then it is made anew. CONTEXT says where the call is made: in the main thread, in
 * another thread, or in a signal handler. No command leaves descriptors behind that its answer does not tell of:
 * the driver predicts every number and compares with /proc.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unseen.h"

enum { CONTROL = 500, ARGS_MAX = 48, PACKET_MAX = 4096, PASS_MAX = 16 };

extern char **environ;

static const char *driver_path;
static char self_path[PATH_MAX];
static pthread_mutex_t channel_lock = PTHREAD_MUTEX_INITIALIZER; /* held while there is no channel */

struct command {
    char text[PACKET_MAX];
    char *argv[ARGS_MAX];
    int argc;
    const char *id, *context, *name;
    int passed; /* a descriptor that came with the command, or -1 */
    char answer[PACKET_MAX];
    size_t length;
};

static int return_from_main = -1; /* the status, once the command was to return */

static long long now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

__attribute__((format(printf, 2, 3))) static void say(struct command *c, const char *format, ...) {
    va_list list;
    va_start(list, format);
    c->length += (size_t)vsnprintf(c->answer + c->length, sizeof c->answer - c->length, format, list);
    va_end(list);
}

static void send_packet(const char *text) {
    while (send(CONTROL, text, strlen(text), MSG_NOSIGNAL) < 0)
        if (errno != EINTR)
            _exit(99);
}

static void connect_driver(const char *kind) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", driver_path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 || dup2(fd, CONTROL) < 0)
        _exit(98);
    if (fd != CONTROL)
        close(fd);
    char hello[128];
    snprintf(hello, sizeof hello, "H %d %d %s", getpid(), getppid(), kind);
    send_packet(hello);
}

static int number(const struct command *c, int i) {
    return i < c->argc ? atoi(c->argv[i]) : -1;
}

static const char *word(const struct command *c, int i) {
    return i < c->argc ? c->argv[i] : "";
}

static void say_address(struct command *c, const char *key, const struct sockaddr_storage *from) {
    char text[INET6_ADDRSTRLEN] = "";
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)from;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        say(c, " %s=%s:%d", key, text, ntohs(in->sin_port));
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)from;
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) {
            inet_ntop(AF_INET, in->sin6_addr.s6_addr + 12, text, sizeof text);
            say(c, " %s=%s:%d", key, text, ntohs(in->sin6_port));
        } else {
            inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
            say(c, " %s=[%s]:%d", key, text, ntohs(in->sin6_port));
        }
    }
}

/* Who a new socket is. */
static void say_socket(struct command *c, int fd) {
    struct stat st;
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    unsigned long long cookie = 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    say(c, " inode=%llu", (unsigned long long)st.st_ino);
    socklen_t cookie_length = sizeof cookie;
    if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &cookie_length) == 0)
        say(c, " cookie=%llu", cookie);
    if (getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        say_address(c, "local", &address);
    length = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &length) == 0)
        say_address(c, "remote", &address);
}

#define TIMED(c, expression)                                                                \
    do {                                                                                    \
        long long t0_ = now_ns();                                                           \
        errno = 0;                                                                          \
        long ret_ = (long)(expression);                                                     \
        int errno_ = errno;                                                                 \
        long long t1_ = now_ns();                                                           \
        say(c, " t0=%lld t1=%lld ret=%ld errno=%d", t0_, t1_, ret_, ret_ < 0 ? errno_ : 0); \
    } while (0)

static socklen_t address_of(const char *kind, int port, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (!strcmp(kind, "v4")) {
        struct sockaddr_in *in = (void *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof *in;
    }
    struct sockaddr_in6 *in = (void *)out;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons((uint16_t)port);
    const char *text = !strcmp(kind, "v6") ? "::1" : !strcmp(kind, "mapped") ? "::ffff:127.0.0.1" : "::";
    inet_pton(AF_INET6, text, &in->sin6_addr);
    return sizeof *in;
}

/* listen KIND BACKLOG CLOEXEC */
static void do_listen(struct command *c) {
    struct sockaddr_storage address;
    socklen_t length = address_of(word(c, 0), 0, &address);
    int one = 1, zero = 0;
    int fd = socket(address.ss_family, SOCK_STREAM | (number(c, 2) ? SOCK_CLOEXEC : 0), 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* accepted ones have it from here */
    if (address.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    int ret = bind(fd, (struct sockaddr *)&address, length);
    if (ret == 0)
        ret = listen(fd, number(c, 1));
    say(c, " fd=%d ret=%d errno=%d", fd, ret, ret ? errno : 0);
    say_socket(c, fd);
}

/* connect KIND PORT CLOEXEC NONBLOCK SMALL */
static void do_connect(struct command *c) {
    struct sockaddr_storage address;
    socklen_t length = address_of(word(c, 0), number(c, 1), &address);
    int type = SOCK_STREAM | (number(c, 2) ? SOCK_CLOEXEC : 0) | (number(c, 3) ? SOCK_NONBLOCK : 0);
    int fd = socket(address.ss_family, type, 0);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* what was written is there when write() returns */
    TIMED(c, connect(fd, (struct sockaddr *)&address, length));
    say(c, " fd=%d", fd);
    if (number(c, 3))
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    say_socket(c, fd);
}

/* socket KIND CLOEXEC: one that is never connected */
static void do_socket(struct command *c) {
    int fd = socket(!strcmp(word(c, 0), "v4") ? AF_INET : AF_INET6, SOCK_STREAM | (number(c, 1) ? SOCK_CLOEXEC : 0), 0);
    say(c, " ret=%d errno=%d fd=%d", fd, fd < 0 ? errno : 0, fd);
    say_socket(c, fd);
}

/* accept VARIANT FD */
static void do_accept(struct command *c) {
    const char *variant = word(c, 0);
    int fd = number(c, 1), got = -1;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    if (!strcmp(variant, "accept"))
        TIMED(c, got = accept(fd, (struct sockaddr *)&address, &length));
    else if (!strcmp(variant, "accept-null"))
        TIMED(c, got = accept(fd, NULL, NULL));
    else
        TIMED(c, got = accept4(fd, NULL, NULL, !strcmp(variant, "accept4-cloexec") ? SOCK_CLOEXEC : 0));
    say(c, " fd=%d", got);
    say_socket(c, got);
}

/* dup VARIANT FD [NEW] */
static void do_dup(struct command *c) {
    const char *v = word(c, 0);
    int fd = number(c, 1), to = number(c, 2);
    if (!strcmp(v, "dup"))
        TIMED(c, dup(fd));
    else if (!strcmp(v, "dup2"))
        TIMED(c, dup2(fd, to));
    else if (!strcmp(v, "dup3"))
        TIMED(c, dup3(fd, to, 0));
    else if (!strcmp(v, "dup3-cloexec"))
        TIMED(c, dup3(fd, to, O_CLOEXEC));
    else if (!strcmp(v, "F_DUPFD"))
        TIMED(c, fcntl(fd, F_DUPFD, to));
    else if (!strcmp(v, "F_DUPFD_CLOEXEC"))
        TIMED(c, fcntl(fd, F_DUPFD_CLOEXEC, to));
    else if (!strcmp(v, "syscall-dup"))
        TIMED(c, syscall(SYS_dup, fd));
    else if (!strcmp(v, "syscall-dup3"))
        TIMED(c, syscall(SYS_dup3, fd, to, 0));
    else if (!strcmp(v, "raw-dup"))
        TIMED(c, unseen(SYS_dup, fd, 0, 0));
    else
        say(c, " unknown=%s", v);
}

static void over_by_file(struct command *c, int fd, int flags, int raw) {
    int null = open("/dev/null", O_RDWR);
    if (raw)
        TIMED(c, syscall(SYS_dup3, null, fd, flags));
    else if (flags)
        TIMED(c, dup3(null, fd, flags));
    else
        TIMED(c, dup2(null, fd));
    close(null);
    close(fd);
}

/* close VARIANT FD [LAST | N] */
static void do_close(struct command *c) {
    const char *v = word(c, 0);
    int fd = number(c, 1), last = number(c, 2);
    if (!strcmp(v, "close"))
        TIMED(c, close(fd));
    else if (!strcmp(v, "syscall"))
        TIMED(c, syscall(SYS_close, fd));
    else if (!strcmp(v, "raw"))
        TIMED(c, unseen(SYS_close, fd, 0, 0));
    else if (!strcmp(v, "dup2-file"))
        over_by_file(c, fd, 0, 0);
    else if (!strcmp(v, "dup3-file"))
        over_by_file(c, fd, O_CLOEXEC, 0);
    else if (!strcmp(v, "syscall-dup3-file"))
        over_by_file(c, fd, 0, 1);
    else if (!strcmp(v, "fclose")) {
        FILE *file = fdopen(fd, "r+");
        TIMED(c, fclose(file));
    } else if (!strcmp(v, "fclose-data")) {
        FILE *file = fdopen(fd, "r+");
        for (int i = 0; i < last; i++)
            fputc('f', file);
        TIMED(c, fclose(file));
    } else if (!strcmp(v, "freopen")) {
        FILE *file = fdopen(fd, "r+"), *again = NULL;
        TIMED(c, (again = freopen("/dev/null", "r", file)) ? 0 : -1);
        if (again)
            fclose(again);
    } else if (!strcmp(v, "close_range"))
        TIMED(c, close_range((unsigned)fd, (unsigned)last, 0));
    else if (!strcmp(v, "close_range-unshare"))
        TIMED(c, close_range((unsigned)fd, (unsigned)last, CLOSE_RANGE_UNSHARE));
    else if (!strcmp(v, "close_range-cloexec"))
        TIMED(c, close_range((unsigned)fd, (unsigned)last, CLOSE_RANGE_CLOEXEC));
    else if (!strcmp(v, "syscall-close_range"))
        TIMED(c, syscall(SYS_close_range, (unsigned)fd, (unsigned)last, 0));
    else if (!strcmp(v, "close_range-all")) {
        pthread_mutex_lock(&channel_lock);
        TIMED(c, close_range((unsigned)fd, ~0U, 0));
        connect_driver("again");
        pthread_mutex_unlock(&channel_lock);
    } else if (!strcmp(v, "closefrom")) {
        pthread_mutex_lock(&channel_lock);
        TIMED(c, (closefrom(fd), 0));
        connect_driver("again");
        pthread_mutex_unlock(&channel_lock);
    } else if (!strcmp(v, "more")) {
        char data[64] = {0};
        send(fd, data, (size_t)last, MSG_MORE | MSG_NOSIGNAL);
        TIMED(c, close(fd));
    } else
        say(c, " unknown=%s", v);
}

/* shutdown VARIANT FD HOW */
static void do_shutdown(struct command *c) {
    int fd = number(c, 1), how = number(c, 2);
    if (!strcmp(word(c, 0), "syscall"))
        TIMED(c, syscall(SYS_shutdown, fd, how));
    else
        TIMED(c, shutdown(fd, how));
}

/* write VARIANT FD N */
static void do_write(struct command *c) {
    const char *v = word(c, 0);
    int fd = number(c, 1);
    char data[256];
    size_t n = (size_t)number(c, 2);
    memset(data, 'd', sizeof data);
    struct iovec iov = {data, n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (!strcmp(v, "write"))
        TIMED(c, write(fd, data, n));
    else if (!strcmp(v, "send"))
        TIMED(c, send(fd, data, n, 0));
    else if (!strcmp(v, "send-nosignal"))
        TIMED(c, send(fd, data, n, MSG_NOSIGNAL));
    else if (!strcmp(v, "sendto"))
        TIMED(c, sendto(fd, data, n, 0, NULL, 0));
    else if (!strcmp(v, "writev"))
        TIMED(c, writev(fd, &iov, 1));
    else if (!strcmp(v, "sendmsg"))
        TIMED(c, sendmsg(fd, &msg, 0));
    else if (!strcmp(v, "syscall-write"))
        TIMED(c, syscall(SYS_write, fd, data, n));
    else if (!strcmp(v, "oob"))
        TIMED(c, send(fd, data, 1, MSG_OOB));
    else
        say(c, " unknown=%s", v);
}

/* read VARIANT FD N: never blocks */
static void do_read(struct command *c) {
    const char *v = word(c, 0);
    int fd = number(c, 1);
    char data[256];
    size_t n = (size_t)number(c, 2);
    struct iovec iov = {data, n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (!strcmp(v, "recv"))
        TIMED(c, recv(fd, data, n, MSG_DONTWAIT));
    else if (!strcmp(v, "recvfrom"))
        TIMED(c, recvfrom(fd, data, n, MSG_DONTWAIT, NULL, NULL));
    else if (!strcmp(v, "recvmsg"))
        TIMED(c, recvmsg(fd, &msg, MSG_DONTWAIT));
    else if (!strcmp(v, "peek"))
        TIMED(c, recv(fd, data, n, MSG_DONTWAIT | MSG_PEEK));
    else if (!strcmp(v, "oob"))
        TIMED(c, recv(fd, data, 1, MSG_DONTWAIT | MSG_OOB));
    else { /* plain read and readv: the driver asks for them where they cannot block */
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 0) != 1)
            say(c, " wouldblock=1");
        if (!strcmp(v, "read"))
            TIMED(c, read(fd, data, n));
        else
            TIMED(c, readv(fd, &iov, 1));
    }
}

/* drain FD MS: reads until the end, an error, or until nothing has come for MS. ret=0: the end */
static void do_drain(struct command *c) {
    char data[65536];
    int fd = number(c, 0), patience = number(c, 1), eofs = 0;
    long long total = 0, t0 = now_ns();
    ssize_t ret = 0;
    int error = 0;
    for (;;) {
        ret = recv(fd, data, sizeof data, MSG_DONTWAIT);
        error = errno;
        if (ret > 0) {
            total += ret;
            continue;
        }
        if (ret == 0) {
            eofs++;
            break;
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (error != EAGAIN || poll(&p, 1, patience) == 0)
            break;
    }
    say(c, " t0=%lld t1=%lld ret=%zd errno=%d total=%lld", t0, now_ns(), ret, ret < 0 ? error : 0, total);
}

/* fill FD: writes until the send buffer is full */
static void do_fill(struct command *c) {
    static char data[65536];
    int fd = number(c, 0), unsent = 0, small = 16384;
    long long total = 0, t0 = now_ns();
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    ssize_t n;
    int quiet = 0;
    while (quiet < 2) {
        n = send(fd, data, sizeof data, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            total += n;
            quiet = 0;
        } else if (errno != EAGAIN)
            break;
        else { /* what is on its way may still make room */
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            quiet = poll(&p, 1, 60) == 0 ? quiet + 1 : 0;
        }
    }
    int error = n < 0 ? errno : 0;
    ioctl(fd, SIOCOUTQNSD, &unsent);
    say(c, " t0=%lld t1=%lld ret=%lld errno=%d unsent=%d", t0, now_ns(), total, error, unsent);
}

/* linger FD ON SECONDS, linger2 FD VALUE */
static void do_linger(struct command *c) {
    struct linger linger = {number(c, 1), number(c, 2)};
    TIMED(c, setsockopt(number(c, 0), SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}

static void do_linger2(struct command *c) {
    int value = number(c, 1);
    TIMED(c, setsockopt(number(c, 0), IPPROTO_TCP, TCP_LINGER2, &value, sizeof value));
}

/* unspec FD */
static void do_unspec(struct command *c) {
    struct sockaddr address = {.sa_family = AF_UNSPEC};
    TIMED(c, connect(number(c, 0), &address, sizeof address));
}

/* cloexec FD ON */
static void do_cloexec(struct command *c) {
    TIMED(c, fcntl(number(c, 0), F_SETFD, number(c, 1) ? FD_CLOEXEC : 0));
}

/* null: a descriptor of something else */
static void do_null(struct command *c) {
    TIMED(c, open("/dev/null", O_RDWR));
}

/* epoll EPFD|-1 FD: registers, making the set first if need be */
static void do_epoll(struct command *c) {
    int set = number(c, 0), made = 0;
    if (set < 0) {
        set = epoll_create1(0);
        made = 1;
    }
    struct epoll_event event = {.events = EPOLLIN};
    int ret = epoll_ctl(set, EPOLL_CTL_ADD, number(c, 1), &event);
    say(c, " fd=%d made=%d ret=%d errno=%d", set, made, ret, ret ? errno : 0);
}

/* takefd: one that came with the command */
static void do_takefd(struct command *c) {
    struct stat st;
    say(c, " ret=%d errno=0", c->passed);
    if (fstat(c->passed, &st) == 0)
        say(c, " inode=%llu", (unsigned long long)st.st_ino);
    c->passed = -1;
}

/* sendfd VARIANT UNIXFD FD... */
static void do_sendfd(struct command *c) {
    char byte = 'x', control[CMSG_SPACE(sizeof(int) * PASS_MAX)] = {0};
    struct iovec iov = {&byte, 1};
    int count = c->argc - 2;
    struct mmsghdr m = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control}};
    m.msg_hdr.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
    struct cmsghdr *head = CMSG_FIRSTHDR(&m.msg_hdr);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
    for (int i = 0; i < count; i++) {
        int fd = number(c, 2 + i);
        memcpy(CMSG_DATA(head) + sizeof fd * (size_t)i, &fd, sizeof fd);
    }
    if (!strcmp(word(c, 0), "sendmmsg"))
        TIMED(c, sendmmsg(number(c, 1), &m, 1, MSG_DONTWAIT | MSG_NOSIGNAL));
    else
        TIMED(c, sendmsg(number(c, 1), &m.msg_hdr, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* recvfd VARIANT UNIXFD: recvmsg, recvmmsg, cloexec, peek; cut (room for one descriptor), read (drops them all) */
static void do_recvfd(struct command *c) {
    const char *v = word(c, 0);
    int fd = number(c, 1);
    char byte;
    union {
        char bytes[CMSG_SPACE(sizeof(int) * PASS_MAX)];
        struct cmsghdr align;
    } control;
    memset(&control, 0, sizeof control);
    struct iovec iov = {&byte, 1};
    struct mmsghdr m = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes}};
    m.msg_hdr.msg_controllen = !strcmp(v, "cut") ? CMSG_LEN(sizeof(int)) : sizeof control.bytes;
    if (!strcmp(v, "read")) {
        TIMED(c, read(fd, &byte, 1));
        return;
    }
    if (!strcmp(v, "recvmmsg"))
        TIMED(c, recvmmsg(fd, &m, 1, MSG_DONTWAIT, NULL));
    else
        TIMED(c, recvmsg(fd, &m.msg_hdr,
                         MSG_DONTWAIT | (!strcmp(v, "cloexec") ? MSG_CMSG_CLOEXEC : 0) |
                             (!strcmp(v, "peek") ? MSG_PEEK : 0)));
    say(c, " fds=");
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&m.msg_hdr); head; head = CMSG_NXTHDR(&m.msg_hdr, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int got;
            memcpy(&got, CMSG_DATA(head) + sizeof got * i, sizeof got);
            say(c, "%s%d", i ? "," : "", got);
        }
    }
}

/* block KIND FD N: a thread waits in a call on FD; tells "W ID RET ERRNO" once that has returned */
struct blocker {
    char id[32], kind[16];
    int fd, n;
    pid_t tid;
    pthread_mutex_t lock;
    pthread_cond_t ready;
};

static void *blocker_main(void *argument) {
    struct blocker *b = argument;
    char data[256], id[32];
    int fd = b->fd;
    char kind[16];
    memcpy(id, b->id, sizeof id);
    memcpy(kind, b->kind, sizeof kind);
    struct iovec iov = {data, (size_t)b->n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    size_t n = iov.iov_len;
    pthread_mutex_lock(&b->lock);
    b->tid = (pid_t)syscall(SYS_gettid);
    pthread_cond_signal(&b->ready);
    pthread_mutex_unlock(&b->lock); /* b is gone from here on */
    long ret;
    if (!strcmp(kind, "recv"))
        ret = recv(fd, data, n, 0);
    else if (!strcmp(kind, "read"))
        ret = read(fd, data, n);
    else if (!strcmp(kind, "readv"))
        ret = readv(fd, &iov, 1);
    else if (!strcmp(kind, "recvmsg"))
        ret = recvmsg(fd, &msg, 0);
    else if (!strcmp(kind, "poll"))
        ret = poll(&p, 1, -1);
    else if (!strcmp(kind, "ppoll"))
        ret = ppoll(&p, 1, NULL, NULL);
    else
        ret = select(fd + 1, &set, NULL, NULL, NULL);
    char text[128];
    snprintf(text, sizeof text, "W %s %ld %d %d", id, ret, ret < 0 ? errno : 0, p.revents);
    pthread_mutex_lock(&channel_lock);
    send_packet(text);
    pthread_mutex_unlock(&channel_lock);
    return NULL;
}

static void do_block(struct command *c) {
    struct blocker b = {
        .fd = number(c, 1), .n = number(c, 2), .lock = PTHREAD_MUTEX_INITIALIZER, .ready = PTHREAD_COND_INITIALIZER};
    snprintf(b.id, sizeof b.id, "%s", c->id);
    snprintf(b.kind, sizeof b.kind, "%s", word(c, 0));
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&b.lock);
    if (pthread_create(&thread, &attributes, blocker_main, &b) != 0)
        _exit(97);
    while (!b.tid)
        pthread_cond_wait(&b.ready, &b.lock);
    pthread_mutex_unlock(&b.lock);
    say(c, " ret=0 errno=0 tid=%d", b.tid);
}

/* fork VARIANT: the child is an actor of its own */
static void do_fork(struct command *c) {
    const char *v = word(c, 0);
    long child;
    long long t0 = now_ns();
    if (!strcmp(v, "fork"))
        child = fork();
    else if (!strcmp(v, "_Fork"))
        child = _Fork();
    else
        child = syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    if (child == 0) {
        pthread_mutex_init(&channel_lock, NULL); /* whoever held it is not here */
        close(CONTROL);
        connect_driver("fork");
        c->length = 0;
        c->id = NULL;
        return;
    }
    say(c, " t0=%lld t1=%lld ret=%ld errno=%d", t0, now_ns(), child, child < 0 ? errno : 0);
}

/* spawn VARIANT [ACTION...]: a fresh actor with what it inherits; ACTION is cFD or dFROM:TO */
static void do_spawn(struct command *c) {
    const char *v = word(c, 0);
    char *arguments[] = {self_path, (char *)driver_path, NULL};
    pid_t child = -1;
    volatile long long t0 = now_ns();
    volatile int error = 0;
    if (!strcmp(v, "vfork")) {
        child = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork)
        if (child == 0) {
            execv(self_path, arguments);
            _exit(96);
        }
    } else if (!strcmp(v, "fork")) {
        child = fork();
        if (child == 0) {
            execv(self_path, arguments);
            _exit(96);
        }
    } else {
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        for (int i = 1; i < c->argc; i++) {
            int from, to;
            if (sscanf(c->argv[i], "c%d", &from) == 1)
                posix_spawn_file_actions_addclose(&actions, from);
            else if (sscanf(c->argv[i], "d%d:%d", &from, &to) == 2)
                posix_spawn_file_actions_adddup2(&actions, from, to);
        }
        if (!strcmp(v, "posix_spawnp"))
            error = posix_spawnp(&child, self_path, &actions, NULL, arguments, environ);
        else
            error = posix_spawn(&child, self_path, &actions, NULL, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    say(c, " t0=%lld t1=%lld ret=%d errno=%d", t0, now_ns(), error ? -1 : child, error ? error : child < 0 ? errno : 0);
}

/* child VARIANT FD: one that ends at once, and is waited for */
static void do_child(struct command *c) {
    const char *v = word(c, 0);
    int fd = number(c, 1), status = 0;
    pid_t child = 0;
    volatile long long t0 = now_ns();
    if (!strcmp(v, "vfork")) {
        child = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork)
        if (child == 0)
            _exit(0);
    } else if (!strcmp(v, "vfork-close")) {
        child = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork)
        if (child == 0) {
            close(fd); // NOLINT(clang-analyzer-unix.Vfork): forbidden by POSIX, done by programs
            _exit(0);
        }
    } else if (!strcmp(v, "vfork-exec")) {
        child = vfork(); // NOLINT(clang-analyzer-security.insecureAPI.vfork)
        if (child == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
    } else if (!strcmp(v, "fork-close")) {
        child = fork();
        if (child == 0) {
            close(fd);
            _exit(0);
        }
    } else if (!strcmp(v, "system")) {
        status = system(":");
    } else {
        FILE *file = popen(":", "r");
        if (file)
            status = pclose(file);
    }
    if (child > 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    say(c, " t0=%lld t1=%lld ret=%d errno=0 status=%d", t0, now_ns(), child, status);
}

/* exec VARIANT: goes on as a new program in the same process; fail-...: cannot */
static void do_exec(struct command *c) {
    char *arguments[] = {self_path, (char *)driver_path, "resume", (char *)c->id, NULL};
    const char *v = word(c, 0);
    int fail = !strncmp(v, "fail-", 5);
    if (fail)
        v += 5;
    const char *file = fail ? "/nonexistent/program" : self_path;
    long ret = -1;
    long long t0 = now_ns();
    errno = 0;
    if (!strcmp(v, "execv"))
        ret = execv(file, arguments);
    else if (!strcmp(v, "execve"))
        ret = execve(file, arguments, environ);
    else if (!strcmp(v, "execvp"))
        ret = execvp(file, arguments);
    else if (!strcmp(v, "execvpe"))
        ret = execvpe(file, arguments, environ);
    else if (!strcmp(v, "execl"))
        ret = execl(file, arguments[0], arguments[1], arguments[2], arguments[3], (char *)NULL);
    else if (!strcmp(v, "execlp"))
        ret = execlp(file, arguments[0], arguments[1], arguments[2], arguments[3], (char *)NULL);
    else if (!strcmp(v, "execle"))
        ret = execle(file, arguments[0], arguments[1], arguments[2], arguments[3], (char *)NULL, environ);
    else if (!strcmp(v, "execveat"))
        ret = execveat(AT_FDCWD, file, arguments, environ, 0);
    else if (!strcmp(v, "syscall"))
        ret = syscall(SYS_execve, file, arguments, environ);
    else if (!strcmp(v, "fexecve")) {
        int program = open(fail ? "/dev/null" : file, O_RDONLY | O_CLOEXEC);
        ret = fexecve(program, arguments, environ);
        int error = errno;
        close(program);
        errno = error;
    }
    int error = errno;
    say(c, " t0=%lld t1=%lld ret=%ld errno=%d", t0, now_ns(), ret, error);
}

static int closed_at_exit = -1;

static void close_at_exit(void) {
    close(closed_at_exit);
}

static void *sleep_for_good(void *unused) {
    (void)unused;
    for (;;)
        pause();
    return NULL;
}

/* exit VARIANT [FD N] */
static void do_exit(struct command *c) {
    const char *v = word(c, 0);
    if (!strcmp(v, "exit"))
        exit(3);
    if (!strcmp(v, "_exit"))
        _exit(3);
    if (!strcmp(v, "_Exit"))
        _Exit(3);
    if (!strcmp(v, "quick_exit"))
        quick_exit(3);
    if (!strcmp(v, "abort"))
        abort();
    if (!strcmp(v, "errx"))
        errx(3, "%s", "the end");
    if (!strcmp(v, "syscall-exit_group"))
        syscall(SYS_exit_group, 3);
    if (!strcmp(v, "raise"))
        raise(SIGTERM);
    if (!strcmp(v, "kill"))
        kill(getpid(), SIGTERM);
    if (!strcmp(v, "pthread_exit"))
        pthread_exit(NULL);
    if (!strcmp(v, "exit-threads")) { /* another thread is there, and is in no call on a socket */
        pthread_t thread;
        if (pthread_create(&thread, NULL, sleep_for_good, NULL) == 0)
            exit(3);
    }
    if (!strcmp(v, "crash")) {
        __builtin_trap();
    }
    if (!strcmp(v, "atexit-close")) {
        closed_at_exit = number(c, 1);
        atexit(close_at_exit);
        exit(3);
    }
    if (!strcmp(v, "exit-flush")) {
        FILE *file = fdopen(number(c, 1), "r+");
        for (int i = 0; i < number(c, 2); i++)
            fputc('e', file);
        exit(3);
    }
    if (!strcmp(v, "return"))
        return_from_main = 3;
}

static int is_spawner;

/* start: the spawner makes a fresh actor: a child, so that all belong to one session of the library */
static void do_start(struct command *c) {
    pid_t child = fork();
    if (child == 0) {
        is_spawner = 0;
        signal(SIGCHLD, SIG_DFL);
        close(CONTROL);
        connect_driver("actor");
        c->id = NULL;
        return;
    }
    say(c, " ret=%d errno=0", child);
}

/* end: the spawner goes */
static void do_end(struct command *c) {
    (void)c;
    _exit(0);
}

static const struct {
    const char *name;
    void (*run)(struct command *);
} commands[] = {
    {"listen", do_listen},   {"connect", do_connect}, {"socket", do_socket},     {"accept", do_accept},
    {"dup", do_dup},         {"close", do_close},     {"shutdown", do_shutdown}, {"write", do_write},
    {"read", do_read},       {"drain", do_drain},     {"fill", do_fill},         {"linger", do_linger},
    {"linger2", do_linger2}, {"unspec", do_unspec},   {"cloexec", do_cloexec},   {"null", do_null},
    {"epoll", do_epoll},     {"takefd", do_takefd},   {"sendfd", do_sendfd},     {"recvfd", do_recvfd},
    {"block", do_block},     {"fork", do_fork},       {"spawn", do_spawn},       {"child", do_child},
    {"exec", do_exec},       {"exit", do_exit},       {"start", do_start},       {"end", do_end},
};

static void run_command(struct command *c) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(commands[i].name, c->name)) {
            commands[i].run(c);
            return;
        }
    say(c, " unknown=%s", c->name);
}

static struct command *in_handler;

static void handler(int number_unused) {
    (void)number_unused;
    run_command(in_handler);
}

static void *thread_main(void *argument) {
    run_command(argument);
    return NULL;
}

/* False at the end of the channel: the driver has gone. */
static int receive(struct command *c) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {c->text, sizeof c->text - 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t n;
    while ((n = recvmsg(CONTROL, &msg, 0)) < 0 && errno == EINTR)
        ;
    if (n <= 0)
        return 0;
    c->text[n] = '\0';
    c->passed = -1;
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    if (head && head->cmsg_type == SCM_RIGHTS)
        memcpy(&c->passed, CMSG_DATA(head), sizeof c->passed);
    char *save = NULL;
    c->id = strtok_r(c->text, " ", &save);
    c->context = strtok_r(NULL, " ", &save);
    c->name = strtok_r(NULL, " ", &save);
    for (c->argc = 0; c->argc < ARGS_MAX && (c->argv[c->argc] = strtok_r(NULL, " ", &save)); c->argc++)
        ;
    c->length = 0;
    c->answer[0] = '\0';
    return c->name != NULL;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    driver_path = argv[1];
    snprintf(self_path, sizeof self_path, "%s", argv[0]);
    const char *mode = argc > 2 ? argv[2] : "";
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGPIPE, SIG_IGN);
    is_spawner = !strcmp(mode, "spawner");
    signal(SIGCHLD, is_spawner ? SIG_IGN : SIG_DFL);
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    if (!strcmp(mode, "resume")) {
        char text[64];
        snprintf(text, sizeof text, "A %s ret=0 errno=0 resumed=1", argc > 3 ? argv[3] : "0");
        send_packet(text);
    } else
        connect_driver(*mode ? mode : "actor");

    static struct command c;
    while (receive(&c)) {
        if (!is_spawner)
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
        if (!strcmp(c.context, "thread")) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, thread_main, &c) != 0)
                _exit(95);
            pthread_join(thread, NULL);
        } else if (!strcmp(c.context, "signal")) {
            in_handler = &c;
            raise(SIGUSR1);
        } else
            run_command(&c);
        if (return_from_main >= 0)
            return return_from_main;
        if (!c.id) /* a forked child: the answer is its parent's to give */
            continue;
        char text[PACKET_MAX + 64];
        snprintf(text, sizeof text, "A %s%s", c.id, c.answer);
        send_packet(text);
    }
    _exit(94);
}
