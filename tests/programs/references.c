/*
 * References other than the descriptor that is closed: further descriptors, threads inside a call, copies inside
 * unix sockets, files registered with io_uring. The close that sends nothing, and what sends the FIN later.
 */
#include "in_call.h"
#include "pair.h"
#include "unseen.h"

#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/uio.h>

/* ---- descriptors ---- */

static int duplicate(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int copy = MUST(dup(pair.c));
    tell("DUP=%d", copy);
    MUST(close(pair.c));
    EXPECT(state_of(copy) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

/* Data and a lingering of 0 do not matter while there are references. */
static int duplicate_linger_zero(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int copy = MUST(fcntl(pair.c, F_DUPFD_CLOEXEC, 100));
    tell("DUP=%d", copy);
    linger(pair.c, 0);
    leave_unread(pair, 5);
    MUST(close(pair.c));
    EXPECT(state_of(copy) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

static int unseen_duplicate(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int copy = MUST(unseen(SYS_dup, pair.c, 0, 0));
    tell("DUP=%d", copy);
    MUST(close(pair.c));
    EXPECT(state_of(copy) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

/* Whoever still counts the copy as a reference would say "withheld". */
static int unseen_close(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    int copy = MUST(dup(pair.c));
    MUST(unseen(SYS_close, copy, 0, 0));
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* ---- threads inside a call ---- */

struct blocked {
    pthread_t thread;
    int fd;
    int tid;
    void *(*body)(void *);
};

static void announce_thread(struct blocked *blocked) {
    __atomic_store_n(&blocked->tid, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
}

static void *in_recv(void *argument) {
    struct blocked *blocked = argument;
    char byte;
    announce_thread(blocked);
    recv(blocked->fd, &byte, 1, 0);
    return NULL;
}

static void *in_read(void *argument) {
    struct blocked *blocked = argument;
    char byte;
    announce_thread(blocked);
    EXPECT(read(blocked->fd, &byte, 1) >= 0);
    return NULL;
}

static void *in_recvmsg(void *argument) {
    struct blocked *blocked = argument;
    char byte;
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    announce_thread(blocked);
    recvmsg(blocked->fd, &message, 0);
    return NULL;
}

static void *in_poll(void *argument) {
    struct blocked *blocked = argument;
    struct pollfd entry = {.fd = blocked->fd, .events = POLLIN};
    announce_thread(blocked);
    poll(&entry, 1, -1);
    return NULL;
}

static void *in_select(void *argument) {
    struct blocked *blocked = argument;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(blocked->fd, &set);
    announce_thread(blocked);
    select(blocked->fd + 1, &set, NULL, NULL, NULL);
    return NULL;
}

static void *in_send(void *argument) {
    struct blocked *blocked = argument;
    static const char block[65536];
    announce_thread(blocked);
    send(blocked->fd, block, sizeof block, 0);
    return NULL;
}

static void *in_epoll_wait(void *argument) {
    struct blocked *blocked = argument;
    struct epoll_event event;
    int set = MUST(epoll_create1(EPOLL_CLOEXEC));
    MUST(epoll_ctl(set, EPOLL_CTL_ADD, blocked->fd, &(struct epoll_event){.events = EPOLLIN}));
    announce_thread(blocked);
    epoll_wait(set, &event, 1, 1000);
    return NULL;
}

static const struct {
    const char *name;
    void *(*body)(void *);
    long number;
} blocking[] = {
    {"recv", in_recv, SYS_recvfrom},
    {"read", in_read, SYS_read},
    {"recvmsg", in_recvmsg, SYS_recvmsg},
#ifdef SYS_poll
    {"poll", in_poll, SYS_poll},
#else
    {"poll", in_poll, SYS_ppoll},
#endif
    {"select", in_select, SYS_pselect6},
    {"send", in_send, SYS_sendto},
#ifdef SYS_epoll_wait
    {"epoll_wait", in_epoll_wait, SYS_epoll_wait},
#else
    {"epoll_wait", in_epoll_wait, SYS_epoll_pwait},
#endif
};

/* Starts a thread, and waits until it sleeps inside that call on fd. */
static void block_in(struct blocked *blocked, const char *call, int fd) {
    for (size_t i = 0; i < sizeof blocking / sizeof *blocking; i++) {
        if (strcmp(blocking[i].name, call) != 0)
            continue;
        *blocked = (struct blocked){.fd = fd};
        MUST(-pthread_create(&blocked->thread, NULL, blocking[i].body, blocked));
        WAIT_UNTIL(__atomic_load_n(&blocked->tid, __ATOMIC_ACQUIRE));
        WAIT_UNTIL(syscall_of(blocked->tid) == blocking[i].number);
        tell("TID=%d", blocked->tid);
        return;
    }
    fail("no such call");
}

/* close(C) while a thread is in the call given; then S sends as many bytes as given, which ends that call. */
static int blocked_thread(char **arguments) {
    struct pair pair = make_pair();
    struct blocked blocked;
    block_in(&blocked, arguments[0], pair.c);
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    send_bytes(pair.s, (size_t)atoi(arguments[1]));
    MUST(-pthread_join(blocked.thread, NULL));
    tell_end(pair.s);
    return 0;
}

/* The same of a connection whose listener goes on, and takes the port's place where the connection is gone. */
static int blocked_thread_served(char **arguments) {
    struct blocked blocked;
    (void)arguments;
    int listener = listen_on_loopback(AF_INET, 1);
    struct pair pair = {.c = connect_to(listener)};
    pair.s = MUST(accept(listener, NULL, NULL));
    introduce("C", pair.c);
    block_in(&blocked, "recv", pair.c);
    MUST(close(pair.c));
    send_bytes(pair.s, 5);
    MUST(-pthread_join(blocked.thread, NULL));
    tell_end(pair.s);
    MUST(close(listener));
    return 0;
}

/* close(C) while two threads are in recv(); then S resets it, which both are told. */
static int blocked_threads_reset(char **arguments) {
    struct pair pair = make_pair();
    struct blocked blocked[2];
    (void)arguments;
    for (int i = 0; i < 2; i++)
        block_in(&blocked[i], "recv", pair.c);
    MUST(close(pair.c));
    EXPECT(!ended(pair.s));
    linger(pair.s, 0);
    MUST(close(pair.s));
    for (int i = 0; i < 2; i++)
        MUST(-pthread_join(blocked[i].thread, NULL));
    return 0;
}

/* close(C) while a thread is in a call and a duplicate is there that no hook saw come, which is then closed. */
static int blocked_and_unseen(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    struct blocked blocked;
    int copy = MUST(unseen(SYS_dup, pair.c, 0, 0));
    tell("DUP=%d", copy);
    block_in(&blocked, "recv", pair.c);
    MUST(close(pair.c));
    EXPECT(state_of(copy) == TCP_ESTABLISHED && !ended(pair.s));
    send_bytes(pair.s, 1);
    MUST(-pthread_join(blocked.thread, NULL));
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

/* A thread of another process was killed inside a call on C; then this one ends with C. */
static int killed_in_call(char **arguments) {
    (void)arguments;
    int ready[2];
    char byte;
    struct pair pair = make_pair();
    MUST(pipe2(ready, O_CLOEXEC));
    pid_t child = MUST(fork());
    if (child == 0) {
        struct blocked blocked;
        block_in(&blocked, "recv", pair.c);
        EXPECT(write(ready[1], "", 1) == 1);
        for (;;)
            pause();
    }
    EXPECT(read(ready[0], &byte, 1) == 1);
    MUST(kill(child, SIGKILL));
    EXPECT(waitpid(child, NULL, 0) == child);
    _exit(0);
}

/* A thread of another process polls the number that C had there, and that is another connection's now. */
static int polled_again(char **arguments) {
    (void)arguments;
    int ready[2];
    char byte;
    struct pair other = make_pair(), pair = make_pair();
    MUST(pipe2(ready, O_CLOEXEC));
    pid_t child = MUST(fork());
    if (child == 0) {
        struct blocked blocked;
        MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
        MUST(close(pair.c));
        MUST(dup2(other.c, pair.c));
        block_in(&blocked, "poll", pair.c);
        EXPECT(write(ready[1], "", 1) == 1);
        for (;;)
            pause();
    }
    EXPECT(read(ready[0], &byte, 1) == 1);
    _exit(0);
}

/* It blocks because the window is closed; S makes room by reading. */
static int blocked_sender(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    struct blocked blocked;
    fill(pair.c);
    block_in(&blocked, "send", pair.c);
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    tell_end(pair.s);
    MUST(-pthread_join(blocked.thread, NULL));
    return 0;
}

/*
 * The number on which a thread called comes to be a socket that never is connected, and that a child is the last to
 * have: it seems as if the thread held it.
 */
static int number_again(char **arguments) {
    (void)arguments;
    int go[2];
    char byte;
    struct pair pair = make_pair();
    struct blocked blocked;
    MUST(pipe(go));
    int copy = MUST(dup(pair.c));
    block_in(&blocked, "recv", pair.c);
    MUST(close(pair.c));
    int other = MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT(other == pair.c);
    pid_t child = (pid_t)MUST(fork());
    if (child == 0)
        _exit(read(go[0], &byte, 1) != 1);
    MUST(close(other));
    EXPECT(write(go[1], "", 1) == 1);
    int status;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    send_bytes(pair.s, 1);
    MUST(-pthread_join(blocked.thread, NULL));
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

static void *in_recv_all(void *argument) {
    struct blocked *blocked = argument;
    static char buffer[1 << 22];
    announce_thread(blocked);
    recv(blocked->fd, buffer, sizeof buffer, MSG_WAITALL);
    return NULL;
}

/* Sends byte by byte to a thread that waits for more: it is woken all the time and never leaves its call. */
static void *feed(void *argument) {
    struct blocked *blocked = argument;
    announce_thread(blocked);
    for (int fd; (fd = __atomic_load_n(&blocked->fd, __ATOMIC_ACQUIRE)) >= 0;)
        EXPECT(send(fd, "", 1, MSG_NOSIGNAL) == 1);
    return NULL;
}

static void start_thread(struct blocked *blocked, int fd, void *(*body)(void *)) {
    *blocked = (struct blocked){.fd = fd};
    MUST(-pthread_create(&blocked->thread, NULL, body, blocked));
    WAIT_UNTIL(__atomic_load_n(&blocked->tid, __ATOMIC_ACQUIRE));
}

static int busy_call(char **arguments) {
    struct blocked reader, feeder;
    for (int i = 0; i < atoi(arguments[0]); i++) {
        struct pair pair = make_pair();
        start_thread(&reader, pair.c, in_recv_all);
        WAIT_UNTIL(syscall_of(reader.tid) == SYS_recvfrom);
        start_thread(&feeder, pair.s, feed);
        MUST(close(pair.c));
        EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
        __atomic_store_n(&feeder.fd, -1, __ATOMIC_RELEASE);
        MUST(-pthread_join(feeder.thread, NULL));
        MUST(shutdown(pair.s, SHUT_WR));
        MUST(-pthread_join(reader.thread, NULL));
        tell_end(pair.s);
        MUST(close(pair.s));
    }
    return 0;
}

/* epoll_wait() holds no reference to what is in the set. */
static int epoll_waiter(char **arguments) {
    (void)arguments;
    struct pair pair = make_pair();
    struct blocked blocked;
    block_in(&blocked, "epoll_wait", pair.c);
    MUST(close(pair.c));
    tell_end(pair.s);
    MUST(-pthread_join(blocked.thread, NULL));
    return 0;
}

/* ---- copies inside a unix socket ---- */

static void send_fds(int through, const int *fds, int count) {
    union {
        char space[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr alignment;
    } control = {0};
    struct iovec piece = {.iov_base = "", .iov_len = 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, (size_t)count * sizeof(int));
    EXPECT(sendmsg(through, &message, 0) == 1);
}

static int receive_fd(int from) {
    char byte;
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr alignment;
    } control = {0};
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    EXPECT(recvmsg(from, &message, MSG_CMSG_CLOEXEC) == 1);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int fd;
    EXPECT(header);
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

/* C into a unix socket's queue, then close(C). */
static struct pair in_flight(int through[2]) {
    struct pair pair = make_pair();
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, through));
    send_fds(through[0], &pair.c, 1);
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    return pair;
}

static int in_flight_received(char **arguments) {
    (void)arguments;
    int through[2];
    struct pair pair = in_flight(through);
    int copy = receive_fd(through[1]);
    tell("COPY=%d", copy);
    EXPECT(state_of(copy) == TCP_ESTABLISHED);
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

/* Through that socket, by system calls that nobody sees: a descriptor goes, and one comes, which is closed. */
static void send_fd_unseen(int through, int fd) {
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)}};
    struct iovec piece = {.iov_base = "", .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    EXPECT(unseen(SYS_sendmsg, through, (long)&message, 0) == 1);
}

static void drop_fd_unseen(int through) {
    char byte, control[CMSG_SPACE(sizeof(int))];
    int fd;
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    EXPECT(unseen(SYS_recvmsg, through, (long)&message, 0) == 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    MUST(unseen(SYS_close, fd, 0, 0));
}

/* A copy of C was received unseen; what stands in the queue when C is looked at again is no copy of it. */
static int in_flight_another(char **arguments) {
    (void)arguments;
    int through[2];
    struct pair pair = make_pair();
    int copy = MUST(dup(pair.c)), last = MUST(dup(pair.c)), other = MUST(open("/dev/null", O_RDONLY | O_CLOEXEC));
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, through));
    send_fds(through[0], &pair.c, 1);
    drop_fd_unseen(through[1]);
    MUST(close(pair.c));
    send_fd_unseen(through[0], other);
    tell("COPY=%d", copy);
    MUST(close(copy));
    MUST(close(last));
    tell_end(pair.s);
    return 0;
}

/* What is sent is a descriptor that no hook saw come, on a number that was a file's. */
static int in_flight_unseen(char **arguments) {
    (void)arguments;
    int through[2];
    struct pair pair = make_pair();
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, through));
    int file = MUST(open("/dev/null", O_RDONLY | O_CLOEXEC));
    MUST(close(file));
    int copy = (int)unseen(SYS_dup, pair.c, 0, 0);
    EXPECT(copy == file);
    tell("DUP=%d", copy);
    send_fds(through[0], &copy, 1);
    MUST(close(copy));
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(close(through[1]));
    tell_end(pair.s);
    return 0;
}

/* What is sent is no connection: how many sockets this process has afterwards. */
static int in_flight_no_tcp(char **arguments) {
    (void)arguments;
    int through[2], sockets = 0;
    char path[64], link[64];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, through));
    int file = MUST(open("/dev/null", O_RDONLY | O_CLOEXEC));
    send_fds(through[0], &file, 1);
    struct rlimit most;
    MUST(getrlimit(RLIMIT_NOFILE, &most));
    for (rlim_t fd = 3; fd < most.rlim_max && fd < 1 << 20; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", (int)fd);
        sockets += readlink(path, link, sizeof link) > 0 && strncmp(link, "socket:", 7) == 0;
    }
    tell("SOCKETS=%d", sockets);
    struct pair pair = make_pair(); /* something to log */
    MUST(close(pair.c));
    MUST(close(pair.s));
    return 0;
}

/* More than an event names, for which the ledger does not answer; one of them comes over another. */
static int duplicate_many(char **arguments) {
    (void)arguments;
    int through[2], last = -1;
    struct pair pair = make_pair();
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, through));
    send_fds(through[0], &pair.c, 1);
    for (int i = 0; i < 20; i++)
        last = MUST(dup(pair.c));
    MUST(close(receive_fd(through[1])));
    tell("LAST=%d", last);
    EXPECT(dup2(pair.c, last) == last);
    MUST(close_range((unsigned)pair.s + 1, (unsigned)last, 0));
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* The receiver goes without having looked. */
static int in_flight_purged(char **arguments) {
    (void)arguments;
    int through[2];
    struct pair pair = in_flight(through);
    MUST(close(through[1]));
    tell_end(pair.s);
    return 0;
}

/* The queue's socket lies in the queue as well: only the kernel's garbage collection ends that. */
static int in_flight_cycle(char **arguments) {
    (void)arguments;
    int through[2];
    struct pair pair = make_pair();
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, through));
    send_fds(through[0], (int[]){pair.c, through[1]}, 2);
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(close(through[1]));
    MUST(close(through[0])); /* the end of a unix socket is what sets the collector going */
    tell_end(pair.s);
    return 0;
}

/* The receiver is another process, which takes it out of the queue after the close here. */
static int in_flight_other_process(char **arguments) {
    (void)arguments;
    int through[2], go[2];
    char byte;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, through));
    MUST(pipe(go));
    pid_t child = MUST(fork());
    if (child == 0) {
        EXPECT(read(go[0], &byte, 1) == 1);
        int copy = receive_fd(through[1]);
        tell("COPY=%d", copy);
        MUST(close(copy));
        _exit(0);
    }
    tell("CHILD=%d", child);
    struct pair pair = make_pair();
    send_fds(through[0], &pair.c, 1);
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    EXPECT(write(go[1], "", 1) == 1);
    tell_end(pair.s);
    int status;
    MUST(waitpid(child, &status, 0));
    EXPECT(status == 0);
    return 0;
}

/* ---- io_uring ---- */

/* A fixed file: the kernel holds the socket, and no /proc/PID/fd shows it. */
static int ring(char **arguments) {
    (void)arguments;
    struct io_uring_params parameters = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 1, &parameters);
    if (fd < 0)
        skip("io_uring is not permitted here");
    struct pair pair = make_pair();
    MUST(syscall(SYS_io_uring_register, fd, IORING_REGISTER_FILES, &pair.c, 1));
    MUST(close(pair.c));
    EXPECT(state_of(pair.s) == TCP_ESTABLISHED && !ended(pair.s));
    MUST(syscall(SYS_io_uring_register, fd, IORING_UNREGISTER_FILES, NULL, 0));
    tell_end(pair.s);
    MUST(close(fd));
    return 0;
}

SCENES({"duplicate", duplicate}, {"duplicate-many", duplicate_many}, {"duplicate-linger-zero", duplicate_linger_zero},
       {"unseen-duplicate", unseen_duplicate}, {"unseen-close", unseen_close}, {"blocked-thread", blocked_thread},
       {"blocked-thread-served", blocked_thread_served}, {"blocked-threads-reset", blocked_threads_reset},
       {"in-flight-another", in_flight_another}, {"blocked-sender", blocked_sender},
       {"blocked-and-unseen", blocked_and_unseen}, {"killed-in-call", killed_in_call}, {"polled-again", polled_again},
       {"number-again", number_again}, {"busy-call", busy_call}, {"epoll-waiter", epoll_waiter},
       {"in-flight-received", in_flight_received}, {"in-flight-unseen", in_flight_unseen},
       {"in-flight-no-tcp", in_flight_no_tcp}, {"in-flight-purged", in_flight_purged},
       {"in-flight-cycle", in_flight_cycle}, {"in-flight-other-process", in_flight_other_process}, {"ring", ring})
