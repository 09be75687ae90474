/*
 * close() of a connection with SO_LINGER returns when its peer has acknowledged everything, or the time is over: a
 * thread waits for that, not the command.
 */
#ifndef CLOSETRACE_SLOW_CLOSE_H
#define CLOSETRACE_SLOW_CLOSE_H

#include <stdbool.h>

struct slow_close;

/* Closes the descriptor. NULL: that is done. Otherwise a thread is at it. */
struct slow_close *close_slowly(int fd);

/* True: it has returned, and *close is gone. */
bool slow_close_is_over(struct slow_close *close);

#endif
