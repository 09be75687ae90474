/*
 * The kernel tells of each TCP socket of the network namespace that it destroys (sock_diag(7), a multicast group that
 * anybody may listen to), with its queues and TCP_INFO as they were: so what was never read, and what the peer never
 * acknowledged, is known to the byte, and that is how a reset is told from an orderly end. State is always CLOSE.
 * TIME_WAIT begins with one: the socket is destroyed, a smaller one stands in for it.
 */
#ifndef CLOSETRACE_DESTROYED_H
#define CLOSETRACE_DESTROYED_H

#include "world.h"

/* A descriptor from which they come; -1: the kernel does not tell. */
int destroyed_open(void);

enum destroyed_next {
    DESTROYED_NONE,    /* no more for now */
    DESTROYED_ONE,     /* *gone is one */
    DESTROYED_OVERRUN, /* they came faster than they were read: some are missing */
};
enum destroyed_next destroyed_next(int fd, struct sighting *gone);

/*
 * What was in the queues of one that a process had until its end, and let go of in no other way; before: as it was seen
 * last. In either queue a FIN counts as one: whether the peer's was there is known from the state before; where it was
 * not yet, a single byte is taken for it.
 */
uint64_t destroyed_unread(const struct sighting *gone, const struct sighting *before);
/* Never acknowledged by the peer. Unread data makes an end without a FIN. */
uint64_t destroyed_lost(const struct sighting *gone, const struct sighting *before);

#endif
