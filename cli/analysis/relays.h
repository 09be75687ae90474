/*
 * Which connections of a process belong together: the two sides of a relay (a proxy, a tunnel). One was accepted, the
 * other was made by the same process while the first was open. This is the one place that knows pairs: the findings
 * about relays ask here.
 */
#ifndef CLOSETRACE_RELAYS_H
#define CLOSETRACE_RELAYS_H

#include "analysis/store.h"

/*
 * Gives each accepted connection that seems to be relayed the connection that was made for it, and the other way round
 * (endpoint->relay). relay_sure: the bytes agree in one direction, or no other accepted connection was open that it
 * could have been made for. Once, after store_pair(). Costs a sort, and a bounded look back a connection.
 */
void relays_find(struct analysis *analysis);

/* Has the end of this connection been passed on to the other side, which still waits for its own peer's end? */
bool relay_waits(const struct endpoint *endpoint, uint64_t when_us);

/*
 * What comes in on this side goes out on the other as it is, for all that is known: one connection for one, and no more
 * sent than came. A proxy that makes requests of its own out of what it reads does not do so.
 */
bool relay_passes_on(const struct endpoint *endpoint);

/*
 * The other side was ended by the relay itself, before its own peer had ended it, within a moment of when_us: it was
 * broken off together with this one.
 */
bool relay_broke_off(const struct endpoint *endpoint, uint64_t when_us);

#endif
