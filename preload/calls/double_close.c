#include "double_close.h"

#include <errno.h>

#include "closing.h"
#include "refs/fd_table.h"

__thread struct twice_last twice_last = {.fd = -2};

static __thread struct twice kept;

static bool continues(int fd, const void *caller) {
    const int distance = fd - twice_last.fd;
    return twice_last.caller == caller && (distance == 1 || distance == -1);
}

/* What was kept back is told, or, if this close() goes on from it, dropped: a sweep. */
static void settle(bool sweeps) {
    if (!twice_last.kept)
        return;
    if (sweeps)
        twice_last.kept = false;
    else
        twice_flush();
}

static void go_on(int fd, const void *caller) {
    twice_last.fd = fd;
    twice_last.caller = caller;
}

void twice_note(int fd, const void *caller) {
    int saved = errno;
    settle(continues(fd, caller));
    go_on(fd, caller);
    errno = saved;
}

bool twice_begin(struct twice *twice, int fd, const void *caller) {
    int saved = errno;
    const bool sweeps = continues(fd, caller);
    settle(sweeps);
    go_on(fd, caller);
    twice->was_tcp = table_on && table_was_tcp(fd, &twice->identity);
    if (twice->was_tcp) {
        twice->fd = fd;
        twice->was_tcp = !sweeps;
        twice->call = call_begin("close", caller);
        errno = saved;
        return true;
    }
    errno = saved;
    return false;
}

void twice_end(struct twice *twice, int result, int error) {
    int saved = errno;
    table_forget_closed(twice->fd);
    if (result == -1 && error == EBADF && twice->was_tcp && log_wants(TRACE_END)) {
        kept = *twice;
        kept.call = call_ended(&twice->call);
        twice_last.kept = true;
    }
    errno = saved;
}

void twice_flush(void) {
    struct scratch *scratch = twice_last.kept ? scratch_take() : NULL;
    twice_last.kept = false;
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

void twice_forked(void) {
    twice_last.kept = false;
}
