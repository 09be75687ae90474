#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "kernel/memory.h"
#include "kernel/own_fds.h"
#include "kernel/process.h"
#include "pure/line.h"
#include "kernel/seccomp_guard.h"
#include "kernel/tcp_socket.h"

static struct session *session;
static char program[ROSTER_NAME];

/* CLOSETRACE_SESSION, taken apart. */
struct where {
    unsigned long pid, fd;
    const char *name;
};

static bool read_number(const char **at, unsigned long *number) {
    const char *begin = *at;
    *number = 0;
    for (; **at >= '0' && **at <= '9' && *at - begin < 10; ++*at)
        *number = *number * 10 + (unsigned long)(**at - '0');
    return *at > begin && *(*at)++ == ':';
}

static bool read_where(const char *text, struct where *where) {
    bool numbers = read_number(&text, &where->pid) && read_number(&text, &where->fd);
    where->name = text;
    return numbers && *text && strlen(text) < sizeof session->name;
}

/* The name says that it is the command's memfd, and not something else that now bears the number. */
static bool is_named(const char *path, const struct where *where) {
    char target[128];
    static const char prefix[] = "/memfd:" SESSION_FILE_PREFIX;
    long length = raw6(SYS_readlink, (long)path, (long)target, sizeof target - 1, 0, 0, 0);
    if (length <= 0)
        return false;
    target[length] = '\0';
    size_t name = strlen(where->name);
    return strncmp(target, prefix, sizeof prefix - 1) == 0 &&
           strncmp(target + sizeof prefix - 1, where->name, name) == 0 && target[sizeof prefix - 1 + name] == ' ';
}

static int open_in_proc(const struct where *where) {
    char path[64];
    struct line line;
    line_init(&line, path, sizeof path - 1);
    line_text(&line, "/proc/");
    line_unsigned(&line, where->pid);
    line_text(&line, "/fd/");
    line_unsigned(&line, where->fd);
    path[line.length] = '\0';
    return is_named(path, where) ? (int)own_open(SYS_open, (long)path, O_RDWR | O_CLOEXEC, 0) : -1;
}

static int connect_to(const struct where *where) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct line line;
    struct timeval patience = {.tv_sec = 5};
    long fd = own_open(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    line_init(&line, address.sun_path + 1, sizeof address.sun_path - 2);
    line_text(&line, SESSION_FILE_PREFIX);
    line_text(&line, where->name);
    size_t length = offsetof(struct sockaddr_un, sun_path) + 1 + line.length;
    raw6(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, (long)&patience, sizeof patience, 0);
    raw6(SYS_setsockopt, fd, SOL_SOCKET, SO_SNDTIMEO, (long)&patience, sizeof patience, 0);
    if (raw6(SYS_connect, fd, (long)&address, (long)length, 0, 0, 0) == 0)
        return (int)fd;
    raw6(SYS_close, fd, 0, 0, 0, 0, 0);
    return -1;
}

/* The descriptor that the answer brings, or -1. */
static int receive_descriptor(int connection) {
    char answer, control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec part = {&answer, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (raw6(SYS_recvmsg, connection, (long)&message, MSG_CMSG_CLOEXEC, 0, 0, 0) != 1)
        return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int fd = -1;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

/* With a descriptor of ours (below 0: without); true: all of it has been sent. */
static bool send_request(int connection, const struct session_request *request, int fd) {
    char control[CMSG_SPACE(sizeof fd)] __attribute__((aligned(8))) = {0};
    struct iovec part = {(void *)(uintptr_t)request, sizeof *request};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    return raw6(SYS_sendmsg, connection, (long)&message, MSG_NOSIGNAL, 0, 0, 0) == sizeof *request;
}

static int ask_for_it(const struct where *where) {
    struct session_request request = {.wish = SESSION_WISH_JOIN};
    int connection = connect_to(where), fd = -1;
    if (connection < 0)
        return -1;
    if (send_request(connection, &request, -1))
        fd = receive_descriptor(connection);
    raw6(SYS_close, connection, 0, 0, 0, 0, 0);
    return fd;
}

/* Nobody can take memory away under us, nor is it a stranger's. */
static bool is_trustworthy(int fd) {
    struct stat status;
    long seals = raw6(SYS_fcntl, fd, F_GET_SEALS, 0, 0, 0, 0);
    return raw6(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 && status.st_size == sizeof *session && seals >= 0 &&
           (seals & F_SEAL_SHRINK) && (status.st_uid == 0 || (long)status.st_uid == raw6(SYS_getuid, 0, 0, 0, 0, 0, 0));
}

static struct session *map(int fd) {
    long memory = raw6(SYS_mmap, 0, sizeof *session, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (memory < 0 && memory > -4096)
        return NULL;
    raw6(SYS_madvise, memory, sizeof *session, MADV_DONTDUMP, 0, 0, 0);
    return (struct session *)memory; // NOLINT(performance-no-int-to-ptr)
}

static bool is_ours(const struct session *found, const struct where *where) {
    return strncmp(found->version, SESSION_VERSION, sizeof found->version) == 0 &&
           strncmp(found->name, where->name, sizeof found->name) == 0;
}

static struct session *map_session(int fd, const struct where *where) {
    struct session *found = is_trustworthy(fd) ? map(fd) : NULL;
    if (found && is_ours(found, where))
        return found;
    if (found)
        memory_unmap(found, sizeof *found);
    return NULL;
}

static void name_program(void) {
    if (probe(SYS_prctl, PR_GET_NAME, (long)program, 0, 0, 0, 0) != 0)
        program[0] = '\0';
}

bool session_join(const char *text) {
    struct where where;
    if (!read_where(text, &where))
        return false;
    int fd = open_in_proc(&where);
    if (fd < 0)
        fd = ask_for_it(&where);
    if (fd < 0)
        return false;
    session = map_session(fd, &where);
    raw6(SYS_close, fd, 0, 0, 0, 0, 0);
    if (!session)
        return false;
    name_program();
    roster_note(&session->roster, process_id(), ROSTER_HERE, program);
    return true;
}

bool session_is_open(void) {
    return session && !atomic_load_explicit(&session->ended, memory_order_relaxed);
}

/* The command was killed: what no one reads need not be written. */
static void notice_its_end(void) {
    if (probe(SYS_kill, session->command, 0, 0, 0, 0, 0) == -ESRCH)
        atomic_store(&session->ended, 1);
}

bool session_put(const char *line, size_t length) {
    if (ring_put(&session->ring, process_id(), line, length))
        return true;
    notice_its_end();
    return false;
}

void *session_memory(enum session_part part, size_t size) {
    return session && size <= SESSION_PART_SIZE ? session->parts[part] : memory_map(size, true);
}

/*
 * The last part of a path, which the program gave and may be a bad pointer: the kernel reads it for us. NULL: it cannot
 * be read.
 */
static const char *last_part(const char *path, char copy[256]) {
    struct iovec ours = {copy, 255};
    struct iovec theirs = {(void *)(uintptr_t)path, 255};
    long length = path ? probe(SYS_process_vm_readv, process_id(), (long)&ours, 1, (long)&theirs, 1, 0) : 0;
    if (length <= 0 || !memchr(copy, '\0', (size_t)length))
        return NULL;
    const char *slash = strrchr(copy, '/');
    return slash ? slash + 1 : copy;
}

void session_forked(void) {
    if (session)
        roster_note(&session->roster, process_id(), ROSTER_HERE, program);
}

void session_exec(const char *path) {
    char copy[256];
    if (session)
        roster_note(&session->roster, process_id(), ROSTER_EXEC, last_part(path, copy));
}

void session_exec_failed(void) {
    if (session)
        roster_note(&session->roster, process_id(), ROSTER_HERE, program);
}

void session_ending(void) {
    if (session)
        roster_note(&session->roster, process_id(), ROSTER_ENDING, NULL);
}

void session_spawned(int pid, const char *path) {
    char copy[256];
    if (session && pid > 0)
        roster_note_spawned(&session->roster, pid, last_part(path, copy));
}

void session_expect_event(void) {
    if (session)
        ring_expect(&session->ring);
}

void session_expect_to_know(uint64_t cookie) {
    if (session)
        address_book_expect(&session->book, cookie);
}

void session_know(const struct identity *identity) {
    if (!session)
        return;
    struct ends ends = {
        .local = identity->local, .remote = identity->remote, .namespace = identity->namespace, .role = identity->role};
    address_book_note(&session->book, identity->cookie, &ends);
}

void session_recall(struct identity *identity) {
    struct ends ends;
    if (session && identity->role == ROLE_UNKNOWN && address_book_find(&session->book, identity->cookie, &ends))
        identity->role = ends.role;
}

void session_fin_left(uint64_t cookie) {
    struct ends ends;
    if (!session || !address_book_find(&session->book, cookie, &ends))
        return;
    ends.fin_left = true;
    address_book_note(&session->book, cookie, &ends);
}

bool session_park(int fd, struct session_request *request) {
    char answer = 0;
    if (!session_is_open() || sandbox_up)
        return false;
    struct where where = {.name = session->name};
    int connection = connect_to(&where);
    if (connection < 0)
        return false;
    request->wish = SESSION_WISH_PARK;
    bool taken = send_request(connection, request, fd) &&
                 raw6(SYS_recvfrom, connection, (long)&answer, 1, 0, 0, 0) == 1 && answer == 1;
    raw6(SYS_close, connection, 0, 0, 0, 0, 0);
    return taken;
}
