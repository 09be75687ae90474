#include "event.h"

#include <string.h>

void event_init(struct event *event, enum event_op op) {
    /* Not the holders, which are most of it: what is not named is not read. */
    memset(event, 0, offsetof(struct event, holders));
    memset(&event->fin, 0, sizeof *event - offsetof(struct event, fin));
    event->op = op;
    event->fd = -1;
}

static bool tells_of_the_end(const struct event *event) {
    return event->why == WHY_TIMED_OUT || event->why == WHY_DESTROYED || event->why == WHY_REFUSED;
}

uint64_t event_happened_at(const struct event *event) {
    switch (event->op) {
    case OP_ACCEPT:
    case OP_EOF:
    case OP_RESET:
    case OP_RECV_FD:
        return event_ended_at(event);
    case OP_CONNECT:
    case OP_READ:
    case OP_WRITE:
        return tells_of_the_end(event) ? event_ended_at(event) : event->time_us;
    default:
        return event->time_us;
    }
}

void event_add_holder(struct event *event, const struct holder *holder) {
    if (holder && event->holders_named < HOLDERS_SHOWN)
        event->holders[event->holders_named++] = *holder;
    event->holder_count++;
}
