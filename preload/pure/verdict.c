#include "verdict.h"

#include <errno.h>

/* <sys/socket.h>'s numbers, which are the kernel's */
enum { HOW_RD = 0, HOW_WR = 1, HOW_RDWR = 2 };

/* Where a connection stands, as far as its ending is concerned. */
enum phase {
    PHASE_UNCONNECTED, /* never was, or in its handshake: no FIN can leave */
    PHASE_LISTENING,
    PHASE_OPEN,     /* its sending direction is open: a FIN is due */
    PHASE_FIN_SENT, /* its FIN has left, the socket is there still */
    PHASE_OVER,     /* it was connected, and both directions are ended in good order */
    PHASE_DEAD,     /* it was connected, and was reset, or given up */
};

static enum phase phase_of(const struct before *before) {
    switch (before->state) {
    case STATE_LISTEN:
        return PHASE_LISTENING;
    case STATE_FIN_WAIT1:
    case STATE_FIN_WAIT2:
    case STATE_CLOSING:
    case STATE_LAST_ACK:
    case STATE_TIME_WAIT:
        return PHASE_FIN_SENT;
    case STATE_CLOSE:
        if (before->fin_sent)
            return PHASE_OVER;
        return before->was_connected ? PHASE_DEAD : PHASE_UNCONNECTED;
    case STATE_SYN_SENT:
        return PHASE_UNCONNECTED;
    case STATE_UNSET: /* the kernel could not be asked: what was seen has to do */
        return before->fin_sent ? PHASE_OVER : PHASE_OPEN;
    default:
        return PHASE_OPEN;
    }
}

static struct verdict say(enum event_fin fin, enum event_why why) {
    return (struct verdict){.fin = fin, .why = why};
}

static bool has_reference(const struct remaining *remaining) {
    return remaining->known &&
           (remaining->descriptors || remaining->in_flight || remaining->call_in_progress || remaining->parked);
}

static enum event_why why_withheld(const struct remaining *remaining) {
    if (remaining->parked)
        return WHY_PARKED;
    if (remaining->descriptors)
        return WHY_REFERENCES;
    if (remaining->call_in_progress)
        return WHY_CALL_IN_PROGRESS;
    if (remaining->in_flight)
        return WHY_IN_FLIGHT;
    /* Nobody was found; where not everybody could be looked at, it is a descriptor of theirs, most likely. */
    return remaining->partial || !remaining->known ? WHY_REFERENCES : WHY_HIDDEN;
}

/* It was shut down before: nothing more to send, but the FIN may wait still. */
static struct verdict after_shutdown(bool fin_unsent) {
    return say(fin_unsent ? FIN_QUEUED : FIN_ALREADY, WHY_AFTER_SHUTDOWN);
}

/* What tcp_disconnect() does to a connection whose FIN may have left: tcp_need_reset() in net/ipv4/tcp.c. */
static bool disconnect_resets(enum tcp_state state) {
    return state != STATE_CLOSING && state != STATE_LAST_ACK && state != STATE_TIME_WAIT;
}

/* The order is __tcp_close()'s: repair, unread data, linger, FIN. */
static struct verdict last_reference_gone(const struct before *before, enum phase phase) {
    if (before->repair)
        return say(FIN_NONE, WHY_DISCONNECT);
    if (before->unread)
        return say(FIN_RESET, WHY_UNREAD_DATA);
    if (before->linger_zero && disconnect_resets(before->state))
        return say(FIN_RESET, WHY_LINGER_ZERO);
    if (before->linger2_negative && before->state != STATE_CLOSE_WAIT && disconnect_resets(before->state))
        return say(FIN_RESET, WHY_LINGER2);
    return phase == PHASE_OPEN ? say(FIN_SENT, WHY_LAST_REFERENCE) : after_shutdown(before->fin_unsent);
}

/* What has no sending direction to end. */
static struct verdict nothing_to_end(enum phase phase, const struct before *before) {
    switch (phase) {
    case PHASE_LISTENING:
        return say(FIN_NONE, WHY_LISTENING);
    case PHASE_OVER:
        return say(FIN_ALREADY, WHY_AFTER_SHUTDOWN);
    case PHASE_DEAD:
        return say(FIN_NONE, before->death ? before->death : WHY_OVER);
    default:
        return say(FIN_NONE, before->death ? before->death : WHY_NOT_CONNECTED);
    }
}

static bool is_open_or_fin_sent(enum phase phase) {
    return phase == PHASE_OPEN || phase == PHASE_FIN_SENT;
}

static struct verdict predict_release(const struct before *before, const struct remaining *remaining, bool referenced) {
    enum phase phase = phase_of(before);
    if (!is_open_or_fin_sent(phase))
        return nothing_to_end(phase, before);
    if (!referenced)
        return last_reference_gone(before, phase);
    return phase == PHASE_OPEN ? say(FIN_WITHHELD, why_withheld(remaining)) : after_shutdown(before->fin_unsent);
}

static struct verdict predict_shutdown(int how, const struct before *before) {
    enum phase phase = phase_of(before);
    if (!is_open_or_fin_sent(phase))
        return nothing_to_end(phase, before);
    if (how == HOW_RD)
        return say(FIN_NONE, WHY_RECEIVE_SIDE);
    return phase == PHASE_OPEN ? say(FIN_SENT, WHY_SHUTDOWN) : after_shutdown(before->fin_unsent);
}

static struct verdict predict_disconnect(const struct before *before) {
    enum phase phase = phase_of(before);
    if (!is_open_or_fin_sent(phase))
        return nothing_to_end(phase, before);
    if (before->repair)
        return say(FIN_NONE, WHY_DISCONNECT);
    return disconnect_resets(before->state) ? say(FIN_RESET, WHY_DISCONNECT) : say(FIN_ALREADY, WHY_AFTER_SHUTDOWN);
}

/* Nobody will look: whether the FIN leaves at once is foreseen as well. */
static struct verdict foresee_queue(struct verdict predicted, const struct before *before) {
    if (predicted.fin == FIN_SENT && before->fin_would_wait)
        predicted.fin = FIN_QUEUED;
    return predicted;
}

struct verdict verdict_predict(enum ending ending, int how, const struct before *before,
                               const struct remaining *remaining) {
    switch (ending) {
    case ENDING_SHUTDOWN:
        return foresee_queue(predict_shutdown(how, before), before);
    case ENDING_DISCONNECT:
        return predict_disconnect(before);
    default:
        return foresee_queue(predict_release(before, remaining, has_reference(remaining)), before);
    }
}

/* A time-out is told by the last ICMP error that came meanwhile, if there was one: tcp_write_err(). */
enum event_why verdict_death(int error, bool connected) {
    switch (error) {
    case ECONNRESET:
    case EPIPE: /* an RST in CLOSE_WAIT: tcp_reset() */
        return connected ? WHY_PEER_RESET : WHY_UNSET;
    case ECONNABORTED:
        return WHY_DESTROYED;
    case ECONNREFUSED:
        return connected ? WHY_TIMED_OUT : WHY_REFUSED;
    case ETIMEDOUT:
        return WHY_TIMED_OUT;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENONET:
        return connected ? WHY_TIMED_OUT : WHY_UNSET;
    default:
        return WHY_UNSET;
    }
}

bool verdict_connect_goes_on(int error) {
    return error == EINPROGRESS || error == EINTR || error == EALREADY;
}

bool verdict_proves_fin(enum tcp_state state) {
    return state == STATE_FIN_WAIT1 || state == STATE_FIN_WAIT2 || state == STATE_CLOSING || state == STATE_LAST_ACK ||
           state == STATE_TIME_WAIT;
}

static struct verdict confirmed(struct verdict verdict) {
    verdict.verified = true;
    return verdict;
}

static struct verdict corrected(enum event_fin fin, enum event_why why) {
    return (struct verdict){.fin = fin, .why = why, .verified = true, .contradicted = true};
}

/* A FIN was due or had left, the last reference is gone, and the kernel still knows the connection. */
static struct verdict judge_found(struct verdict predicted, const struct before *before, const struct after *after,
                                  enum event_why why_sent) {
    if (!verdict_proves_fin(after->state))
        return predicted;
    if (predicted.fin == FIN_RESET && predicted.why == WHY_LINGER2)
        return predicted; /* its RST leaves when the peer's acknowledgement of the FIN arrives */
    struct verdict seen = phase_of(before) == PHASE_FIN_SENT ? after_shutdown(after->fin_unsent)
                                                             : say(after->fin_unsent ? FIN_QUEUED : FIN_SENT, why_sent);
    seen.contradicted = predicted.fin == FIN_RESET || predicted.fin == FIN_NONE;
    return confirmed(seen);
}

/*
 * Not found: over, in good order or by an RST. It agrees with a reset and with a FIN whose handshake is over; a FIN
 * from ESTABLISHED should have left something behind, unless the peer was quick: its own end then tells.
 */
static struct verdict judge_not_found(struct verdict predicted, const struct before *before,
                                      const struct after *after) {
    bool expected_traces =
        predicted.fin == FIN_SENT && (before->state == STATE_ESTABLISHED || before->state == STATE_SYN_RECV);
    if (!expected_traces || (after->peer_known && verdict_proves_fin(after->peer_state)) ||
        (after->peer_known && after->peer_state == STATE_CLOSE_WAIT))
        return confirmed(predicted);
    return predicted;
}

static struct verdict decide_release(const struct before *before, const struct remaining *remaining,
                                     const struct after *after) {
    /* One that is over while it is held is not found any more, or as TIME_WAIT. */
    bool over = !after->found || after->state == STATE_TIME_WAIT;
    bool attached = (after->found && after->attached) || (over && remaining->known && remaining->seen);
    struct verdict first = predict_release(before, remaining, has_reference(remaining));
    if (!is_open_or_fin_sent(phase_of(before))) {
        if (phase_of(before) == PHASE_DEAD && after->found && verdict_proves_fin(after->state))
            return corrected(FIN_ALREADY, WHY_AFTER_SHUTDOWN); /* somebody else's shutdown, and now TIME_WAIT */
        return confirmed(first);
    }
    if (attached) {
        struct verdict held = confirmed(predict_release(before, remaining, true));
        held.contradicted = !has_reference(remaining);
        return held;
    }
    struct verdict gone = predict_release(before, remaining, false);
    struct verdict judged =
        after->found ? judge_found(gone, before, after, WHY_LAST_REFERENCE) : judge_not_found(gone, before, after);
    judged.contradicted = judged.contradicted || first.fin != gone.fin;
    return judged;
}

static struct verdict decide_shutdown(int how, const struct before *before, const struct after *after) {
    struct verdict predicted = predict_shutdown(how, before);
    if (predicted.fin != FIN_SENT)
        return confirmed(predicted);
    if (verdict_proves_fin(after->state))
        return confirmed(say(after->fin_unsent ? FIN_QUEUED : FIN_SENT, WHY_SHUTDOWN));
    /* LAST_ACK is over in a round trip. */
    if (before->state == STATE_CLOSE_WAIT && after->state == STATE_CLOSE)
        return confirmed(predicted);
    return predicted;
}

struct verdict verdict_decide(enum ending ending, int how, const struct before *before,
                              const struct remaining *remaining, const struct after *after) {
    if (!after->asked)
        return verdict_predict(ending, how, before, remaining);
    switch (ending) {
    case ENDING_SHUTDOWN:
        return decide_shutdown(how, before, after);
    case ENDING_DISCONNECT: {
        struct verdict predicted = predict_disconnect(before);
        return after->found && !verdict_proves_fin(after->state) ? predicted : confirmed(predicted);
    }
    default:
        return decide_release(before, remaining, after);
    }
}

/* It was over when the call came back, or the call has ended it: how, where the call itself does not say so. */
static struct verdict judge_returned(const struct before *before, const struct after *after,
                                     const struct returned *returned, struct verdict orderly) {
    if (after->peer_known)
        return confirmed(orderly);
    if (before->linger_zero)
        return (struct verdict){.fin = FIN_RESET, .why = WHY_LINGER_ZERO, .verified = returned->result == 0};
    if (before->linger2_negative && before->state != STATE_CLOSE_WAIT && returned->result <= 0)
        return say(FIN_RESET, WHY_LINGER2);
    /* Not found after something came in is an RST, most likely, and what for is not proved. */
    if (returned->result > 0)
        return say(FIN_RESET, WHY_UNREAD_DATA);
    orderly.verified = returned->result == 0 && !returned->shared;
    return orderly;
}

struct verdict verdict_returned(const struct before *before, const struct after *after,
                                const struct returned *returned) {
    bool had_left = phase_of(before) == PHASE_FIN_SENT;
    struct verdict orderly = had_left ? after_shutdown(after->fin_unsent)
                                      : say(after->fin_unsent ? FIN_QUEUED : FIN_SENT, WHY_LAST_REFERENCE);
    if (before->state == STATE_LISTEN)
        return confirmed(say(FIN_NONE, WHY_LISTENING));
    if (after->found && before->linger2_negative && after->state == STATE_FIN_WAIT1)
        return say(FIN_RESET, WHY_LINGER2); /* when the peer's acknowledgement of the FIN arrives */
    if (after->found)
        return confirmed(orderly);
    if (returned->death || returned->over)
        return confirmed(say(FIN_NONE, returned->death ? returned->death : WHY_OVER));
    return judge_returned(before, after, returned, orderly);
}

/* It is in no table any more: as after a close(); where nobody had looked, by what the kernel told. */
static struct verdict judge_killed(const struct killed *killed, const struct after *after) {
    const struct remaining nobody = {.known = true};
    if (killed->before)
        return decide_release(killed->before, &nobody, after);
    if (killed->has_unread)
        return confirmed(say(FIN_RESET, WHY_UNREAD_DATA));
    return killed->fin_acknowledged ? confirmed(say(FIN_SENT, WHY_LAST_REFERENCE)) : say(FIN_UNSET, WHY_UNSET);
}

struct verdict verdict_killed(const struct killed *killed, const struct after *after) {
    struct verdict verdict;
    if (!after->found)
        verdict = judge_killed(killed, after);
    else if (killed->held)
        verdict = after->state == STATE_LISTEN ? say(FIN_NONE, WHY_LISTENING) : say(FIN_WITHHELD, WHY_REFERENCES);
    else
        verdict = say(after->fin_unsent ? FIN_QUEUED : FIN_SENT, WHY_LAST_REFERENCE);
    if (after->found)
        verdict.verified = killed->held || !after->attached;
    if (!killed->fin_left || (after->found && killed->held) || verdict.fin == FIN_UNSET || verdict.fin == FIN_RESET)
        return verdict;
    return (struct verdict){
        .fin = FIN_ALREADY, .why = WHY_AFTER_SHUTDOWN, .verified = !after->found || !after->attached};
}

bool verdict_claims_end(const struct verdict *verdict) {
    return verdict->fin == FIN_RESET || verdict->why == WHY_LAST_REFERENCE;
}

/* For all but the first it was held by that one when they let go, which nobody can prove. */
struct verdict verdict_give_way(struct verdict verdict, enum end_is whose) {
    if (whose == END_IS_ANOTHERS && verdict.why != WHY_LISTENING)
        return say(FIN_WITHHELD, WHY_REFERENCES);
    if (whose == END_WAS_SHUT) {
        verdict.fin = verdict.fin == FIN_QUEUED ? FIN_QUEUED : FIN_ALREADY;
        verdict.why = WHY_AFTER_SHUTDOWN;
    }
    if (whose == END_WAS_DISCONNECTED) {
        verdict.fin = FIN_NONE;
        verdict.why = WHY_NOT_CONNECTED;
    }
    return verdict;
}
