#include "late_release.h"

#include <errno.h>
#include <string.h>

#include "kernel/process.h"
#include "kernel/sock_diag.h"
#include "kernel/thread.h"
#include "output/event_socket.h"
#include "output/log.h"
#include "refs/blocked_threads.h"
#include "refs/end_claims.h"
#include "refs/references.h"

/* result: of the call that has come back; over: it said that the connection was. */
static struct verdict judge(const struct pending_release *pending, const struct diag_answer *answer, long result,
                            bool over, struct scratch *scratch) {
    struct diag_answer peer = {0};
    struct claimant own;
    struct returned returned = {.result = result, .over = over, .shared = pending->shared};
    if (!answer->found)
        diag_look_up_peer(&pending->identity, scratch, &peer);
    if (result < 0)
        returned.death = verdict_death(error_of(result), true);
    if (returned.death && claims_taken(pending->identity.cookie, CLAIM_DISCONNECT, &own))
        returned.death = WHY_OVER; /* by a reset of this end's */
    const struct after after = {.asked = answer->asked,
                                .found = answer->found,
                                .state = answer->state,
                                .fin_unsent = answer->fin_unsent,
                                .peer_known = peer.found,
                                .peer_state = peer.state};
    return verdict_returned(&pending->before, &after, &returned);
}

/*
 * Of several threads that were inside calls on it, all may find it gone, and who closed it at the same moment may have
 * said already that he ended it.
 */
static bool is_told(const struct pending_release *pending, const struct verdict *verdict) {
    struct claimant claimant = {.pid = process_id(), .fd = pending->fd}, teller = claimant;
    if (!claims_take(pending->identity.cookie, CLAIM_RELEASE, &teller))
        return true;
    return verdict_claims_end(verdict) &&
           claims_take_end(pending->identity.cookie, verdict->why == WHY_LAST_REFERENCE, &claimant) != END_IS_OURS;
}

/*
 * Whether somebody else has it still, and will tell. A connection that is over is not found any more, or as TIME_WAIT,
 * though it is held; perhaps: by a copy of which it is not certain that it is still under way.
 */
static bool is_held(const struct pending_release *pending, const struct diag_answer *answer, struct scratch *scratch,
                    bool *perhaps) {
    struct references references;
    *perhaps = false;
    if (answer->found && answer->state != STATE_TIME_WAIT)
        return answer->inode != 0;
    references_count(pending->inode, pending->identity.cookie, scratch, &references);
    *perhaps = references_total(&references) > 0;
    return references.row.descriptors > references.row.believed || (references.in_flight && !references.partial);
}

static void emit_release(const struct pending_release *pending, enum event_op op, const struct call *call,
                         const struct verdict *verdict, enum tcp_state state, struct scratch *scratch) {
    struct event *event = log_event(scratch, op, call);
    event_set_socket(event, pending->fd, &pending->identity);
    event->has |= HAS_REFS_BEFORE | HAS_REFS_AFTER;
    event->state_after = state;
    event_set_verdict(event, verdict);
    log_emit(scratch);
}

/* An end of the stream may be a reset of which another thread was told: whoever comes back last tells, or is told. */
static bool is_anothers_to_tell(const struct pending_release *pending) {
    return pending->shared && release_is_owed(pending->identity.cookie);
}

static void report_release(const struct pending_release *pending, const struct call *call, long result, bool dead) {
    struct diag_answer answer;
    OWN_SCRATCH *scratch = log_scratch();
    if (!scratch)
        return;
    diag_look_up(&pending->identity, scratch, &answer);
    if (result == 0 && !answer.found && is_anothers_to_tell(pending))
        return;
    bool perhaps;
    if (answer.asked && !is_held(pending, &answer, scratch, &perhaps)) {
        struct verdict verdict = judge(pending, &answer, result, dead, scratch);
        verdict.verified = verdict.verified && !perhaps;
        if (!is_told(pending, &verdict))
            emit_release(pending, OP_RELEASE, call, &verdict, answer.found ? answer.state : STATE_CLOSE, scratch);
    }
}

/* How it stands now, where its last reference is the call of a thread that will not return. */
static struct before stands_now(const struct pending_release *pending, const struct diag_answer *answer) {
    struct before before = pending->before;
    if (!answer->found)
        return before;
    bool has_fin =
        answer->state == STATE_CLOSE_WAIT || answer->state == STATE_LAST_ACK || answer->state == STATE_CLOSING;
    before.state = answer->state;
    before.unread = answer->receive_queue > has_fin ? answer->receive_queue - has_fin : 0;
    before.fin_unsent = answer->fin_unsent;
    return before;
}

/*
 * The process ends, and with it a call of another of its threads: what comes of that is foreseen. Or the thread has
 * gone without having told.
 */
static void foresee_release(const struct pending_release *pending, enum event_op op, const struct call *call) {
    struct diag_answer answer;
    struct references references;
    struct remaining nobody = {.known = true};
    OWN_SCRATCH *scratch = log_scratch();
    if (!scratch)
        return;
    diag_look_up(&pending->identity, scratch, &answer);
    references_count(pending->inode, pending->identity.cookie, scratch, &references);
    references_look_at_calls(pending->identity.cookie, true, scratch, &references);
    struct before before = stands_now(pending, &answer);
    struct verdict verdict = answer.asked && !answer.inode ? judge(pending, &answer, 0, false, scratch)
                                                           : verdict_predict(ENDING_RELEASE, 0, &before, &nobody);
    if (!references_total(&references) && !references.calls && !is_told(pending, &verdict))
        emit_release(pending, op, call, &verdict, answer.inode ? STATE_UNSET : answer.state, scratch);
}

void release_threads(const struct call *call, bool exec) {
    struct pending_release pending;
    for (unsigned at = 0; release_next_of(process_id(), process_thread_id(), &at, &pending, !exec);)
        foresee_release(&pending, exec ? OP_EXEC : OP_RELEASE, call);
}

static void forget_own_claim(uint64_t cookie, enum claim claim) {
    struct claimant whose;
    if (claims_taken(cookie, claim, &whose) && whose.pid == process_id() && !whose.shut)
        claims_forget(cookie, claim, &whose);
}

void release_take_back(uint64_t cookie) {
    forget_own_claim(cookie, CLAIM_END);
    forget_own_claim(cookie, CLAIM_RELEASE);
    forget_own_claim(cookie, CLAIM_FIN);
}

void release_threads_stay(const struct call *call, int error) {
    struct pending_release pending;
    for (unsigned at = 0; release_next_of(process_id(), process_thread_id(), &at, &pending, false);) {
        OWN_SCRATCH *scratch = log_scratch();
        release_take_back(pending.identity.cookie);
        if (!scratch)
            return;
        struct event *event = log_event(scratch, OP_EXEC, call);
        event_set_socket(event, pending.fd, &pending.identity);
        event_set_result(event, -1, error);
        log_emit(scratch);
    }
}

/* Of one that is over, and so not found, it is not known whether it is held. */
static bool has_let_go(const struct diag_answer *answer, const struct holder *holder, struct scratch *scratch) {
    if (!answer->asked || answer->inode)
        return false;
    return answer->found || blocked_thread_has_returned(holder->pid, holder->tid, scratch);
}

void release_catch_up(const struct identity *identity, const struct holder *holder, const struct call *call) {
    struct diag_answer answer = {0};
    struct pending_release pending;
    OWN_SCRATCH *scratch = scratch_take();
    if (scratch)
        diag_look_up(identity, scratch, &answer);
    if (!scratch || !has_let_go(&answer, holder, scratch))
        return;
    for (unsigned at = 0; release_settle(holder->tid, &at, &pending);)
        report_release(&pending, call, 0, false);
}

void release_happened(const char *call, const void *caller, long result, bool dead) {
    int tid = process_thread_id();
    struct pending_release pending;
    for (unsigned at = 0; release_settle(tid, &at, &pending);) {
        struct call done = call_entering(call, caller);
        report_release(&pending, &done, result, dead);
    }
}
