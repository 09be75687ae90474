/* One read or write of a TCP socket, from its hook to its end. errno is kept. */
#ifndef CLOSETRACE_TRAFFIC_H
#define CLOSETRACE_TRAFFIC_H

#include "kernel/scratch.h"
#include "kernel/tcp_socket.h"
#include "output/call.h"
#include "refs/calls_under_way.h"

struct traffic {
    struct call call;
    int fd;
    bool holds_sigpipe;    /* SIGPIPE is blocked by us, for the time of the call */
    bool may_raise;        /* the call was made without its SIGPIPE: it is ours to raise */
    bool told;             /* an event of the call was logged */
    bool shortened;        /* by a fault */
    bool by_stream;        /* stdio's: its result is no number of bytes */
    bool moves;            /* and there is something to write */
    size_t asked;          /* what a write was offered, where it took less; else 0 */
    uint64_t after_fin_us; /* a reset behind the peer's FIN: how long after that the last bytes were sent; else 0 */
    uint64_t old_mask;
    int error_before; /* which a SIGPIPE handler sees */
    struct call_under_way *under_way;
    struct identity identity;
};

/* False: no TCP socket after all. */
bool transfer_entering(struct traffic *traffic, int fd, const char *name, const void *caller);

/* The call is about to be made, and may wait; and it has come back. */
static inline void transfer_waits(struct traffic *traffic) {
    if (__builtin_expect(call_may_outlive_descriptor(), 0))
        traffic->under_way = call_begins(traffic->call.name, traffic->identity.cookie, traffic->fd);
}
static inline void transfer_has_come_back(struct traffic *traffic) {
    if (__builtin_expect(traffic->under_way != NULL, 0))
        call_has_come_back(traffic->under_way);
    traffic->under_way = NULL;
}

/* The event, whose time is now, to be completed and logged. */
struct event *transfer_event(struct traffic *traffic, enum event_op op, long result, int error,
                             struct scratch *scratch);

/* Only what the kernel says of this very connection is told: the number may be another's by now. */
bool transfer_is_same_connection(struct traffic *traffic);

#endif
