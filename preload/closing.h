/*
 * The way of a call that gives up one descriptor of a TCP socket: close and all that closes, dup2 over it. Look
 * before; the real call; ask the kernel after; verdict; event. errno is kept.
 */
#ifndef CLOSETRACE_CLOSING_H
#define CLOSETRACE_CLOSING_H

#include "log.h"
#include "socket.h"

struct closing {
    struct call call;
    int fd;
    unsigned ticket;
    bool watched;   /* events of this class are wanted */
    bool can_ask;   /* a look-up afterwards will prove something */
    uint64_t inode; /* where it may be needed, else 0 */
    struct identity identity;
    struct standing standing;
};

/* False: fd is no TCP socket (and nothing is to be done afterwards). */
bool closing_begin(struct closing *closing, int fd, const char *name, const void *caller);

/* result, error: what the call returned, as the program will see it; error is its errno where result is -1. */
void closing_end(struct closing *closing, long result, int error);

/* The call did not happen, or failed so that the descriptor is still there. */
void closing_cancelled(struct closing *closing);

/* Fields that every event of a socket has. */
void event_set_socket(struct event *event, const struct identity *identity);

/* The fields of a standing before an ending. */
void event_set_standing(struct event *event, const struct standing *standing);

/* For ways of their own (shutdown, exit): what was seen here counts where the kernel cannot be asked. */
void standing_of(int fd, const struct identity *identity, bool for_close, struct standing *standing);

/* An out-of-band byte hides itself, and what stands behind it, from SIOCINQ; inet_diag counts all. */
void standing_count_unread(const struct identity *identity, struct standing *standing, struct scratch *scratch);

#endif
