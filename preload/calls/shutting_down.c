#define _GNU_SOURCE
#include "shutting_down.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "ending.h"
#include "refs/end_claims.h"
#include "kernel/sock_diag.h"
#include "faults/fault.h"
#include "kernel/own_fds.h"
#include "kernel/process.h"
#include "kernel/stop.h"
#include "refs/references.h"
#include "kernel/seccomp_guard.h"
#include "session/session.h"
#include "refs/fd_table.h"

static void look_closer(struct ending_call *ending) {
    const struct before *before = &ending->standing.before;
    OWN_SCRATCH *scratch = before->unread || before->state == STATE_CLOSE_WAIT ? scratch_take() : NULL;
    if (!scratch)
        return;
    standing_count_unread(&ending->identity, &ending->standing, scratch);
    standing_look_at_peer(&ending->identity, &ending->standing, scratch);
}

static void stand(struct ending_call *ending) {
    if (!log_wants_of(&ending->call, TRACE_END))
        return;
    standing_of(ending->fd, &ending->identity, false, &ending->standing);
    look_closer(ending);
}

static bool ending_begins(struct ending_call *ending, int fd, const struct call *call) {
    memset(ending, 0, sizeof *ending);
    bool tcp = table_find(fd, true, &ending->identity);
    ending->how = -1;
    ending->fd = fd;
    ending->call = *call;
    if (tcp)
        stand(ending);
    return tcp;
}

static void can_ask(struct ending_call *ending) {
    OWN_SCRATCH *scratch = log_wants_of(&ending->call, TRACE_END) ? scratch_take() : NULL;
    if (scratch) {
        ending->can_ask =
            log_settings.verify && diag_prepare(&ending->identity, ending->standing.before.state, scratch);
    }
}

/* The number stays the program's, which did not close it: a socket that was never connected takes its place. */
static bool put_another(int fd) {
    long flags = probe(SYS_fcntl, fd, F_GETFD, 0, 0, 0, 0), status = probe(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
    long other = own_open(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (other < 0)
        return false;
    if (status > 0 && (status & O_NONBLOCK))
        probe(SYS_fcntl, other, F_SETFL, O_NONBLOCK, 0, 0, 0);
    bool put = probe(SYS_dup3, other, fd, flags > 0 && (flags & FD_CLOEXEC) ? O_CLOEXEC : 0, 0, 0, 0) >= 0;
    probe(SYS_close, other, 0, 0, 0, 0, 0);
    return put;
}

static void close_instead(struct ending_call *ending) {
    struct closing closing;
    if (!closing_entering_of(&closing, ending->fd, &ending->call))
        return;
    if (!put_another(ending->fd)) {
        closing_cancelled(&closing);
        fault_failed(&ending->call, "no file descriptor is left to close it");
        ending->off = false;
        return;
    }
    struct call call = ending->call;
    ending->call.rule = NULL; /* the close has told of it */
    closing.call.rule = call.rule;
    closing_exiting(&closing, 0, 0);
    table_set_unknown(ending->fd);
}

static void convert_shutdown(struct ending_call *ending) {
    const struct rule *rule = ending->call.rule;
    enum rule_way way = fault_way(&ending->call);
    ending->off = way == WAY_RST || way == WAY_CLOSE || way == WAY_NONE || fault_replaces(&ending->call);
    if (way == WAY_SHUT_RD || way == WAY_SHUT_WR || way == WAY_SHUT_RDWR)
        ending->real_how = rule_way_how(rule->as);
    if (way == WAY_CLOSE)
        close_instead(ending);
    if (way == WAY_RST) {
        can_ask(ending);
        if (!socket_disconnect(ending->fd)) {
            fault_failed(&ending->call, "the kernel refused to reset it");
            ending->off = false;
        }
    }
}

static bool shutdown_meets_rules(struct ending_call *ending, int how) {
    struct identity identity;
    if (!table_find(ending->fd, true, &identity))
        return false;
    struct fault_subject subject = {
        .family = RULE_SHUTDOWN, .call = &ending->call, .fd = ending->fd, .how = how, .identity = &identity};
    fault_meets(&subject);
    return true;
}

bool shutdown_entering(struct ending_call *ending, int fd, int how, const char *name, const void *caller) {
    struct call call = call_entering(name, caller);
    if (fault_armed(RULE_SHUTDOWN)) {
        struct ending_call met = {.call = call, .fd = fd};
        if (shutdown_meets_rules(&met, how))
            call = met.call;
    }
    bool tcp = ending_begins(ending, fd, &call);
    ending->how = ending->real_how = how;
    if (tcp)
        end_drop_stale(fd, ending->identity.cookie);
    STOP("shutdown: looked, not made");
    if (tcp && call.rule)
        convert_shutdown(ending);
    return tcp;
}

static struct event *ending_event(const struct ending_call *ending, enum event_op op, const struct verdict *verdict,
                                  long result, int error, struct scratch *scratch) {
    struct event *event = log_event(scratch, op, &ending->call);
    event_set_socket(event, ending->fd, &ending->identity);
    fault_set_result(event, &ending->call, result, error);
    if (ending->how >= 0 && op == OP_SHUTDOWN) {
        event->has |= HAS_HOW;
        event->how = ending->how;
    }
    event_set_standing(event, &ending->standing);
    event_set_verdict(event, verdict);
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
    if (!log_settings.verify || ending->is_gone || !socket_stand(ending->fd, ending->identity.role, false, standing))
        return after;
    after.asked = after.found = after.attached = true;
    after.state = standing->before.state;
    after.fin_unsent = standing->before.fin_unsent;
    return after;
}

/* Others may have done the same at the same moment: for all but the first it was done already. */
static void ending_gives_way(const struct ending_call *ending, struct verdict *verdict) {
    struct claimant claimant = {.pid = process_id(), .fd = ending->fd, .shut = true};
    uint64_t cookie = ending->identity.cookie;
    if (verdict->why == WHY_SHUTDOWN && !claims_take(cookie, CLAIM_FIN, &claimant))
        *verdict = verdict_give_way(*verdict, END_WAS_SHUT);
    if (verdict->fin == FIN_RESET && !claims_take(cookie, CLAIM_DISCONNECT, &claimant))
        *verdict = verdict_give_way(*verdict, END_WAS_DISCONNECTED);
}

static void emit_shutdown(struct ending_call *ending, const struct verdict *verdict, enum tcp_state state, long result,
                          int error, struct scratch *scratch) {
    struct references references;
    references_count(socket_inode(ending->fd), ending->identity.cookie, scratch, &references);
    struct event *event = ending_event(ending, OP_SHUTDOWN, verdict, result, error, scratch);
    event->state_after = state;
    references_note(&references, 0, event);
    log_emit(scratch);
}

static void report_shutdown(struct ending_call *ending, struct scratch *scratch) {
    struct standing now;
    struct remaining nobody = {0};
    struct after after = stand_after(ending, &now);
    struct verdict verdict =
        verdict_decide(ENDING_SHUTDOWN, ending->real_how, &ending->standing.before, &nobody, &after);
    if (verdict.why == WHY_LISTENING && ending->real_how == SHUT_WR)
        ending->standing.before.pending = 0; /* a listener goes on listening */
    STOP("shutdown: judged, not claimed");
    ending_gives_way(ending, &verdict);
    emit_shutdown(ending, &verdict, after.state, 0, 0, scratch);
}

/*
 * It sent nothing. ENOTCONN: a reset, or the end of both directions, came after the look and before the call. Any other
 * error says nothing of the connection, whose number it may not have been any more.
 */
static void report_refused(struct ending_call *ending, int error, struct scratch *scratch) {
    struct remaining nobody = {0};
    struct verdict verdict = {0};
    const bool is_ours = socket_cookie(ending->fd) == ending->identity.cookie;
    if (error == ENOTCONN && is_ours) {
        standing_of(ending->fd, &ending->identity, false, &ending->standing);
        verdict = verdict_predict(ENDING_SHUTDOWN, ending->real_how, &ending->standing.before, &nobody);
        verdict.verified = ending->standing.known;
    }
    if (verdict.fin == FIN_SENT || verdict.fin == FIN_QUEUED)
        verdict = (struct verdict){.fin = FIN_NONE, .why = WHY_NOT_CONNECTED};
    if (is_ours) {
        emit_shutdown(ending, &verdict, ending->standing.before.state, -1, error, scratch);
        return;
    }
    ending_event(ending, OP_SHUTDOWN, &verdict, -1, error, scratch);
    log_emit(scratch);
}

static bool fin_has_left(enum tcp_state state) {
    return state == STATE_FIN_WAIT1 || state == STATE_FIN_WAIT2 || state == STATE_CLOSING || state == STATE_LAST_ACK;
}

/*
 * Another thread has closed the number, and perhaps another connection has come to it. If that is shut down now, it was
 * what the call found there; nothing was seen of it before.
 */
static void see_whose(struct ending_call *ending) {
    struct identity there;
    struct standing now = {0};
    ending->is_gone = socket_cookie(ending->fd) != ending->identity.cookie;
    if (!ending->is_gone || !table_find(ending->fd, true, &there) ||
        !socket_stand(ending->fd, there.role, false, &now) || !fin_has_left(now.before.state))
        return;
    ending->is_gone = false;
    ending->identity = there;
    ending->standing = (struct standing){.known = true, .before = {.state = STATE_ESTABLISHED, .was_connected = true}};
}

static void fin_left(const struct ending_call *ending) {
    if (ending->real_how != SHUT_WR)
        table_mark_seen(ending->identity.cookie, SEEN_SHUT_RD);
    if (ending->real_how == SHUT_RD)
        return;
    table_mark_seen(ending->identity.cookie, SEEN_OWN_FIN);
    session_fin_left(ending->identity.cookie);
}

/* The call was not made: the FIN that was due is withheld. */
static void report_nothing(struct ending_call *ending, struct scratch *scratch) {
    struct references references;
    struct remaining ours = {.known = true, .parked = true};
    enum ending kind = ending->how == SHUT_RD ? ENDING_SHUTDOWN : ENDING_RELEASE;
    struct verdict verdict = verdict_predict(kind, ending->how, &ending->standing.before, &ours);
    verdict.verified = log_settings.verify;
    references_count(socket_inode(ending->fd), ending->identity.cookie, scratch, &references);
    struct event *event = ending_event(ending, OP_SHUTDOWN, &verdict, 0, 0, scratch);
    event->state_after = ending->standing.before.state;
    references_note(&references, 0, event);
    log_emit(scratch);
}

static void report_disconnect(struct ending_call *ending, enum event_op op, long result, int error,
                              struct scratch *scratch) {
    struct diag_answer answer = {0};
    struct remaining nobody = {0};
    if (ending->can_ask)
        diag_look_up(&ending->identity, scratch, &answer);
    struct after after = {.asked = answer.asked, .found = answer.found, .state = answer.state};
    struct verdict verdict = verdict_decide(ENDING_DISCONNECT, 0, &ending->standing.before, &nobody, &after);
    ending_gives_way(ending, &verdict);
    struct references references;
    references_count(socket_inode(ending->fd), ending->identity.cookie, scratch, &references);
    struct event *event = ending_event(ending, op, &verdict, result, error, scratch);
    references_note(&references, 0, event);
    event->state_after = after.found ? after.state : after.asked ? STATE_CLOSE : STATE_UNSET;
    log_emit(scratch);
}

static bool was_reset(const struct ending_call *ending) {
    return ending->off && fault_way(&ending->call) == WAY_RST;
}

/* as=CLOSE has told of itself by another event. */
static bool was_closed(const struct ending_call *ending) {
    return ending->off && !ending->call.rule;
}

static void report_ended(struct ending_call *ending, long result, int error) {
    OWN_SCRATCH *scratch = log_wants_of(&ending->call, TRACE_END) ? log_scratch() : NULL;
    if (!scratch)
        return;
    if (was_reset(ending))
        report_disconnect(ending, OP_SHUTDOWN, result, error, scratch);
    else if (ending->off)
        report_nothing(ending, scratch);
    else if (result == -1)
        report_refused(ending, error, scratch);
    else
        report_shutdown(ending, scratch);
}

long shutdown_exiting(struct ending_call *ending, long result, int error) {
    ending->call.done = clock_now();
    STOP("shutdown: made, not looked");
    if (result == 0 && !ending->off) {
        see_whose(ending);
        fin_left(ending);
    }
    if (!was_closed(ending))
        report_ended(ending, result, error);
    if (was_reset(ending))
        table_mark_disconnected(&ending->identity);
    if (result == 0 && fault_has(&ending->call, PART_THEN))
        shutting_then(ending->call.rule, ending->fd, &ending->call);
    return fault_result(&ending->call, result);
}

void shutting_shut(struct ending_call *ending, int fd, int how, const struct call *call) {
    if (!ending_begins(ending, fd, call))
        return;
    ending->how = ending->real_how = how;
    long result = probe(SYS_shutdown, fd, how, 0, 0, 0, 0);
    ending->call.done = clock_now();
    if (result == 0)
        fin_left(ending);
    report_ended(ending, result < 0 ? -1 : 0, (int)-result);
}

void shutting_reset(struct ending_call *ending, int fd, const struct call *call) {
    if (!ending_begins(ending, fd, call))
        return;
    can_ask(ending);
    bool reset = socket_disconnect(fd);
    ending->call.done = clock_now();
    OWN_SCRATCH *scratch = log_wants_of(&ending->call, TRACE_END) ? log_scratch() : NULL;
    if (scratch) {
        report_disconnect(ending, OP_SHUTDOWN, reset ? 0 : -1, reset ? 0 : EPERM, scratch);
    }
    if (reset)
        table_mark_disconnected(&ending->identity);
}

bool disconnect_entering(struct ending_call *ending, int fd, const struct call *call) {
    bool tcp = ending_begins(ending, fd, call);
    if (tcp)
        can_ask(ending);
    return tcp;
}

void disconnect_exiting(struct ending_call *ending, long result, int error) {
    ending->call.done = clock_now();
    OWN_SCRATCH *scratch = log_wants_of(&ending->call, TRACE_END) && result == 0 ? log_scratch() : NULL;
    if (scratch) {
        report_disconnect(ending, OP_CONNECT, result, error, scratch);
    }
    if (result == 0)
        table_mark_disconnected(&ending->identity);
}

void shutting_then(const struct rule *rule, int fd, const struct call *call) {
    struct ending_call ending;
    struct call then = {.name = call->name, .caller = call->caller, .begun = clock_now(), .rule = rule};
    if (rule->then == WAY_RST)
        shutting_reset(&ending, fd, &then);
    else
        shutting_shut(&ending, fd, rule_way_how(rule->then), &then);
}
