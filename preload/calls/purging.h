/*
 * Copies of connections that wait in the queue of a unix socket go with that queue, or are dropped by a receive that
 * has no room for them: references that end without a call of their own. A `release` each. Costs a load where no
 * descriptor was ever sent.
 */
#ifndef CLOSETRACE_PURGING_H
#define CLOSETRACE_PURGING_H

#include "output/call.h"
#include "refs/fds_in_flight.h"

struct purged;

struct purge {
    struct purged *list; /* NULL: nothing of the kind */
    unsigned count;
    uint64_t receiver;
    int fd; /* of a receive: the queue is there still; else below 0 */
};

/* Before fd, which is no TCP socket, is closed; or before something is received from it. */
void purge_look(struct purge *purge, int fd, bool closes, const char *name, const void *caller);
static inline void purge_entering(struct purge *purge, int fd, bool closes, const char *name, const void *caller) {
    purge->list = NULL;
    if (__builtin_expect(flight_any(), 0))
        purge_look(purge, fd, closes, name, caller);
}

/* After the call, and before what it has received is counted: message, or NULL. */
struct msghdr;
void purge_tell(struct purge *purge, const struct msghdr *message);
static inline void purge_exiting(struct purge *purge, const struct msghdr *message) {
    if (__builtin_expect(purge->list != NULL, 0))
        purge_tell(purge, message);
}

/* The process ends: connections of which it has only copies in queues that go with it; those that it has open are told
 * of where they stand. */
void purge_ends(const struct call *call);

#endif
