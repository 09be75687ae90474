#include "double_close.h"

#include <errno.h>

#include "closing.h"
#include "kernel/thread.h"
#include "refs/fd_table.h"

/* The last close() of this thread, and one that is kept back. Of a thread that is not libc's none is. */
struct closes {
    int fd;
    const void *caller;
    bool keeps;
    struct twice kept;
};
THREAD_OWN(struct closes, closes)

static bool is_next_number(const struct closes *last, int fd, const void *caller) {
    const int distance = fd - last->fd;
    return last->caller == caller && (distance == 1 || distance == -1);
}

/* What was kept back is told, or, if this close() goes on from it, dropped: then it sweeps. */
static bool go_on(int fd, const void *caller) {
    struct closes *last = closes();
    if (!last)
        return true;
    const bool sweeps = is_next_number(last, fd, caller);
    if (last->keeps && !sweeps)
        double_close_flush();
    last->keeps = false;
    last->fd = fd;
    last->caller = caller;
    return sweeps;
}

void double_close_note(int fd, const void *caller) {
    go_on(fd, caller);
}

bool double_close_entering(struct twice *twice, int fd, const void *caller) {
    const bool sweeps = go_on(fd, caller);
    twice->was_tcp = table_on && table_was_tcp(fd, &twice->identity);
    if (twice->was_tcp) {
        twice->fd = fd;
        twice->was_tcp = !sweeps;
        twice->call = call_entering("close", caller);
        return true;
    }
    return false;
}

void double_close_exiting(struct twice *twice, int error) {
    table_forget_closed(twice->fd);
    struct closes *last = error == EBADF && twice->was_tcp && log_wants(TRACE_END) ? closes() : NULL;
    if (!last)
        return;
    last->kept = *twice;
    last->kept.call = call_ended(&twice->call);
    last->keeps = true;
}

void double_close_flush(void) {
    struct closes *last = closes();
    if (!last || !last->keeps)
        return;
    last->keeps = false;
    OWN_SCRATCH *scratch = log_scratch();
    if (!scratch)
        return;
    struct event *event = log_event(scratch, OP_CLOSE, &last->kept.call);
    event_set_socket(event, last->kept.fd, &last->kept.identity);
    event_set_result(event, -1, EBADF);
    log_emit(scratch);
}

void double_close_forked(void) {
    struct closes *last = closes();
    if (last)
        last->keeps = false;
}
