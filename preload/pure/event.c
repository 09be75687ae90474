#include "event.h"

#include <string.h>

void event_init(struct event *event, enum event_op op) {
    memset(event, 0, sizeof *event);
    event->op = op;
    event->fd = -1;
}

void event_add_holder(struct event *event, const struct holder *holder) {
    if (holder && event->holders_named < HOLDERS_SHOWN)
        event->holders[event->holders_named++] = *holder;
    event->holder_count++;
}
