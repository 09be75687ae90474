/*
 * The call paths of reads and writes on a TCP socket: what they tell of the peer's end (its FIN, its RST, a write
 * refused), and each of them where the `data` class is wanted. No system call of ours unless there is something to
 * tell. errno is kept.
 */
#ifndef CLOSETRACE_TRANSFERRING_H
#define CLOSETRACE_TRANSFERRING_H

#include <stddef.h>

#include "faults/fault.h"
#include "traffic.h"

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

/* The same of sendmmsg() that sent some messages and not all: what stopped it may have been a refusal. */
void transfer_wrote_part(struct traffic *traffic, long result);

/*
 * A call that raises SIGPIPE by itself (sendfile, stdio) and may be fatal: where the connection is over already, so
 * that the call will fail at once, the signal waits until transfer_wrote() has told of it. (Where the call may block
 * the signal stays as the program has it.) Costs one system call, two where SIGPIPE has its default action.
 */
void transfer_hold_sigpipe(struct traffic *traffic);

#endif
