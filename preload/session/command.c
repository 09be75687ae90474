#define _GNU_SOURCE
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "kernel/own_fds.h"
#include "kernel/procfs.h"
#include "kernel/seccomp_guard.h"
#include "pure/line.h"

/* pid: in the command's own process id namespace, which may not be ours. */
static struct {
    int pid, fd, segment;
    bool seen; /* the process of that id here is the command */
    char text[2 * SESSION_NAME_SIZE];
    const char *name; /* in the text */
} command = {.fd = -1, .segment = -1};

static bool read_number(const char **at, int *number) {
    const char *begin = *at;
    for (*number = 0; **at >= '0' && **at <= '9' && *at - begin < 9; ++*at)
        *number = *number * 10 + (**at - '0');
    return *at > begin && *(*at)++ == ':';
}

bool command_named_by(const char *text) {
    if (strlen(text) >= sizeof command.text)
        return false;
    memcpy(command.text, text, strlen(text) + 1);
    command.name = command.text;
    if (!read_number(&command.name, &command.pid) || command.pid == 0)
        return false;
    const bool is_segment = *command.name == SESSION_SEGMENT_MARK;
    command.name += is_segment;
    return read_number(&command.name, is_segment ? &command.segment : &command.fd) && *command.name &&
           strlen(command.name) < SESSION_NAME_SIZE;
}

const char *command_text(void) {
    return command.text;
}

const char *command_session_name(void) {
    return command.name;
}

int command_segment(void) {
    return command.segment;
}

/* The name says that it is the command's memfd, and not something else that now bears the number. */
static bool is_its_memory(const char *path) {
    char target[128];
    static const char prefix[] = "/memfd:" SESSION_FILE_PREFIX;
    long length = probe(SYS_readlink, (long)path, (long)target, sizeof target - 1, 0, 0, 0);
    if (length <= 0)
        return false;
    target[length] = '\0';
    size_t name = strlen(command.name);
    return strncmp(target, prefix, sizeof prefix - 1) == 0 &&
           strncmp(target + sizeof prefix - 1, command.name, name) == 0 && target[sizeof prefix - 1 + name] == ' ';
}

/* In /proc. False: it is not there, or not for us. */
static bool find_memory(char path[PROC_PATH]) {
    if (command.fd < 0)
        return false;
    proc_descriptor_path(path, PROC_PATH, command.pid, "/fd/", command.fd);
    return is_its_memory(path);
}

static int open_in_proc(void) {
    char path[PROC_PATH];
    if (!find_memory(path))
        return -1;
    command.seen = true;
    return (int)own_open(SYS_open, (long)path, O_RDWR | O_CLOEXEC, 0);
}

bool command_may_be_of(unsigned user) {
    return user == 0 || (long)user == probe(SYS_getuid, 0, 0, 0, 0, 0, 0);
}

/* Anybody can bind the command's address in a network namespace where it is not; the kernel says who it was. */
static bool is_command(int connection) {
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    if (probe(SYS_getsockopt, connection, SOL_SOCKET, SO_PEERCRED, (long)&peer, (long)&size, 0) != 0)
        return false;
    bool is_seen = peer.pid == command.pid;
    bool is_elsewhere = peer.pid == 0 && !command.seen; /* in a process id namespace above ours */
    command.seen = command.seen || is_seen;
    return (is_seen || is_elsewhere) && command_may_be_of(peer.uid);
}

static socklen_t address_of(struct sockaddr_un *address) {
    struct line line;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    line_init(&line, address->sun_path + 1, sizeof address->sun_path - 1);
    line_text(&line, SESSION_FILE_PREFIX);
    line_text(&line, command.name);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + line.length);
}

/* It was stopped (SIGSTOP, a terminal's): nobody can say for how long. */
static bool is_stopped(void) {
    char path[PROC_PATH], text[128];
    if (!command.seen)
        return false;
    proc_path(path, sizeof path, command.pid, 0, "/stat");
    if (proc_read(path, text, sizeof text) <= 0)
        return false;
    const char *name_end = strrchr(text, ')');
    return name_end && name_end[1] == ' ' && name_end[2] == 'T';
}

enum { LOOK_MS = 20, PATIENCE_MS = 5000 };

/* Waits until there is an answer, but not for a command that is stopped. */
static bool await_answer(int connection) {
    struct pollfd answer = {.fd = connection, .events = POLLIN};
    for (int waited = 0; waited < PATIENCE_MS; waited += LOOK_MS) {
        if (probe(SYS_poll, (long)&answer, 1, LOOK_MS, 0, 0, 0) == 1)
            return true;
        if (is_stopped())
            return false;
    }
    return false;
}

/* EAGAIN: more wait for it already than may. */
static bool reach(int connection) {
    struct sockaddr_un address;
    const socklen_t length = address_of(&address);
    const struct timespec moment = {.tv_nsec = LOOK_MS * 1000000};
    for (int waited = 0; waited < PATIENCE_MS; waited += LOOK_MS) {
        long result = probe(SYS_connect, connection, (long)&address, (long)length, 0, 0, 0);
        if (result != -EAGAIN)
            return result == 0 && is_command(connection);
        if (is_stopped())
            return false;
        probe(SYS_nanosleep, (long)&moment, 0, 0, 0, 0, 0);
    }
    return false;
}

static void drop_connection(int fd) {
    probe(SYS_close, fd, 0, 0, 0, 0, 0);
}

static int connect_to_it(void) {
    const int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int connection = (int)own_open(SYS_socket, AF_UNIX, type, 0);
    if (connection < 0 || reach(connection))
        return connection;
    drop_connection(connection);
    return -1;
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
    return probe(SYS_sendmsg, connection, (long)&message, MSG_NOSIGNAL, 0, 0, 0) == sizeof *request;
}

/* The answer, and the descriptor that it brings, or -1. There is room for one: the kernel closes any more. */
// NOLINTNEXTLINE(readability-non-const-parameter): the kernel writes it
static bool receive(int connection, char *answer, int *fd) {
    char control[CMSG_SPACE(sizeof *fd)] __attribute__((aligned(8)));
    struct iovec part = {answer, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_LEN(sizeof *fd)};
    *fd = -1;
    long got = await_answer(connection) ? probe(SYS_recvmsg, connection, (long)&message, MSG_CMSG_CLOEXEC, 0, 0, 0) : 0;
    struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof *fd))
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return got == 1;
}

/* True: it has said yes. *theirs: the descriptor that it gave us, or -1. */
static bool ask_command(const struct session_request *request, int ours, int *theirs) {
    char answer = 0;
    int connection = connect_to_it();
    *theirs = -1;
    if (connection < 0)
        return false;
    bool agreed =
        send_request(connection, request, ours) && receive(connection, &answer, theirs) && answer == SESSION_ANSWER_YES;
    drop_connection(connection);
    return agreed;
}

int command_memory(void) {
    const struct session_request request = {.wish = SESSION_WISH_JOIN};
    int fd = open_in_proc();
    if (fd >= 0)
        return fd;
    if (!ask_command(&request, -1, &fd) && fd >= 0)
        drop_connection(fd);
    return fd;
}

bool command_takes(int fd, const struct session_request *request) {
    int none;
    bool taken = ask_command(request, fd, &none);
    if (none >= 0)
        drop_connection(none);
    return taken;
}

/* A segment is found by whoever is of its owner's; else it must be asked, which in another network namespace it cannot.
 */
bool command_can_be_reached(void) {
    char path[PROC_PATH];
    if (command.segment >= 0 || find_memory(path))
        return true;
    int connection = connect_to_it();
    if (connection >= 0)
        drop_connection(connection);
    return connection >= 0;
}

bool command_has_ended(void) {
    return command.seen && probe(SYS_kill, command.pid, 0, 0, 0, 0, 0) == -ESRCH;
}
