#define _GNU_SOURCE
#include "join_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "descendant.h"

enum { PATIENCE_MS = 2000, AT_ONCE = 64 };

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool watch(const struct join_socket *join, int fd, uint64_t tag) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    return epoll_ctl(join->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static int open_spare(void) {
    return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

bool join_socket_open(struct join_socket *join, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, SESSION_FILE_PREFIX "%s", name);
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    memset(join->asking, 0, sizeof join->asking);
    join->spare = open_spare();
    join->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return join->listener >= 0 && bind(join->listener, (struct sockaddr *)&address, size) == 0 &&
           listen(join->listener, 1024) == 0 && watch(join, join->listener, join->tag);
}

static bool is_let_in(const struct join_socket *join, int connection, int *pid) {
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    bool known = getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    *pid = peer.pid;
    if (known)
        join->came(peer.pid, join->context);
    return known && peer.pid != getpid() && is_descendant(peer.pid);
}

/*
 * The request, and the descriptor that came with it, or -1. There is room for one and no more (CMSG_SPACE() has it for
 * two): the kernel closes what has none. Below 0: there is none yet.
 */
static int receive(int connection, struct session_request *request, int *fd) {
    char control[CMSG_SPACE(sizeof *fd)] __attribute__((aligned(8)));
    struct iovec part = {request, sizeof *request};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_LEN(sizeof *fd)};
    *fd = -1;
    const ssize_t got = recvmsg(connection, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? -1 : 0;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return got == sizeof *request && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
}

static void give_memory(int connection, int memory) {
    char yes = SESSION_ANSWER_YES, control[CMSG_SPACE(sizeof memory)] __attribute__((aligned(8))) = {0};
    struct iovec part = {&yes, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof memory);
    memcpy(CMSG_DATA(header), &memory, sizeof memory);
    sendmsg(connection, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* One that waited for us in vain (we were stopped) has kept its connection itself. */
static bool has_hung_up(int connection) {
    struct pollfd end = {.fd = connection, .events = POLLRDHUP};
    return poll(&end, 1, 0) != 0;
}

static void answer(const struct join_socket *join, int connection, int pid, const struct session_request *request,
                   int fd) {
    const char yes = SESSION_ANSWER_YES;
    if (request->wish == SESSION_WISH_JOIN) {
        if (join->memory >= 0)
            give_memory(connection, join->memory);
    } else if (request->wish == SESSION_WISH_PARK && fd >= 0 && !has_hung_up(connection) &&
               join->park(fd, pid, request, join->context)) {
        send(connection, &yes, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        return;
    }
    if (fd >= 0)
        close(fd);
}

/* False: it has said nothing yet. */
static bool listen_to(const struct join_socket *join, int connection, int pid) {
    struct session_request request = {0};
    int fd;
    const int whole = receive(connection, &request, &fd);
    if (whole > 0)
        answer(join, connection, pid, &request, fd);
    else if (fd >= 0)
        close(fd);
    if (whole < 0)
        return false;
    close(connection);
    return true;
}

static void dismiss(struct asking *asking) {
    close(asking->connection);
    asking->pid = 0;
}

/* A free place, or that of the one who has been silent for the longest. */
static struct asking *make_place(struct join_socket *join) {
    struct asking *found = &join->asking[0];
    const uint64_t now = now_ms();
    for (struct asking *asking = join->asking; asking < join->asking + JOIN_ASKING; asking++) {
        if (asking->pid && now - asking->since_ms > PATIENCE_MS)
            dismiss(asking);
        if (found->pid && (!asking->pid || asking->since_ms < found->since_ms))
            found = asking;
    }
    if (found->pid)
        dismiss(found);
    return found;
}

static void wait_for(struct join_socket *join, int connection, int pid) {
    struct asking *asking = make_place(join);
    *asking = (struct asking){.connection = connection, .pid = pid, .since_ms = now_ms()};
    if (!watch(join, connection, join->tag + 1 + (uint64_t)(asking - join->asking)))
        dismiss(asking);
}

/* It would be readable for ever. */
static void turn_away(struct join_socket *join) {
    if (join->spare < 0)
        return;
    close(join->spare);
    const int connection = accept4(join->listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection >= 0)
        close(connection);
    join->spare = open_spare();
}

static bool let_in(struct join_socket *join) {
    int pid;
    const int connection = accept4(join->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection < 0) {
        if (errno == EMFILE || errno == ENFILE)
            turn_away(join);
        return false;
    }
    if (!is_let_in(join, connection, &pid))
        close(connection);
    else if (!listen_to(join, connection, pid))
        wait_for(join, connection, pid);
    return true;
}

bool join_socket_has(const struct join_socket *join, uint64_t tag) {
    return tag >= join->tag && tag <= join->tag + JOIN_ASKING;
}

void join_socket_serve(struct join_socket *join, uint64_t tag) {
    if (tag == join->tag) {
        for (int i = 0; i < AT_ONCE && let_in(join); i++)
            ;
        return;
    }
    struct asking *asking = &join->asking[tag - join->tag - 1];
    if (asking->pid && listen_to(join, asking->connection, asking->pid))
        asking->pid = 0;
}
