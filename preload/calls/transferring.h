/*
 * The call paths of reads and writes on a TCP socket: what they tell of the peer's end (its FIN, its RST, a write
 * refused), and each of them where the `data` class is wanted. No system call of ours unless there is something to
 * tell. errno is kept.
 */
#ifndef CLOSETRACE_TRANSFERRING_H
#define CLOSETRACE_TRANSFERRING_H

#include <stddef.h>

#include "faults/fault.h"
#include "kernel/tcp_socket.h"

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
    struct identity identity;
};

/* False: no TCP socket after all. */
bool transfer_entering(struct traffic *traffic, int fd, const char *name, const void *caller);

/*
 * Holds the rules of the family (RULE_READ, RULE_WRITE) against the call. It may wait, and end the process. True: a
 * rule takes the call's place; *result is what the program sees, with errno. count: how much it is about, which short=
 * makes less; NULL: that cannot be done to this call, and no rule with short= meets it.
 */
bool transfer_meets(struct traffic *traffic, enum rule_family family, size_t *count, long *result);
static inline bool transfer_is_off(struct traffic *traffic, enum rule_family family, size_t *count, long *result) {
    return fault_armed(family) && transfer_meets(traffic, family, count, result);
}

/* After a read; wanted: how much was asked for (a read of nothing returns 0 and means nothing). */
void transfer_read(struct traffic *traffic, long result, size_t wanted);

/* After a write; wanted: how much it was offered, or TRANSFER_UNKNOWN. */
enum { TRANSFER_UNKNOWN = 0 };
void transfer_wrote(struct traffic *traffic, long result, size_t wanted);

/* An error of the connection's, not of the arguments': the kernel has read the parts of the call, so that we can. */
bool transfer_blames_connection(int error);

/* getsockopt(SO_ERROR) has taken that error off. */
void transfer_took_error(struct traffic *traffic, long result, int error);

/* For what else tells of such a call: the event, whose time is now, to be completed and logged. */
struct event *transfer_event(struct traffic *traffic, enum event_op op, long result, int error,
                             struct scratch *scratch);

/* Only what the kernel says of this very connection is told: the number may be another's by now. */
bool transfer_is_same_connection(struct traffic *traffic);

/* The same of sendmmsg() that sent some messages and not all: what stopped it may have been a refusal. */
void transfer_wrote_part(struct traffic *traffic, long result);

/*
 * A call that raises SIGPIPE by itself (sendfile, stdio) and may be fatal: where the connection is over already, so
 * that the call will fail at once, the signal waits until transfer_wrote() has told of it. (Where the call may block
 * the signal stays as the program has it.) Costs one system call, two where SIGPIPE has its default action.
 */
void transfer_hold_sigpipe(struct traffic *traffic);

#endif
