/*
 * A read, a write or getsockopt(SO_ERROR) that is told why the connection is over: the peer's RST; a time-out of our
 * own kernel's, or a socket that was destroyed, which are nobody's RST; a connect that went on in the background and
 * failed. An RST that this side has sent comes back as an error too, and is no news.
 */
#ifndef CLOSETRACE_FOUND_OVER_H
#define CLOSETRACE_FOUND_OVER_H

#include "traffic.h"

/* Errors that a call of the connection's may be told; others (EAGAIN, EINTR ...) cost nothing. */
bool error_is_of_the_end(int error);

/* The call was told that error. True: an event has told of it. op: OP_READ or OP_WRITE. */
bool found_over(struct traffic *traffic, enum event_op op, long result, int error);

/*
 * The same of EPIPE, in that state. True: no error came before it, so that it is the peer's RST, which a write meets
 * so where the peer's FIN had come before that.
 */
bool found_refused(const struct traffic *traffic, enum tcp_state state);

#endif
