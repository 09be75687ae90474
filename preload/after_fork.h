/*
 * What a forked child has to put right before it does anything else of ours, and daemon(), whose parent ends
 * inside libc.
 */
#ifndef CLOSETRACE_AFTER_FORK_H
#define CLOSETRACE_AFTER_FORK_H

/* Registers the fork handlers. Before main. */
void child_start(void);

/* In the child, by libc's fork handler or the door. */
void child_started(void);

/*
 * Around a fork that libc's fork handlers do not see (_Fork, by number): the child's references are entered, and
 * then its id (below 0: the fork failed).
 */
void child_making(void);
void child_made(int child);

/* In a child that nobody told of (a raw clone): notices it. */
void child_notice(void);

/* This thread is inside daemon(): the parent of the next fork ends at once. And: it has come back from it. */
void child_daemonizing(const void *caller);
void child_daemonized(void);

#endif
