#include "duplicating.h"

#include "kernel/stop.h"
#include "output/event_socket.h"
#include "output/log.h"
#include "refs/fd_table.h"
#include "refs/references.h"

void reference_emit(enum event_op op, int fd, long result, int taken, unsigned later, const struct identity *identity,
                    const struct call *call) {
    struct references references;
    OWN_SCRATCH *scratch = log_wants_of(call, TRACE_REFS) ? log_scratch() : NULL;
    if (!scratch)
        return;
    int open_fd = op == OP_SEND_FD ? fd : (int)result;
    references_count(socket_inode(open_fd), identity->cookie, scratch, &references);
    struct call ended = call_ended(call);
    struct event *event = log_event(scratch, op, &ended);
    event_set_socket(event, fd, identity);
    event_set_result(event, result, 0);
    references_note(&references, -taken, event);
    event->refs_before -= later < event->refs_before ? later : event->refs_before;
    event->refs_after -= later < event->refs_after ? later : event->refs_after;
    log_emit(scratch);
}

static void duplicated_tcp(int fd, int new_fd, const struct call *call) {
    struct identity identity;
    STOP("duplicating: made, not noted");
    if (!table_duplicated(fd, new_fd, &identity))
        return;
    table_mark_mixed(fd);
    table_mark_mixed(new_fd);
    table_copy_seen(fd, new_fd);
    reference_emit(OP_DUP, fd, new_fd, 1, 0, &identity, call);
}

void duplicated(int fd, int new_fd, bool tcp, const struct call *call) {
    if (tcp)
        duplicated_tcp(fd, new_fd, call);
    else if (table_maybe_tcp(fd)) /* another thread has got the number, before or after */
        table_set_unknown(new_fd);
    else
        table_set_other(new_fd);
}
