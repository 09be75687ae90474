/*
 * The ways of the calls that end a connection otherwise than by giving up a descriptor: shutdown, connect with
 * AF_UNSPEC. And of those that end many at once: exec and exit. errno is kept.
 */
#ifndef CLOSETRACE_ENDING_H
#define CLOSETRACE_ENDING_H

#include "closing.h"

struct ending_call {
    struct call call;
    int fd;
    int how;
    bool can_ask;
    struct identity identity;
    struct standing standing;
};

/* False: no TCP socket, or nobody wants to know. */
bool shutdown_begin(struct ending_call *ending, int fd, int how, const char *name, const void *caller);
void shutdown_end(struct ending_call *ending, long result, int error);

bool disconnect_begin(struct ending_call *ending, int fd, const char *name, const void *caller);
void disconnect_end(struct ending_call *ending, long result, int error);

#endif
