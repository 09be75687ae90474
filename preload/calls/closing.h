/*
 * The call path of a call that gives up one descriptor of a TCP socket: close and all that closes, dup2 over it. Look
 * before; the real call; ask the kernel after; verdict; event. errno is kept.
 */
#ifndef CLOSETRACE_CLOSING_H
#define CLOSETRACE_CLOSING_H

#include "output/event_socket.h"
#include "output/log.h"
#include "faults/park.h"
#include "kernel/tcp_socket.h"
#include "refs/standing.h"

struct closing {
    struct call call;
    uint64_t ticket; /* see table_closing() */
    uint64_t inode;  /* where it may be needed, else 0 */
    int fd;
    bool watched; /* events of this class are wanted */
    bool can_ask; /* a look-up afterwards will prove something */
    struct identity identity;
    struct standing standing;
    bool stays;           /* a fault: the call is not to be made, the descriptor stays */
    bool is_reset;        /* a fault: it was ended with an RST before the call */
    struct parked parked; /* a fault: it outlives the descriptor */
    unsigned gives_up;    /* references */
};

/* False: fd is no TCP socket (and nothing is to be done afterwards). A fault may wait here, and end the process. */
bool closing_entering(struct closing *closing, int fd, const char *name, const void *caller);

/* The same for a call that gives up a descriptor by the way (dup2 over it): no rule for close meets it. */
bool closing_entering_aside(struct closing *closing, int fd, const char *name, const void *caller);

/* The same for a call that was begun and has met its rule. */
bool closing_entering_of(struct closing *closing, int fd, const struct call *call);

/* Whether a fault takes the call's place: then it is not to be made, and its result is 0. */
static inline bool closing_is_off(const struct closing *closing) {
    return __builtin_expect(closing->stays, 0);
}

/*
 * result, error: what the call returned; error is its errno where result is -1. Returns what the program is to see: the
 * same, or what a fault has put in its place, and then its errno is set.
 */
long closing_exiting(struct closing *closing, long result, int error);

/* A connection that was parked as fd (no number of the program's) ends now, with a `release`. */
void closing_release(int fd, const struct identity *identity, const struct call *call);

/*
 * References that are no descriptors: how it stood before they went, as the kernel said; and when they have gone, so
 * many of them, with a `release`.
 */
struct diag_answer;
void closing_of_no_descriptor(struct closing *closing, const struct identity *identity,
                              const struct diag_answer *before);
void closing_released(struct closing *closing, unsigned references);

/* The call did not happen, or failed so that the descriptor is still there. */
void closing_cancelled(struct closing *closing);

#endif
