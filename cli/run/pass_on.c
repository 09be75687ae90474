#define _GNU_SOURCE
#include "pass_on.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel/older.h"
#include "signal_use.h"

/*
 * A terminal's stop is not among them: it stops the command like any program. Nor are those that say that the command
 * itself has gone wrong, or that it has children.
 */
static const int kept[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGCHLD, SIGSEGV, SIGBUS, SIGFPE,
                           SIGILL,  SIGABRT, SIGTRAP, SIGSYS,  SIGPIPE, SIGXFSZ};

void pass_on_prepare(struct pass_on *pass_on) {
    sigfillset(&pass_on->signals);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        sigdelset(&pass_on->signals, kept[i]);
    pthread_sigmask(SIG_BLOCK, &pass_on->signals, NULL);
}

static bool ends_things(int signal) {
    return signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT;
}

/* It goes to all processes in the foreground. */
static bool is_from_terminal(const siginfo_t *signal) {
    const int which = signal->si_signo;
    return signal->si_code == SI_KERNEL && (ends_things(which) || which == SIGWINCH || which == SIGCONT);
}

/* By its pidfd: another process that has got its number since is not meant. False: it has ended. */
static bool send(struct pass_on *pass_on, siginfo_t *signal) {
    const bool is_queued = signal->si_code == SI_QUEUE; /* it has a value */
    if (pass_on->pidfd < 0)
        return pass_on->program && kill(pass_on->program, signal->si_signo) == 0;
    return syscall(SYS_pidfd_send_signal, pass_on->pidfd, signal->si_signo, is_queued ? signal : NULL, 0) == 0 ||
           errno != ESRCH;
}

static void pass(struct pass_on *pass_on, siginfo_t *signal) {
    /* Ours; and the program's, as every other, if it does not die of it. */
    if (signal->si_signo == SIGUSR1) {
        atomic_store(&pass_on->asked_to_tell, true);
        waker_ring(pass_on->waker);
        if (!has_use_for(pass_on->program, SIGUSR1))
            return;
    }
    if (ends_things(signal->si_signo) && pass_on->before_end)
        pass_on->before_end();
    if (is_from_terminal(signal))
        atomic_fetch_add(&pass_on->interrupts, signal->si_signo == SIGINT);
    else if (!send(pass_on, signal) && ends_things(signal->si_signo))
        atomic_store(&pass_on->asked_to_end, true);
    waker_ring(pass_on->waker);
}

static void *pass_all(void *context) {
    struct pass_on *pass_on = context;
    for (siginfo_t signal;;)
        if (sigwaitinfo(&pass_on->signals, &signal) > 0)
            pass(pass_on, &signal);
    return NULL;
}

void pass_on_begin(struct pass_on *pass_on, pid_t program) {
    pthread_t thread;
    pass_on->program = program;
    pass_on->pidfd = (int)syscall(SYS_pidfd_open, program, 0);
    pass_on->by_thread = pass_on->pidfd >= 0 && pthread_create(&thread, NULL, pass_all, pass_on) == 0;
    if (pass_on->by_thread)
        pthread_detach(thread);
}

void pass_on_look(struct pass_on *pass_on, bool ended) {
    const struct timespec now = {0};
    siginfo_t signal;
    if (pass_on->by_thread)
        return;
    if (ended)
        pass_on->program = 0;
    while (sigtimedwait(&pass_on->signals, &signal, &now) > 0)
        pass(pass_on, &signal);
}
