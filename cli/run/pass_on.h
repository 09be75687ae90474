/*
 * Signals that are sent to the command are the program's: a thread passes them on, whatever else the command is doing
 * or waiting for. What a terminal sends reaches the program by itself. When the program has ended they are the
 * command's: it ends its waiting.
 */
#ifndef CLOSETRACE_PASS_ON_H
#define CLOSETRACE_PASS_ON_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "waker.h"

struct pass_on {
    sigset_t signals;
    pid_t program; /* 0: it has ended */
    int pidfd;     /* its own; -1: the kernel has none */
    bool by_thread;
    _Atomic unsigned interrupts; /* that came from the terminal */
    atomic_bool asked_to_end;
    atomic_bool asked_to_tell; /* what is known so far: SIGUSR1 */
    const struct waker *waker; /* who is to see that */
    void (*before_end)(void);  /* in whatever thread, before one that may end the program is passed on */
};

/* Before the program is started: from now on none of them is delivered. */
void pass_on_prepare(struct pass_on *pass_on);

/* The program has been started. */
void pass_on_begin(struct pass_on *pass_on, pid_t program);

/* Now and then, where no thread is to be had. ended: its number may be another's. */
void pass_on_look(struct pass_on *pass_on, bool ended);

#endif
