#define _GNU_SOURCE
#include "session_host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel/procfs.h"

static bool make_name(char *name, size_t size) {
    unsigned long long random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return false;
    snprintf(name, size, "%016llx", random);
    return true;
}

static bool make_memory(struct session_host *host, const char *name, const struct inherited *inherited) {
    char file[64];
    snprintf(file, sizeof file, SESSION_FILE_PREFIX "%s", name);
    host->memory = memfd_create(file, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    inherited_raise_size(inherited);
    const bool sized = host->memory >= 0 && ftruncate(host->memory, sizeof *host->session) == 0;
    const int reason = errno;
    inherited_lower_size(inherited);
    errno = reason;
    if (!sized || fcntl(host->memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return false;
    void *memory =
        mmap(NULL, sizeof *host->session, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, host->memory, 0);
    if (memory == MAP_FAILED)
        return false;
    host->session = memory;
    snprintf(host->session->name, sizeof host->session->name, "%s", name);
    host->session->command = getpid();
    snprintf(host->session->version, sizeof host->session->version, "%s", SESSION_VERSION);
    return true;
}

static bool open_join_socket(struct session_host *host, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof address.sun_path - 1, SESSION_FILE_PREFIX "%s", name);
    host->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return host->listener >= 0 &&
           bind(host->listener, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0 &&
           listen(host->listener, 1024) == 0;
}

bool session_host_begin(struct session_host *host, const struct inherited *inherited) {
    char name[32];
    *host = (struct session_host){.memory = -1, .listener = -1};
    if (!make_name(name, sizeof name) || !make_memory(host, name, inherited) || !open_join_socket(host, name))
        return false;
    snprintf(host->where, sizeof host->where, "%d:%d:%s", getpid(), host->memory, name);
    return true;
}

static int parent_of(int pid) {
    char path[PROC_PATH], text[512];
    int parent = 0;
    proc_path(path, sizeof path, pid, 0, "/stat");
    if (proc_read(path, text, sizeof text) <= 0)
        return 0;
    const char *after_name = strrchr(text, ')');
    return after_name && sscanf(after_name + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/* Only our own tree is let in. */
static bool is_descendant(int pid) {
    enum { GENERATIONS_MAX = 4096 };
    for (int i = 0; pid > 0 && i < GENERATIONS_MAX; i++, pid = parent_of(pid))
        if (pid == getpid())
            return true;
    return false;
}

static bool is_let_in(int connection, int *pid) {
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    bool known = getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    *pid = peer.pid;
    return known && is_descendant(peer.pid);
}

/* The request, and the descriptor that came with it, or -1. */
static bool receive(int connection, struct session_request *request, int *fd) {
    struct pollfd ready = {.fd = connection, .events = POLLIN};
    char control[CMSG_SPACE(sizeof *fd)] __attribute__((aligned(8)));
    struct iovec part = {request, sizeof *request};
    /* Room for one and no more (CMSG_SPACE() has it for two): the kernel closes what has none. */
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_LEN(sizeof *fd)};
    enum { PATIENCE_MS = 200 };
    *fd = -1;
    if (poll(&ready, 1, PATIENCE_MS) != 1)
        return false;
    ssize_t got = recvmsg(connection, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    struct cmsghdr *header = got >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return got == sizeof *request && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
}

static void send_memory(int connection, int memory) {
    char yes = 1, control[CMSG_SPACE(sizeof memory)] __attribute__((aligned(8))) = {0};
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

static void answer(const struct session_host *host, int connection, int pid,
                   void (*park)(int fd, int pid, const struct session_request *request)) {
    struct session_request request;
    int fd;
    char yes = 1;
    bool whole = receive(connection, &request, &fd);
    if (whole && request.wish == SESSION_WISH_JOIN) {
        send_memory(connection, host->memory);
    } else if (whole && request.wish == SESSION_WISH_PARK && fd >= 0) {
        park(fd, pid, &request);
        send(connection, &yes, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        return;
    }
    if (fd >= 0)
        close(fd);
}

void session_host_serve(struct session_host *host,
                        void (*park)(int fd, int pid, const struct session_request *request)) {
    int pid, connection = accept4(host->listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
        return;
    if (is_let_in(connection, &pid))
        answer(host, connection, pid, park);
    close(connection);
}

void session_host_end(struct session_host *host) {
    atomic_store(&host->session->ended, 1);
}
