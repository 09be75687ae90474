#include "traffic.h"

#include "kernel/thread.h"
#include "output/event_socket.h"
#include "output/log.h"
#include "refs/fd_table.h"

bool transfer_entering(struct traffic *traffic, int fd, const char *name, const void *caller) {
    if (!table_find(fd, false, &traffic->identity))
        return false;
    traffic->fd = fd;
    traffic->holds_sigpipe = false;
    traffic->may_raise = false;
    traffic->told = false;
    traffic->shortened = false;
    traffic->by_stream = false;
    traffic->moves = false;
    traffic->asked = 0;
    traffic->under_way = NULL;
    traffic->after_fin_us = 0;
    traffic->error_before = error_now();
    traffic->call = call_entering(name, caller);
    return true;
}

struct event *transfer_event(struct traffic *traffic, enum event_op op, long result, int error,
                             struct scratch *scratch) {
    traffic->call.done = clock_now();
    traffic->told = true;
    struct event *event = log_event(scratch, op, &traffic->call);
    event_set_socket(event, traffic->fd, &traffic->identity);
    event_set_result(event, result, error);
    event_set_asked(event, traffic->asked);
    return event;
}

bool transfer_is_same_connection(struct traffic *traffic) {
    uint64_t cookie = traffic->identity.cookie;
    return table_find(traffic->fd, true, &traffic->identity) && traffic->identity.cookie == cookie;
}
