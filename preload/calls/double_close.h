/*
 * A number that this process had closed as a TCP socket, closed again: EBADF. Told when the next close() of the thread
 * shows that it was no sweep over numbers, which closes what it does not know. Async-signal-safe.
 */
#ifndef CLOSETRACE_DOUBLE_CLOSE_H
#define CLOSETRACE_DOUBLE_CLOSE_H

#include "output/log.h"
#include "kernel/tcp_socket.h"

struct twice {
    int fd;
    bool was_tcp;
    struct identity identity;
    struct call call;
};

/* Before the close() of what is no TCP socket. False: it need not be looked at. */
bool double_close_entering(struct twice *twice, int fd, const void *caller);
/* error: errno, of one that failed. */
void double_close_exiting(struct twice *twice, int error);

/* A close() of what is one. */
void double_close_note(int fd, const void *caller);

/* What is kept back is told: the process ends, or becomes another program. */
void double_close_flush(void);
void double_close_forked(void);

#endif
