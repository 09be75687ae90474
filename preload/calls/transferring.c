#include "transferring.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "closing.h"
#include "found_over.h"
#include "faults/epoll_sets.h"
#include "late_release.h"
#include "kernel/seccomp_guard.h"
#include "kernel/signals.h"
#include "kernel/thread.h"
#include "leaving.h"
#include "refs/standing.h"
#include "shutting_down.h"
#include "refs/fd_table.h"

static void emit(struct traffic *traffic, enum event_op op, long result, int error, enum tcp_state state,
                 enum event_sigpipe sigpipe) {
    OWN_SCRATCH *scratch = log_scratch();
    if (!scratch)
        return;
    struct event *event = transfer_event(traffic, op, result, error, scratch);
    event->state_after = state;
    event->sigpipe = sigpipe;
    if (traffic->after_fin_us) {
        event->has |= HAS_AFTER_FIN;
        event->after_fin_us = traffic->after_fin_us;
    }
    log_emit(scratch);
}

bool transfer_meets(struct traffic *traffic, enum rule_family family, size_t *count, long *result) {
    struct fault_subject subject = {.family = family,
                                    .call = &traffic->call,
                                    .fd = traffic->fd,
                                    .how = -1,
                                    .identity = &traffic->identity,
                                    .without = count ? 0 : 1U << PART_SHORT};
    if (fault_takes(&subject, result))
        return true;
    if (count && fault_has(&traffic->call, PART_SHORT) && *count > traffic->call.rule->most) {
        *count = traffic->call.rule->most;
        traffic->shortened = true;
    }
    return false;
}

/* What a rule leaves to be done when the call has come back. */
static void after_fault(struct traffic *traffic, enum event_op op, long result, int error) {
    const struct rule *rule = traffic->call.rule;
    bool only_then =
        !(rule->parts & (1U << PART_SIGNAL | 1U << PART_DELAY_ENTER | 1U << PART_DELAY_EXIT | 1U << PART_SHORT));
    if (only_then && result < 0)
        fault_failed(&traffic->call, fault_no_success);
    if (!traffic->told && (!only_then || result < 0))
        emit(traffic, op, result, error, STATE_UNSET, SIGPIPE_UNSET);
    if (traffic->shortened && result > 0)
        epoll_sets_rearm(traffic->fd);
    if (rule_has(rule, PART_THEN) && result >= 0)
        shutting_then(rule, traffic->fd, &traffic->call);
    fault_result(&traffic->call, result);
}

static enum tcp_state state_now(const struct traffic *traffic) {
    struct standing standing;
    return socket_stand(traffic->fd, traffic->identity.role, false, &standing) ? standing.before.state : STATE_UNSET;
}

/* A read returns 0 after our own SHUT_RD too: the peer's FIN shows in the state. */
static bool peer_has_ended(enum tcp_state state) {
    return state != STATE_ESTABLISHED && state != STATE_FIN_WAIT1 && state != STATE_FIN_WAIT2;
}

/*
 * EOF, or EPIPE, of a connection that is dead, though its own FIN has not left: a reset came after the peer's FIN (one
 * that came before it is told as ECONNRESET). Where our last bytes were sent after the last segment that the peer had
 * sent in order, they are what the reset answered.
 */
static void look_for_reset_behind(struct traffic *traffic) {
    struct standing standing;
    standing_of(traffic->fd, &traffic->identity, false, &standing);
    if (standing.known && standing.before.state == STATE_CLOSE && standing.before.was_connected &&
        !standing.before.fin_sent && !(table_seen(traffic->fd) & SEEN_OWN_FIN))
        traffic->after_fin_us = standing.after_last_us;
}

static void see_end(struct traffic *traffic) {
    if (!log_wants(TRACE_EOF) || (table_seen(traffic->fd) & SEEN_EOF) || !transfer_is_same_connection(traffic))
        return;
    enum tcp_state state = state_now(traffic);
    /* The end of MPTCP's stream comes before the FINs of those that carry it. */
    bool ended = peer_has_ended(state) || (traffic->identity.mptcp && !(table_seen(traffic->fd) & SEEN_SHUT_RD));
    if (!ended)
        return;
    table_mark_seen(traffic->identity.cookie, SEEN_EOF);
    if (state == STATE_CLOSE)
        look_for_reset_behind(traffic);
    emit(traffic, OP_EOF, 0, 0, state, SIGPIPE_UNSET);
}

void transfer_read(struct traffic *traffic, long result, size_t wanted) {
    transfer_has_come_back(traffic);
    int error = error_of(result);
    if (result != 0 || wanted > 0)
        table_mark_used(traffic->fd);
    if (result > 0)
        table_mark_read(traffic->fd);
    bool over = result == -1 && found_over(traffic, OP_READ, result, error);
    if (result == 0 && wanted > 0)
        see_end(traffic);
    if (log_wants(TRACE_DATA) && !(over && error != ECONNRESET))
        emit(traffic, OP_READ, result, error, STATE_UNSET, SIGPIPE_UNSET);
    if (__builtin_expect(traffic->call.rule != NULL, 0))
        after_fault(traffic, OP_READ, result, error);
    release_check(traffic->call.name, traffic->call.caller, result, false);
}

static enum event_sigpipe effect_of_sigpipe(const struct traffic *traffic) {
    if (!traffic->may_raise && !traffic->holds_sigpipe)
        return SIGPIPE_SUPPRESSED;
    enum disposition disposition = signal_disposition(SIGPIPE);
    if (disposition == DISPOSITION_IGNORED)
        return SIGPIPE_IGNORED;
    if (!traffic->holds_sigpipe && signal_is_blocked(SIGPIPE))
        return SIGPIPE_BLOCKED;
    return disposition == DISPOSITION_HANDLED ? SIGPIPE_HANDLED : SIGPIPE_FATAL;
}

static void release_sigpipe(struct traffic *traffic) {
    if (traffic->holds_sigpipe)
        signal_restore(&traffic->old_mask);
    traffic->holds_sigpipe = false;
}

/* EPIPE: told before the signal is let loose, since the process may die of it. */
static void see_refused(struct traffic *traffic, long result) {
    enum event_sigpipe effect = effect_of_sigpipe(traffic);
    if (log_wants(TRACE_EOF | TRACE_DATA | TRACE_END) && transfer_is_same_connection(traffic)) {
        enum tcp_state state = state_now(traffic);
        if (found_refused(traffic, state))
            look_for_reset_behind(traffic);
        emit(traffic, OP_WRITE, result, EPIPE, state, effect);
    }
    if (effect == SIGPIPE_FATAL)
        leaving_end("SIGPIPE", NULL, -1);
    if (!traffic->may_raise || effect == SIGPIPE_IGNORED)
        return;
    error_set(traffic->error_before);
    signal_raise_sigpipe();
}

bool transfer_blames_connection(int error) {
    return error == EPIPE || error == ECONNRESET || error == EAGAIN || error == ENOTCONN || error == ETIMEDOUT ||
           error == EHOSTUNREACH;
}

/* Where the kernel took less than it was offered, what was offered; else 0. */
static size_t left_over(long result, int error, size_t wanted) {
    if (result >= 0)
        return (size_t)result < wanted ? wanted : 0;
    return error == EAGAIN ? wanted : 0;
}

void transfer_wrote(struct traffic *traffic, long result, size_t wanted) {
    transfer_has_come_back(traffic);
    int error = error_of(result);
    /* To flush nothing is no touch, nor is a write of nothing. */
    bool touches = result != 0 || (traffic->by_stream && traffic->moves);
    if (touches)
        table_mark_used(traffic->fd);
    traffic->asked = left_over(result, error, wanted);
    table_mark_last(traffic->fd, result > 0 ? LAST_WRITE : LAST_UNSET, traffic->asked);
    bool refused = result == -1 && error == EPIPE;
    bool over = result == -1 && !refused && found_over(traffic, OP_WRITE, result, error);
    if (refused)
        see_refused(traffic, result);
    if (!refused && log_wants(TRACE_DATA) && (touches || !traffic->by_stream) && !(over && error != ECONNRESET))
        emit(traffic, OP_WRITE, result, error, STATE_UNSET, SIGPIPE_UNSET);
    if (__builtin_expect(traffic->call.rule != NULL, 0))
        after_fault(traffic, OP_WRITE, result, error);
    release_sigpipe(traffic);
    release_check(traffic->call.name, traffic->call.caller, result, false);
    if (error)
        error_set(error); /* a handler of SIGPIPE may have changed it, which would have run before libc set it */
}

void transfer_took_error(struct traffic *traffic, long result, int error) {
    if (found_over(traffic, OP_READ, result, error))
        table_mark_used(traffic->fd);
}

/* A write would be refused: its own FIN has left, or the connection is dead. */
static bool refuses_writes(enum tcp_state state) {
    return state != STATE_UNSET && state != STATE_ESTABLISHED && state != STATE_CLOSE_WAIT && state != STATE_SYN_SENT &&
           state != STATE_SYN_RECV;
}

void transfer_hold_sigpipe(struct traffic *traffic) {
    if (signal_disposition(SIGPIPE) == DISPOSITION_DEFAULT && !signal_is_blocked(SIGPIPE) &&
        refuses_writes(state_now(traffic)))
        traffic->holds_sigpipe = signal_block(SIGPIPE, &traffic->old_mask);
}

void transfer_wrote_part(struct traffic *traffic, long result) {
    if (traffic->may_raise && refuses_writes(state_now(traffic)))
        see_refused(traffic, -1);
    transfer_wrote(traffic, result, TRANSFER_UNKNOWN);
}
