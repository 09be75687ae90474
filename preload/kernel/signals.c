#define _GNU_SOURCE
#include "signals.h"

#include <signal.h>
#include <string.h>

#include "process.h"
#include "seccomp_guard.h"

enum { KERNEL_SIGSET = 8 };

/* The kernel's struct sigaction, which is not libc's. */
struct kernel_sigaction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

enum disposition signal_disposition(int signal) {
    struct kernel_sigaction action;
    if (probe(SYS_rt_sigaction, signal, 0, (long)&action, KERNEL_SIGSET, 0, 0) < 0)
        return DISPOSITION_UNKNOWN;
    if (action.handler == SIG_IGN)
        return DISPOSITION_IGNORED;
    return action.handler == SIG_DFL ? DISPOSITION_DEFAULT : DISPOSITION_HANDLED;
}

bool signal_is_blocked(int signal) {
    uint64_t mask = 0;
    return probe(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&mask, KERNEL_SIGSET, 0, 0) == 0 && (mask >> (signal - 1) & 1);
}

bool signal_ends_process(int signal) {
    switch (signal) {
    case 0:
    case SIGCHLD:
    case SIGCONT:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGURG:
    case SIGWINCH:
        return false;
    default:
        return signal > 0 && signal < NSIG;
    }
}

bool signal_block(int signal, uint64_t *old) {
    uint64_t set = 1ULL << (signal - 1);
    return probe(SYS_rt_sigprocmask, SIG_BLOCK, (long)&set, (long)old, KERNEL_SIGSET, 0, 0) == 0;
}

void signal_unblock(int signal) {
    uint64_t set = 1ULL << (signal - 1);
    probe(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&set, 0, KERNEL_SIGSET, 0, 0);
}

void signal_set_default(int signal) {
    struct kernel_sigaction action = {.handler = SIG_DFL};
    probe(SYS_rt_sigaction, signal, (long)&action, 0, KERNEL_SIGSET, 0, 0);
}

void signal_restore(const uint64_t *old) {
    probe(SYS_rt_sigprocmask, SIG_SETMASK, (long)old, 0, KERNEL_SIGSET, 0, 0);
}

void signal_raise_sigpipe(void) {
    siginfo_t info;
    int pid = process_id(), tid = process_thread_id();
    memset(&info, 0, sizeof info);
    info.si_signo = SIGPIPE;
    info.si_code = SI_USER;
    info.si_pid = pid;
    info.si_uid = (unsigned)probe(SYS_getuid, 0, 0, 0, 0, 0, 0);
    if (probe(SYS_rt_tgsigqueueinfo, pid, tid, SIGPIPE, (long)&info, 0, 0) < 0)
        probe(SYS_tgkill, pid, tid, SIGPIPE, 0, 0, 0);
}
