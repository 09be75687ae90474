/*
 * What a forked child has to put right before it does anything else of ours, and daemon(), whose parent ends
 * inside libc.
 */
#ifndef CLOSETRACE_AFTER_FORK_H
#define CLOSETRACE_AFTER_FORK_H

/* Registers the fork handlers. Before main. */
void after_fork_start(void);

/* In the child, by libc's fork handler or the hook. */
void after_fork_started(void);

/*
 * Around a fork that libc's fork handlers do not see (_Fork, by number): the child's references are entered, and
 * then its id (below 0: the fork failed).
 */
void after_fork_making(void);
void after_fork_made(int child);

/* This thread is inside daemon(): the parent of the next fork ends at once. And: it has come back from it. */
void after_fork_daemonizing(const void *caller);
void after_fork_daemonized(void);

#endif
