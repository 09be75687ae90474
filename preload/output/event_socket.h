/*
 * What an event of a socket says of it: who it is, and how it stood. Async-signal-safe.
 */
#ifndef CLOSETRACE_EVENT_SOCKET_H
#define CLOSETRACE_EVENT_SOCKET_H

#include "kernel/tcp_socket.h"

/* Fields that every event of a socket has. */
void event_set_socket(struct event *event, const struct identity *identity);

/* What a write was offered, where it took less; nothing where asked is 0. */
void event_set_asked(struct event *event, uint64_t asked);

/* The fields of a standing before an ending; none if it is not known. */
void event_set_standing(struct event *event, const struct standing *standing);

#endif
