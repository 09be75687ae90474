/*
 * Copies of TCP sockets' descriptors that are on their way in unix sockets (SCM_RIGHTS): sent, not received. A
 * small table in memory that forked processes share; a copy dropped with its queue is not seen, so that the
 * counts hold only as long as some unix socket has descriptors in its queue (search_in_flight). Lock-free.
 */
#ifndef CLOSETRACE_FLIGHT_H
#define CLOSETRACE_FLIGHT_H

#include <stdint.h>

void flight_start(void);
void flight_sent(uint64_t cookie);
void flight_received(uint64_t cookie);
unsigned flight_count(uint64_t cookie);
/* Copies of all sockets that are known of. */
unsigned flight_total(void);
/* Nothing of that socket is under way: its copies were dropped. */
void flight_purged(uint64_t cookie);

#endif
