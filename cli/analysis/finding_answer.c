/*
 * What an answer loses though the close was orderly.
 *
 * answer-cut: data, or the FIN, were still on their way, and then the connection was reset, mostly since the peer sent
 * another byte. The command says so of an orphan (a release); or both ends are in the trace, and the peer got less.
 * short-write: the last write took fewer bytes than it was offered, and the rest was never offered again.
 */
#include "analysis/finding.h"

/* One that waited so long for room has given up a peer that does not read. */
static const uint64_t patient_us = 5 * 1000000ULL;

static unsigned long long number(uint64_t value) {
    return value;
}

static bool ends_in_order(const struct event *event) {
    const bool ends = event->op == OP_CLOSE || event->op == OP_EXIT || event->op == OP_EXEC || event->op == OP_SHUTDOWN;
    return ends && (event->fin == FIN_SENT || event->fin == FIN_QUEUED) && !is_injected(event) && !by_signal(event);
}

void answer_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    if (event->op == OP_RELEASE && event->fin == FIN_RESET && event->why == WHY_AFTER_CLOSE && event->lost > 0 &&
        !endpoint->cut)
        store_keep(analysis, &endpoint->cut, event);
    if (ends_in_order(event) && event->has & HAS_ASKED && event->state_before == STATE_ESTABLISHED &&
        !endpoint->short_write)
        store_keep(analysis, &endpoint->short_write, event);
}

/* What the peer, whose own trace says that it was reset, had not got by then. */
static uint64_t missing_at_peer(const struct endpoint *endpoint) {
    const struct endpoint *peer = endpoint->peer;
    if (!peer || !peer->reset_us || !peer->has_traffic || !endpoint->has_traffic || endpoint->rst_us)
        return 0;
    if (!endpoint->fin_us || !endpoint->gone_us || peer->reset_us < endpoint->gone_us)
        return 0;
    return endpoint->written > peer->received ? endpoint->written - peer->received : 0;
}

static void draw_cut(struct analysis *analysis, const struct endpoint *endpoint) {
    const struct event *cut = endpoint->cut ? &endpoint->cut->event : NULL;
    const uint64_t missing = missing_at_peer(endpoint), lost = missing ? missing : cut ? cut->lost : 0;
    const struct event here = event_of_end(endpoint);
    if (lost == 0 || endpoint->injected || (endpoint->peer && endpoint->peer->injected))
        return;
    const enum certainty certainty = missing || cut->verified ? CERTAIN : POSSIBLE;
    struct finding *finding = finding_add(analysis, FINDING_ANSWER_CUT, certainty, endpoint, cut ? cut : &here);
    finding_say(analysis, finding, "the peer lost the last %llu bytes of what it was sent", number(lost));
    finding_say(analysis, finding,
                "%d %.*s closed in order while bytes were still on their way; then the connection was reset, because "
                "the peer had sent something to a socket that nobody reads any more",
                endpoint->end_pid, COMM_SIZE, endpoint->end_comm);
    if (certainty == POSSIBLE)
        finding_say(analysis, finding, "whether the reset was the peer's own cannot be seen");
    if (missing)
        finding_say(analysis, finding, "it had written %llu bytes; %llu had arrived when the peer saw the reset",
                    number(endpoint->written), number(endpoint->peer->received));
}

static void draw_short(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    const bool patient = event->has & HAS_IDLE && event->idle_us >= patient_us;
    const enum certainty certainty = patient ? NOTE : endpoint->role == ROLE_CLIENT ? POSSIBLE : CERTAIN;
    if (endpoint->injected || endpoint->reset_us)
        return;
    struct finding *finding = finding_add(analysis, FINDING_SHORT_WRITE, certainty, endpoint, event);
    finding_say(analysis, finding,
                "the peer got only part of what was meant for it: the connection was ended in the middle");
    finding_say(analysis, finding,
                "the kernel took only part of the last write of %llu bytes; the rest was not written again before %s "
                "ended the connection",
                number(event->asked), words_of_call(event));
    if (patient)
        finding_say(analysis, finding, "it had waited %s for room", words_of_time(event->idle_us));
    else if (certainty == POSSIBLE)
        finding_say(analysis, finding, "whether the client gave up on purpose cannot be seen");
}

void answer_draw(struct analysis *analysis, struct endpoint *endpoint) {
    draw_cut(analysis, endpoint);
    if (endpoint->short_write)
        draw_short(analysis, endpoint, &endpoint->short_write->event);
}
