#include "double_close.h"

#include <errno.h>

#include "closing.h"
#include "refs/fd_table.h"
#include "kernel/keep_errno.h"

__thread struct double_close_last double_close_last = {.fd = -2};

static __thread struct twice kept;

static bool is_next_number(int fd, const void *caller) {
    const int distance = fd - double_close_last.fd;
    return double_close_last.caller == caller && (distance == 1 || distance == -1);
}

/* What was kept back is told, or, if this close() goes on from it, dropped: a sweep. */
static void settle(bool sweeps) {
    if (!double_close_last.kept)
        return;
    if (sweeps)
        double_close_last.kept = false;
    else
        double_close_flush();
}

static void go_on(int fd, const void *caller) {
    double_close_last.fd = fd;
    double_close_last.caller = caller;
}

void double_close_note(int fd, const void *caller) {
    KEEP_ERRNO;
    settle(is_next_number(fd, caller));
    go_on(fd, caller);
}

bool double_close_entering(struct twice *twice, int fd, const void *caller) {
    KEEP_ERRNO;
    const bool sweeps = is_next_number(fd, caller);
    settle(sweeps);
    go_on(fd, caller);
    twice->was_tcp = table_on && table_was_tcp(fd, &twice->identity);
    if (twice->was_tcp) {
        twice->fd = fd;
        twice->was_tcp = !sweeps;
        twice->call = call_entering("close", caller);
        return true;
    }
    return false;
}

void double_close_exiting(struct twice *twice, int result, int error) {
    KEEP_ERRNO;
    table_forget_closed(twice->fd);
    if (result == -1 && error == EBADF && twice->was_tcp && log_wants(TRACE_END)) {
        kept = *twice;
        kept.call = call_ended(&twice->call);
        double_close_last.kept = true;
    }
}

void double_close_flush(void) {
    struct scratch *scratch = double_close_last.kept ? scratch_take() : NULL;
    double_close_last.kept = false;
    if (!scratch)
        return;
    struct event *event = log_event(scratch, OP_CLOSE, &kept.call);
    event->has |= HAS_FD | HAS_RET | HAS_ERRNO;
    event->fd = kept.fd;
    event->ret = -1;
    event->error = EBADF;
    event_set_socket(event, &kept.identity);
    log_emit(scratch);
    scratch_give(scratch);
}

void double_close_forked(void) {
    double_close_last.kept = false;
}
