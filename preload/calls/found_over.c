#include "found_over.h"

#include <errno.h>

#include "output/event_socket.h"
#include "output/log.h"
#include "refs/end_claims.h"
#include "refs/fd_table.h"
#include "refs/ledger.h"
#include "refs/standing.h"
#include "kernel/process.h"

enum { DEATHS = SEEN_RESET | SEEN_TIMED_OUT | SEEN_DESTROYED, BOTH_SHUT = SEEN_OWN_FIN | SEEN_SHUT_RD };

bool error_is_of_the_end(int error) {
    return error == ECONNRESET || verdict_death(error, true) != WHY_UNSET || verdict_death(error, false) != WHY_UNSET;
}

/* A disconnect leaves ECONNRESET behind for whoever has the socket. */
static bool is_own_reset(const struct traffic *traffic, unsigned seen) {
    struct claimant winner;
    return (seen & SEEN_OWN_RST) || claims_taken(traffic->identity.cookie, CLAIM_DISCONNECT, &winner);
}

/* When both directions were shut down, our own kernel resets what the peer sends then. */
static enum event_why death_by(int error, bool was_connected, unsigned seen) {
    enum event_why death = verdict_death(error, was_connected);
    return death == WHY_PEER_RESET && (seen & BOTH_SHUT) == BOTH_SHUT ? WHY_OVER : death;
}

static unsigned mark_of(enum event_why death) {
    switch (death) {
    case WHY_PEER_RESET:
        return SEEN_RESET;
    case WHY_TIMED_OUT:
        return SEEN_TIMED_OUT;
    case WHY_DESTROYED:
        return SEEN_DESTROYED;
    default:
        return 0;
    }
}

static void tell_of_death(struct traffic *traffic, enum event_op op, long result, int error, enum event_why death) {
    OWN_SCRATCH *scratch = log_scratch();
    if (!scratch)
        return;
    struct event *event = transfer_event(traffic, op, result, error, scratch);
    event->has |= HAS_ERRNO;
    event->error = error;
    event->state_after = STATE_CLOSE;
    if (op != OP_RESET && death)
        event_set_verdict(event, &(struct verdict){.fin = FIN_NONE, .why = death, .verified = true});
    log_emit(scratch);
}

static bool was_under_way(const struct identity *identity) {
    return identity->role == ROLE_CLIENT && !address_is_unspecified(&identity->remote);
}

bool found_over(struct traffic *traffic, enum event_op op, long result, int error) {
    struct standing standing;
    if (traffic->told || !error_is_of_the_end(error) || !log_wants(TRACE_EOF | TRACE_END | TRACE_OPEN) ||
        !transfer_is_same_connection(traffic))
        return false;
    unsigned seen = table_seen(traffic->fd);
    standing_of(traffic->fd, &traffic->identity, false, &standing);
    /* One that goes on was told of a packet that could not be delivered. */
    if ((standing.known && standing.before.state != STATE_CLOSE) || is_own_reset(traffic, seen))
        return false;
    bool connected = standing.before.was_connected || error == ECONNRESET;
    bool connecting = !connected && (was_under_way(&traffic->identity) || error == ECONNREFUSED);
    enum event_why death = death_by(error, connected, seen);
    if (!death && !connecting)
        return false;
    table_mark_seen(traffic->identity.cookie, mark_of(death));
    op = connecting ? OP_CONNECT : death == WHY_PEER_RESET ? OP_RESET : op;
    if (!log_wants(op == OP_CONNECT ? TRACE_OPEN : TRACE_EOF))
        return false;
    tell_of_death(traffic, op, result, error, death);
    return true;
}

/* Nobody else can have been told the error that came before EPIPE. */
static bool is_ours_alone(uint64_t cookie) {
    struct ledger_cursor cursor = {0};
    struct ledger_reference reference;
    int self = process_id();
    while (ledger_next(cookie, &cursor, &reference))
        if (reference.pid != self)
            return false;
    return true;
}

bool found_refused(const struct traffic *traffic, enum tcp_state state) {
    unsigned seen = table_seen(traffic->fd);
    bool had_peer = !address_is_unspecified(&traffic->identity.remote);
    if (state != STATE_CLOSE || !had_peer || (seen & (DEATHS | SEEN_OWN_FIN)) || is_own_reset(traffic, seen))
        return false;
    if (!(seen & SEEN_EOF) && !is_ours_alone(traffic->identity.cookie))
        return false;
    table_mark_seen(traffic->identity.cookie, SEEN_RESET);
    return true;
}
