#define _GNU_SOURCE
#include "standby.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/older.h"
#include "notify.h"

union one_descriptor {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message_with(union one_descriptor *control, struct iovec *byte) {
    return (struct msghdr){
        .msg_iov = byte, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control->room};
}

bool pass_descriptor(int socket, int fd) {
    char byte = 0;
    struct iovec vector = {&byte, 1};
    union one_descriptor control = {
        .header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)}};
    const struct msghdr message = message_with(&control, &vector);
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    return sendmsg(socket, &message, MSG_NOSIGNAL) == 1;
}

int take_descriptor(int socket) {
    char byte;
    int fd = -1;
    struct iovec vector = {&byte, 1};
    union one_descriptor control;
    struct msghdr message = message_with(&control, &vector);
    ssize_t got;
    while ((got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    const struct cmsghdr *header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

/* The command may be stopped by the terminal, or its group killed: this process is of neither. */
static void stand_apart(int socket) {
    sigset_t all;
    setsid();
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    prctl(PR_SET_NAME, "closetrace-go");
    if (chdir("/") != 0)
        return;
    if (socket > 0)
        syscall(SYS_close_range, 0, socket - 1, 0);
    syscall(SYS_close_range, socket + 1, ~0U, 0);
}

/* Until nobody is left who has the filter. */
static void let_all_go_on(int listener) {
    struct pollfd entry = {.fd = listener, .events = POLLIN};
    struct notice notice;
    while (poll(&entry, 1, -1) >= 0 && !(entry.revents & POLLHUP))
        if ((entry.revents & POLLIN) && notify_receive(listener, &notice))
            notify_continue(listener, notice.id);
}

static void stand_by(int socket) {
    stand_apart(socket);
    const int listener = take_descriptor(socket);
    struct pollfd entries[] = {{.fd = socket, .events = POLLIN}, {.fd = listener}};
    if (listener < 0)
        return;
    while (poll(entries, 2, -1) >= 0 && !(entries[1].revents & POLLHUP))
        if (entries[0].revents) {
            let_all_go_on(listener);
            return;
        }
}

int standby_begin(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        stand_by(ends[1]);
        _exit(0);
    }
    close(ends[1]);
    if (child > 0)
        return ends[0];
    close(ends[0]);
    return -1;
}
