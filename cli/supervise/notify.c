#define _GNU_SOURCE
#include "notify.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/machine.h"
#include "kernel/older.h"

/* linux/seccomp.h, since 5.19: signals do not take a call back that is being looked at. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#define NUMBER    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define MACHINE   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch))
#define ASK(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)
#define GO_ON     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Calls that end connections, and those that tell which role one has. */
static struct sock_filter filter[] = {
    MACHINE,
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE_AUDIT_ARCH, 1, 0),
    GO_ON,
    NUMBER,
    ASK(SYS_close),
    ASK(SYS_shutdown),
    ASK(SYS_close_range),
#ifdef SYS_dup2
    ASK(SYS_dup2),
#endif
    ASK(SYS_dup3),
    ASK(SYS_execve),
    ASK(SYS_execveat),
    ASK(SYS_exit_group),
    ASK(SYS_exit),
    ASK(SYS_connect),
    ASK(SYS_listen),
    GO_ON,
};

bool notify_asks(uint64_t number) {
    for (size_t i = 0; i + 1 < sizeof filter / sizeof *filter; i++)
        if (filter[i].k == number && BPF_CLASS(filter[i].code) == BPF_JMP && filter[i + 1].k == SECCOMP_RET_USER_NOTIF)
            return true;
    return false;
}

static int install(unsigned long flags) {
    const struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static int install_as_the_kernel_can(void) {
    const int listener = install(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    return listener < 0 && errno == EINVAL ? install(0) : listener;
}

int notify_install(void) {
    const int listener = install_as_the_kernel_can();
    if (listener >= 0 || errno != EACCES)
        return listener;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? install_as_the_kernel_can() : -1;
}

bool notify_receive(int listener, struct notice *notice) {
    struct seccomp_notif it;
    memset(&it, 0, sizeof it);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &it) != 0)
        return false;
    *notice =
        (struct notice){.id = it.id, .tid = (int)it.pid, .number = it.data.nr, .caller = it.data.instruction_pointer};
    memcpy(notice->arguments, it.data.args, sizeof notice->arguments);
    return true;
}

bool notify_waits(int listener, const struct notice *notice) {
    uint64_t id = notice->id;
    return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static void send_answer(int listener, struct seccomp_notif_resp *answer) {
    while (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, answer) != 0 && errno == EINTR)
        ;
}

void notify_continue(int listener, uint64_t id) {
    struct seccomp_notif_resp answer = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    send_answer(listener, &answer);
}

void notify_answer(int listener, uint64_t id, long result, int error) {
    struct seccomp_notif_resp answer = {.id = id, .val = error ? 0 : result, .error = -error};
    send_answer(listener, &answer);
}
