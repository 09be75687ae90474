#include "event.h"

#include <string.h>

void event_init(struct event *event, enum event_op op) {
    memset(event, 0, sizeof *event);
    event->op = op;
    event->fd = -1;
}

void event_add_holder(struct event *event, const struct holder *holder) {
    if (event->holder_count < HOLDERS_SHOWN)
        event->holders[event->holder_count] = *holder;
    event->holder_count++;
}
