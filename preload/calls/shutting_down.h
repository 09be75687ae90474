/*
 * The call paths of the calls that end a connection otherwise than by giving up a descriptor: shutdown, connect with
 * AF_UNSPEC. And of those that end many at once: exec and exit. errno is kept.
 */
#ifndef CLOSETRACE_SHUTTING_DOWN_H
#define CLOSETRACE_SHUTTING_DOWN_H

#include "closing.h"

struct ending_call {
    struct call call;
    int fd;
    int how;      /* of a shutdown, else -1: what the program asked for */
    int real_how; /* what is done */
    bool off;     /* a fault has taken the call's place */
    bool is_gone; /* the number is not the connection's any more */
    bool can_ask;
    struct identity identity;
    struct standing standing;
};

/* False: no TCP socket. A fault may wait here, and end the process, or the connection. */
bool shutdown_entering(struct ending_call *ending, int fd, int how, const char *name, const void *caller);

/* Whether the call is not to be made: its result is then 0. Else it is made with real_how. */
static inline bool shutdown_is_off(const struct ending_call *ending) {
    return __builtin_expect(ending->off, 0);
}

/* Returns what the program is to see: result, or what a fault has put in its place, and then its errno is set. */
long shutdown_exiting(struct ending_call *ending, long result, int error);

/* A shutdown, a reset of our own, by the rule of the call: they log an event as if the program had made it. */
void shutting_shut(struct ending_call *ending, int fd, int how, const struct call *call);
void shutting_reset(struct ending_call *ending, int fd, const struct call *call);

/* then= of a call that succeeded on the connection behind fd. */
void shutting_then(const struct rule *rule, int fd, const struct call *call);

bool disconnect_entering(struct ending_call *ending, int fd, const struct call *call);
void disconnect_exiting(struct ending_call *ending, long result, int error);

#endif
