#include "event_socket.h"

void event_set_socket(struct event *event, int fd, const struct identity *identity) {
    if (fd >= 0) {
        event->has |= HAS_FD;
        event->fd = fd;
    }
    if (!identity)
        return;
    event->has |= HAS_SOCKET;
    event->cookie = identity->cookie;
    event->local = identity->local;
    event->remote = identity->remote;
    event->role = identity->role;
}

void event_set_asked(struct event *event, uint64_t asked) {
    if (asked == 0)
        return;
    event->has |= HAS_ASKED;
    event->asked = asked;
}

/* Less is not worth the words. */
enum { IDLE_TOLD_US = 1000000 };

void event_set_standing(struct event *event, const struct standing *standing) {
    if (!standing->known)
        return;
    event->state_before = standing->before.state;
    if (standing->before.state == STATE_LISTEN)
        return;
    event->has |= HAS_UNREAD | HAS_UNSENT | HAS_TRAFFIC;
    event->unread = standing->before.unread;
    event->unsent = standing->unsent;
    event->sent = standing->sent;
    event->received = standing->received;
    event->unacked = standing->unacked;
    event->used = standing->used ? USED_YES : USED_NO;
    event->peer_state = standing->peer_state;
    event->last = standing->last;
    event_set_asked(event, standing->asked);
    if (standing->idle_us >= IDLE_TOLD_US) {
        event->has |= HAS_IDLE;
        event->idle_us = standing->idle_us;
    }
}
