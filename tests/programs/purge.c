/*
 * Copies of C in the queue of a unix socket that go with it: at the end of the process that alone has that socket, at a
 * close of its last descriptor, by a receive without room, by the kernel's garbage collector.
 */
#include "pair.h"

#include <sys/un.h>

static void send_copies(int channel, const int *fds, int copies) {
    char byte = 'x', control[CMSG_SPACE(4 * sizeof(int))] = {0};
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = CMSG_SPACE((size_t)copies * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)copies * sizeof(int));
    memcpy(CMSG_DATA(header), fds, (size_t)copies * sizeof *fds);
    EXPECT(sendmsg(channel, &message, 0) == 1);
}

static void send_copy(int channel, int fd, int copies) {
    int fds[4] = {fd, fd, fd, fd};
    send_copies(channel, fds, copies);
}

/* With room for so many descriptors (and perhaps one more, by the alignment); how many came. */
static int receive(int channel, int room, int fds[4]) {
    char byte, control[CMSG_SPACE(4 * sizeof(int))] = {0};
    struct iovec piece = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = room ? control : NULL,
                             .msg_controllen = room ? CMSG_SPACE((size_t)room * sizeof(int)) : 0};
    EXPECT(recvmsg(channel, &message, MSG_CMSG_CLOEXEC) == 1);
    struct cmsghdr *header = room ? CMSG_FIRSTHDR(&message) : NULL;
    if (!header)
        return 0;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(header), count * sizeof(int));
    return (int)count;
}

static void channel_of(const char *type, int ends[2]) {
    bool datagrams = type && strcmp(type, "dgram") == 0;
    MUST(socketpair(AF_UNIX, (datagrams ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0, ends));
}

static void go(const char *how) {
    if (strcmp(how, "exec") == 0)
        execl("/bin/true", "true", (char *)NULL);
    if (strcmp(how, "exit") == 0)
        exit(0);
    _exit(0);
}

/* own-queue _exit|exit|exec [dgram]: with C open, and a copy in its own queue. */
static int own_queue(char **arguments) {
    struct pair pair = make_pair();
    int ends[2];
    channel_of(arguments[1], ends);
    send_copy(ends[0], pair.c, 1);
    MUST(fcntl(pair.c, F_SETFD, FD_CLOEXEC));
    go(arguments[0]);
    return 1;
}

/* only-queue _exit|exit: of C there is only the copy in its own queue. */
static int only_queue(char **arguments) {
    struct pair pair = make_pair();
    int ends[2];
    channel_of(NULL, ends);
    send_copy(ends[0], pair.c, 1);
    MUST(close(pair.c));
    go(arguments[0]);
    return 1;
}

/* The receiving end is a child's as well, which lives on: nothing goes with the parent. */
static int childs_queue(char **arguments) {
    struct pair pair = make_pair();
    int ends[2], gone[2], ready[2];
    char byte;
    (void)arguments;
    channel_of(NULL, ends);
    MUST(pipe2(gone, O_CLOEXEC));
    MUST(pipe2(ready, O_CLOEXEC));
    send_copy(ends[0], pair.c, 1);
    pid_t child = MUST(fork());
    if (child == 0) {
        MUST(close(pair.c));
        MUST(close(pair.s));
        MUST(close(gone[1]));
        EXPECT(write(ready[1], "", 1) == 1);
        EXPECT(read(gone[0], &byte, 1) == 0); /* the parent has ended */
        _exit(0);
    }
    EXPECT(read(ready[0], &byte, 1) == 1);
    _exit(0);
}

/* close-queue close|dup2|close_range|closefrom|syscall|sender [dgram]: C is closed, then an end of the channel. */
static int close_queue(char **arguments) {
    struct pair pair = make_pair();
    int ends[2], fds[4];
    channel_of(arguments[1], ends);
    send_copy(ends[0], pair.c, 1);
    MUST(close(pair.c));
    EXPECT(!ended(pair.s));
    if (strcmp(arguments[0], "dup2") == 0)
        MUST(dup2(STDERR_FILENO, ends[1]));
    else if (strcmp(arguments[0], "sender") == 0) {
        MUST(close(ends[0]));
        EXPECT(!ended(pair.s));
        EXPECT(receive(ends[1], 1, fds) == 1);
        MUST(close(fds[0]));
    } else if (strcmp(arguments[0], "close_range") == 0)
        MUST(syscall(SYS_close_range, ends[1], ends[1] + 10, 0));
    else if (strcmp(arguments[0], "closefrom") == 0)
        MUST(close_range((unsigned)ends[1], ~0U, 0));
    else if (strcmp(arguments[0], "syscall") == 0)
        MUST(syscall(SYS_close, ends[1]));
    else
        MUST(close(ends[1]));
    tell_end(pair.s);
    return 0;
}

/* The other end of a dup of the receiver keeps the queue. */
static int close_queue_held(char **arguments) {
    struct pair pair = make_pair();
    int ends[2];
    (void)arguments;
    channel_of(NULL, ends);
    send_copy(ends[0], pair.c, 2);
    MUST(close(pair.c));
    int copy = MUST(dup(ends[1]));
    MUST(close(ends[1]));
    EXPECT(!ended(pair.s));
    MUST(close(copy));
    tell_end(pair.s);
    return 0;
}

/* A queue goes, and C is open all the same. */
static int close_queue_open(char **arguments) {
    struct pair pair = make_pair();
    int ends[2];
    (void)arguments;
    channel_of(NULL, ends);
    send_copy(ends[0], pair.c, 1);
    MUST(close(ends[1]));
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* no-room recvmsg|recv|read|one: C is closed; what is received has no room for its copies. */
static int no_room(char **arguments) {
    struct pair pair = make_pair();
    int ends[2], fds[4], count = 0;
    char byte;
    const char *how = arguments[0];
    channel_of(NULL, ends);
    send_copy(ends[0], pair.c, strcmp(how, "one") == 0 ? 3 : 1);
    MUST(close(pair.c));
    if (strcmp(how, "recvmsg") == 0)
        EXPECT(receive(ends[1], 0, fds) == 0);
    else if (strcmp(how, "recv") == 0)
        EXPECT(recv(ends[1], &byte, 1, 0) == 1);
    else if (strcmp(how, "read") == 0)
        EXPECT(read(ends[1], &byte, 1) == 1);
    else {
        count = receive(ends[1], 1, fds);
        EXPECT(count >= 1 && count < 3);
    }
    tell("CAME=%d", count);
    while (count > 0)
        MUST(close(fds[--count]));
    tell_end(pair.s);
    return 0;
}

/* Unread data in a connection whose last reference goes so: an RST. */
static int unread(char **arguments) {
    struct pair pair = make_pair();
    int ends[2];
    (void)arguments;
    channel_of(NULL, ends);
    leave_unread(pair, 5);
    send_copy(ends[0], pair.c, 1);
    MUST(close(pair.c));
    MUST(close(ends[1]));
    EXPECT(!read_to_end(pair.s));
    return 0;
}

static int receive_from(char **arguments) {
    int fds[4];
    EXPECT(receive(atoi(arguments[0]), 1, fds) == 1);
    return 0;
}

/* Another program, which shares nothing with this one, receives from the queue. */
static void let_stranger_receive(int channel) {
    char number[16];
    int status;
    snprintf(number, sizeof number, "%d", channel);
    MUST(fcntl(channel, F_SETFD, 0));
    pid_t child = MUST(fork());
    if (child == 0)
        execl("/proc/self/exe", "purge", "receive", number, (char *)NULL);
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    MUST(fcntl(channel, F_SETFD, FD_CLOEXEC));
}

/* stranger more|none: a stranger has received C's copy; then S's is dropped, or nothing of TCP is. */
static int stranger(char **arguments) {
    struct pair pair = make_pair();
    int ends[2], pipes[2];
    char byte;
    channel_of(NULL, ends);
    MUST(pipe2(pipes, O_CLOEXEC));
    send_copy(ends[0], pair.c, 1);
    send_copy(ends[0], pair.c, 1);
    let_stranger_receive(ends[1]);
    send_copy(ends[0], strcmp(arguments[0], "more") == 0 ? pair.s : pipes[0], 1);
    EXPECT(read(ends[1], &byte, 1) == 1); /* C's second */
    EXPECT(read(ends[1], &byte, 1) == 1);
    MUST(close(pair.c));
    tell_end(pair.s);
    return 0;
}

/* A copy of C is received, and two of S beside it find no room; another copy of C waits behind. */
static int no_room_beside(char **arguments) {
    struct pair pair = make_pair();
    int ends[2], fds[4];
    (void)arguments;
    channel_of(NULL, ends);
    int mixed[3] = {pair.c, pair.s, pair.s};
    send_copies(ends[0], mixed, 3);
    send_copy(ends[0], pair.c, 1);
    MUST(close(pair.s));
    EXPECT(receive(ends[1], 1, fds) == 2); /* one more than asked for, by the alignment */
    MUST(close(fds[1]));
    tell("CAME=%d", fds[0]);
    MUST(close(fds[0]));
    EXPECT(receive(ends[1], 1, fds) == 1);
    MUST(close(fds[0]));
    MUST(close(pair.c));
    return 0;
}

/* In CLOSE_WAIT, its linger time 0: what leaves when the queue goes nobody can see. */
static int lingers(char **arguments) {
    struct pair pair = make_pair();
    int ends[2];
    (void)arguments;
    channel_of(NULL, ends);
    MUST(setsockopt(pair.c, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger)));
    MUST(shutdown(pair.s, SHUT_WR));
    WAIT_UNTIL(state_of(pair.c) == TCP_CLOSE_WAIT);
    send_copy(ends[0], pair.c, 1);
    MUST(close(pair.c));
    MUST(close(ends[1]));
    EXPECT(!read_to_end(pair.s));
    return 0;
}

/* Each end's copy is in the other's queue, and both are closed: only the kernel's garbage collector ends that. */
static int collected(char **arguments) {
    struct pair pair = make_pair();
    int ends[2];
    (void)arguments;
    channel_of(NULL, ends);
    send_copy(ends[0], pair.c, 1);
    send_copy(ends[0], ends[1], 1);
    send_copy(ends[1], ends[0], 1);
    MUST(close(pair.c));
    MUST(close(ends[0]));
    MUST(close(ends[1]));
    for (long limit = now_ms() + LIMIT_MS; !ended(pair.s) && now_ms() < limit;) {
        channel_of(NULL, ends); /* closes of unix sockets are what it is run by */
        MUST(close(ends[0]));
        MUST(close(ends[1]));
        pause_a_moment();
    }
    EXPECT(ended(pair.s));
    return 0;
}

SCENES({"own-queue", own_queue}, {"only-queue", only_queue}, {"childs-queue", childs_queue},
       {"close-queue", close_queue}, {"close-queue-held", close_queue_held}, {"close-queue-open", close_queue_open},
       {"no-room", no_room}, {"unread", unread}, {"lingers", lingers}, {"no-room-beside", no_room_beside},
       {"stranger", stranger}, {"receive", receive_from}, {"collected", collected})
