/*
 * What an event of a socket says of it: who it is, how it stood, what became of it; and what the program saw of the
 * call. Every such event is filled by these. Async-signal-safe.
 */
#ifndef CLOSETRACE_EVENT_SOCKET_H
#define CLOSETRACE_EVENT_SOCKET_H

#include "kernel/tcp_socket.h"

/* By which descriptor the call named the socket (below 0: by none), and which it is (NULL: none, or one of many). */
void event_set_socket(struct event *event, int fd, const struct identity *identity);

/* What the call returned; with errno where that is -1 and error is not 0. */
static inline void event_set_result(struct event *event, long result, int error) {
    event->has |= HAS_RET;
    event->ret = result;
    if (result != -1 || error == 0)
        return;
    event->has |= HAS_ERRNO;
    event->error = error;
}

/* What a write was offered, where it took less; nothing where asked is 0. */
void event_set_asked(struct event *event, uint64_t asked);

/* The fields of a standing before an ending; none if it is not known. */
void event_set_standing(struct event *event, const struct standing *standing);

static inline void event_set_verdict(struct event *event, const struct verdict *verdict) {
    event->fin = verdict->fin;
    event->why = verdict->why;
    event->verified = verdict->verified;
}

#endif
