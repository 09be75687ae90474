/*
 * Parked connections: a fault rule keeps them, though the program has closed its descriptor. A duplicate of ours (a
 * guest, own_fds.h) holds each until the hold is over, the peer closes, or the process ends or becomes another program;
 * a thread of ours looks after them. A forked child has none of them. Async-signal-safe.
 */
#ifndef CLOSETRACE_PARK_H
#define CLOSETRACE_PARK_H

#include "output/log.h"
#include "kernel/tcp_socket.h"

struct parked {
    int place; /* below 0: it could not be parked */
    int fd;    /* the duplicate */
    const char *refusal;
};

/* Before main. release: ends what was parked as fd (no number of the program's), and tells of it. */
typedef void park_release(int fd, const struct identity *identity, const struct call *call);
void park_start(park_release *release);

/*
 * Before the program's descriptor is closed: keeps the connection, and takes fd out of the process's epoll sets. Where
 * it cannot be kept, refusal says why. rule: whose as= and hold= say how, and for how long. Nothing is done with it
 * until park_begin(), or park_give_up() where the call has failed.
 */
struct parked park_keep(int fd, const struct identity *identity, const struct rule *rule);
void park_begin(const struct parked *parked);
void park_give_up(const struct parked *parked);

/* The command keeps it, also beyond the end of this process where it says so. False: there is none, or it refused. */
bool park_with_command(int fd, uint64_t cookie, const struct rule *rule, bool outlives);

/* The process is about to end, or to become another program, by that call: what becomes of those that are parked. */
void park_ends(const struct call *call);
/* It has not. error: of an exec, which takes back what was said; 0: nothing to take back. */
void park_goes_on(const struct call *call, int error);

/* In a forked child: they are the parent's. */
void park_forked(void);

#endif
