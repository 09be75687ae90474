#include "forking.h"

#include "leaving.h"
#include "output/log.h"
#include "refs/fd_table.h"

unsigned forking(void) {
    unsigned shared = log_wants(TRACE_REFS) && table_end() ? leaving_count() : 0;
    return shared;
}

void forked(unsigned shared, int child, const struct call *call) {
    OWN_SCRATCH *scratch = (shared && log_wants(TRACE_REFS)) || call->rule ? log_scratch() : NULL;
    if (scratch) {
        struct call ended = call_ended(call);
        struct event *event = log_event(scratch, OP_FORK, &ended);
        event->has |= HAS_SHARED;
        event->shared = shared;
        if (child > 0) {
            event->has |= HAS_CHILD | HAS_RET;
            event->child = child;
            event->ret = child;
        }
        log_emit(scratch);
    }
}
