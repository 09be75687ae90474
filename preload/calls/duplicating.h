/*
 * The call paths of dup and its like, and the event of any call that makes references. The table learns, the event is
 * logged. errno is kept.
 */
#ifndef CLOSETRACE_DUPLICATING_H
#define CLOSETRACE_DUPLICATING_H

#include "kernel/tcp_socket.h"
#include "output/call.h"

/* new_fd refers to what fd referred to (whatever that is). tcp: table_maybe_tcp(fd) before the call. */
void duplicated(int fd, int new_fd, bool tcp, const struct call *call);

/*
 * The event of a call that made references. taken: how many it added. later: how many more it added of which events
 * are still to come, and which are counted already.
 */
void reference_emit(enum event_op op, int fd, long result, int taken, unsigned later, const struct identity *identity,
                    const struct call *call);

#endif
