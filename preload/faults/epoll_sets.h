/*
 * The epoll sets of this process that a descriptor is in, found from /proc/self at that moment: nothing is kept, and
 * nothing is paid for where no fault is injected. Async-signal-safe. errno is kept.
 */
#ifndef CLOSETRACE_EPOLL_SETS_H
#define CLOSETRACE_EPOLL_SETS_H

/*
 * Takes it out of all of them: a descriptor is about to be closed, and its socket lives on, so that the kernel would go
 * on reporting it.
 */
void epoll_sets_forget(int fd);

/*
 * Where it waits for edges: if it is ready, that is reported once more. After a transfer that a fault made short, for a
 * program that takes this for the end of what there is and waits for an edge which the kernel would have shown.
 */
void epoll_sets_rearm(int fd);

#endif
