/*
 * Seccomp user notification (seccomp_unotify(2)): a filter by which the kernel asks the listener's holder before it
 * makes certain calls of a process and of all its descendants. All other calls run as ever.
 */
#ifndef CLOSETRACE_NOTIFY_H
#define CLOSETRACE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* A call that waits for an answer. */
struct notice {
    uint64_t id;
    int tid, number;
    uint64_t arguments[4];
    uint64_t caller; /* the address behind the call */
};

/*
 * Puts the filter on the calling process, whose programs gain no privileges from then on (no_new_privs), unless it may
 * do without. The listener, close-on-exec; -1: errno.
 */
int notify_install(void);

/* Whether the filter asks about that call: a thread that seems to be inside it may be waiting for the answer. */
bool notify_asks(uint64_t number);

/* The next that waits. False: there was none, or it has gone. */
bool notify_receive(int listener, struct notice *notice);

/* Whether the call waits still: then what was looked at by its thread's id was that thread's. */
bool notify_waits(int listener, const struct notice *notice);

/* The kernel makes the call; or it is not made, and gives that result (-1: with that errno). */
void notify_continue(int listener, uint64_t id);
void notify_answer(int listener, uint64_t id, long result, int error);

#endif
