#include "ending.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "claims.h"
#include "diag.h"
#include "process.h"
#include "references.h"
#include "session.h"
#include "table.h"

static void count_unread(struct ending_call *ending) {
    struct scratch *scratch = ending->standing.before.unread ? scratch_take() : NULL;
    if (!scratch)
        return;
    standing_count_unread(&ending->identity, &ending->standing, scratch);
    scratch_give(scratch);
}

static bool begin(struct ending_call *ending, int fd, const char *name, const void *caller) {
    int saved = errno;
    memset(ending, 0, sizeof *ending);
    bool tcp = table_find(fd, true, &ending->identity);
    if (tcp) {
        ending->fd = fd;
        ending->call = call_begin(name, caller);
        if (log_wants(TRACE_END)) {
            standing_of(fd, &ending->identity, false, &ending->standing);
            count_unread(ending);
        }
    }
    errno = saved;
    return tcp;
}

bool shutdown_begin(struct ending_call *ending, int fd, int how, const char *name, const void *caller) {
    bool tcp = begin(ending, fd, name, caller);
    ending->how = how;
    return tcp;
}

static struct event *fill(const struct ending_call *ending, enum event_op op, const struct verdict *verdict,
                          long result, int error, struct scratch *scratch) {
    struct event *event = log_event(scratch, op, &ending->call);
    event->has |= HAS_FD | HAS_RET;
    event->fd = ending->fd;
    event->ret = result;
    if (result == -1) {
        event->has |= HAS_ERRNO;
        event->error = error;
    }
    event_set_socket(event, &ending->identity);
    event_set_standing(event, &ending->standing);
    event->fin = verdict->fin;
    event->why = verdict->why;
    event->verified = verdict->verified;
    if (verdict->why == WHY_LISTENING) {
        event->has |= HAS_PENDING;
        event->pending = ending->standing.before.pending;
    }
    if (verdict->contradicted)
        atomic_fetch_add(&process_counters()->contradicted, 1);
    return event;
}

/* Its own descriptor is there still: TCP_INFO tells as much as inet_diag. */
static struct after stand_after(const struct ending_call *ending, struct standing *standing) {
    struct after after = {0};
    if (!log_settings.verify || !socket_stand(ending->fd, ending->identity.role, false, standing))
        return after;
    after.asked = after.found = after.attached = true;
    after.state = standing->before.state;
    after.fin_unsent = standing->before.fin_unsent;
    return after;
}

/* Others may have done the same at the same moment: for all but the first it was done already. */
static void give_way(const struct ending_call *ending, struct verdict *verdict) {
    struct claim_winner winner;
    uint64_t cookie = ending->identity.cookie;
    if (verdict->why == WHY_SHUTDOWN && !claims_take(cookie, CLAIM_SHUTDOWN, ending->fd, &winner)) {
        verdict->fin = verdict->fin == FIN_QUEUED ? FIN_QUEUED : FIN_ALREADY;
        verdict->why = WHY_AFTER_SHUTDOWN;
    }
    if (verdict->fin == FIN_RESET && !claims_take(cookie, CLAIM_DISCONNECT, ending->fd, &winner)) {
        verdict->fin = FIN_NONE;
        verdict->why = WHY_NOT_CONNECTED;
    }
}

static void report_shutdown(struct ending_call *ending, long result, int error, struct scratch *scratch) {
    struct standing now;
    struct references references;
    struct remaining nobody = {0};
    struct after after = stand_after(ending, &now);
    struct verdict verdict = verdict_decide(ENDING_SHUTDOWN, ending->how, &ending->standing.before, &nobody, &after);
    if (verdict.why == WHY_LISTENING && ending->how == SHUT_WR)
        ending->standing.before.pending = 0; /* a listener goes on listening */
    give_way(ending, &verdict);
    references_count(socket_inode(ending->fd), ending->identity.cookie, scratch, &references);
    struct event *event = fill(ending, OP_SHUTDOWN, &verdict, result, error, scratch);
    event->has |= HAS_HOW;
    event->how = ending->how;
    event->state_after = after.state;
    references_note(&references, 0, event);
    log_emit(scratch);
}

void shutdown_end(struct ending_call *ending, long result, int error) {
    int saved = errno;
    ending->call.done = log_now();
    if (result == 0 && ending->how != SHUT_RD) {
        table_mark_seen(ending->identity.cookie, SEEN_OWN_FIN);
        session_fin_left(ending->identity.cookie);
    }
    struct scratch *scratch = log_wants(TRACE_END) ? scratch_take() : NULL;
    if (scratch) {
        report_shutdown(ending, result, error, scratch);
        scratch_give(scratch);
    }
    errno = saved;
}

bool disconnect_begin(struct ending_call *ending, int fd, const char *name, const void *caller) {
    bool tcp = begin(ending, fd, name, caller);
    struct scratch *scratch = tcp && log_wants(TRACE_END) ? scratch_take() : NULL;
    if (scratch) {
        int saved = errno;
        ending->can_ask =
            log_settings.verify && diag_prepare(&ending->identity, ending->standing.before.state, scratch);
        scratch_give(scratch);
        errno = saved;
    }
    return tcp;
}

static void report_disconnect(struct ending_call *ending, long result, int error, struct scratch *scratch) {
    struct diag_answer answer = {0};
    struct remaining nobody = {0};
    if (ending->can_ask)
        diag_look_up(&ending->identity, scratch, &answer);
    struct after after = {.asked = answer.asked, .found = answer.found, .state = answer.state};
    struct verdict verdict = verdict_decide(ENDING_DISCONNECT, 0, &ending->standing.before, &nobody, &after);
    give_way(ending, &verdict);
    struct references references;
    references_count(socket_inode(ending->fd), ending->identity.cookie, scratch, &references);
    struct event *event = fill(ending, OP_CONNECT, &verdict, result, error, scratch);
    references_note(&references, 0, event);
    event->state_after = after.found ? after.state : after.asked ? STATE_CLOSE : STATE_UNSET;
    log_emit(scratch);
}

void disconnect_end(struct ending_call *ending, long result, int error) {
    int saved = errno;
    ending->call.done = log_now();
    struct scratch *scratch = log_wants(TRACE_END) && result == 0 ? scratch_take() : NULL;
    if (scratch) {
        report_disconnect(ending, result, error, scratch);
        scratch_give(scratch);
    }
    if (result == 0)
        table_mark_disconnected(&ending->identity);
    errno = saved;
}
