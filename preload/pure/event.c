#include "event.h"

#include <string.h>

void event_init(struct event *event, enum event_op op) {
    /* Not the holders, which are most of it: what is not named is not read. */
    memset(event, 0, offsetof(struct event, holders));
    memset(&event->fin, 0, sizeof *event - offsetof(struct event, fin));
    event->op = op;
    event->fd = -1;
}

void event_add_holder(struct event *event, const struct holder *holder) {
    if (holder && event->holders_named < HOLDERS_SHOWN)
        event->holders[event->holders_named++] = *holder;
    event->holder_count++;
}
