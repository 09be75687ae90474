/*
 * The thread that looks after parked connections. It is made by a system call of ours, on first need, and uses nothing
 * of libc's that knows of threads, so that neither libc nor the program notices it: no signal reaches it, fork does not
 * copy it, exit does not wait for it.
 */
#ifndef CLOSETRACE_PARK_THREAD_H
#define CLOSETRACE_PARK_THREAD_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* There is one from now on, which does work() over and over. False: none can be made. Async-signal-safe. */
bool park_thread_start(void (*work)(void));

/* It looks again at what there is to do. */
void park_thread_wake(void);

/* In a forked child: it has none. */
void park_thread_forked(void);

/* How work() waits: for these, for park_thread_wake(), that long at most. There is room for one more behind them. */
void park_thread_poll(struct pollfd *fds, size_t count, int milliseconds);

#endif
