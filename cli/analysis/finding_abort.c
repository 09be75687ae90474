/*
 * half-close-as-abort: the peer had ended its request and was waiting for the answer, and the connection was ended with
 * nothing sent since the last byte came.
 *
 * That the peer was waiting is known from its end: in FIN_WAIT2 (or FIN_WAIT1: its FIN is here, and acknowledged in a
 * moment), with a descriptor. That an answer was due nobody can know of a server that never answers (a sink), or of a
 * request that asks for none. It is certain where a relay broke off, together with it, the connection that it had made
 * for it; else it is possible.
 */
#include "analysis/finding.h"

#include <string.h>

#include "analysis/relays.h"
#include "pure/names.h"

/* Where nothing says which way the last bytes went, only a connection that never sent any has sent none since. */
static bool nothing_sent_since(const struct event *event) {
    if (event->last == LAST_UNSET)
        return event->sent == 0 && event->unsent == 0;
    return event->last == LAST_READ;
}

static bool unanswered(const struct endpoint *endpoint, const struct event *event) {
    return event->state_before == STATE_CLOSE_WAIT && event->has & HAS_TRAFFIC && event->received > 0 &&
           event->unread == 0 && !endpoint->shut_us && nothing_sent_since(event);
}

static bool ends_it(const struct event *event) {
    const bool ends = event->op == OP_CLOSE || event->op == OP_EXIT || event->op == OP_EXEC ||
                      (event->op == OP_SHUTDOWN && event->ret == 0);
    return ends && (event->fin == FIN_SENT || event->fin == FIN_QUEUED || event->fin == FIN_RESET);
}

void abort_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    if (event->has & HAS_TRAFFIC && event->sent > 0 && endpoint->role != ROLE_CLIENT)
        store_listener(analysis, &endpoint->local)->answered = true;
    if (ends_it(event) && endpoint->role != ROLE_CLIENT && !is_injected(event) && !by_signal(event) &&
        unanswered(endpoint, event))
        store_keep(analysis, &endpoint->aborted, event);
}

/* Seen from this end: the kernel was asked before the call. */
static bool asked_and_reading(const struct event *event) {
    return event->peer_state == STATE_FIN_WAIT1 || event->peer_state == STATE_FIN_WAIT2;
}

/* Seen in the trace of the peer: it had shut down, not closed, when ours was ended. */
static bool traced_and_reading(const struct endpoint *endpoint, const struct event *event) {
    const struct endpoint *peer = endpoint->peer;
    return peer && peer->shut_us && !peer->shut_both && (!peer->gone_us || peer->gone_us > event->time_us) &&
           !peer->rst_us;
}

static void say_peer(struct analysis *analysis, struct finding *finding, const struct event *event, bool reading) {
    if (asked_and_reading(event))
        finding_say(analysis, finding, "the peer was still reading: its end was in %s and still had a file descriptor",
                    state_name(event->peer_state));
    else if (reading)
        finding_say(analysis, finding,
                    "the peer was still reading: it had shut down its sending direction, and closed only later");
    else
        finding_say(analysis, finding, "whether the peer was still reading cannot be seen from here");
}

static void say_relay(struct analysis *analysis, struct finding *finding, const struct endpoint *other) {
    char text[2][ADDRESS_TEXT_SIZE];
    address_to_text(&other->local, text[0]);
    address_to_text(&other->remote, text[1]);
    finding_say(analysis, finding, "the process also broke off %s -> %s, which it had made for this connection",
                text[0], text[1]);
}

/* Loopback, or its own address: had the peer been there, it would have been found. */
static bool is_here(const struct endpoint *endpoint) {
    const struct address *remote = &endpoint->remote;
    static const uint8_t loopback_v6[16] = {[15] = 1};
    if (memcmp(remote->ip, endpoint->local.ip, sizeof remote->ip) == 0)
        return true;
    return remote->family == ADDRESS_V4 ? remote->ip[0] == 127
                                        : memcmp(remote->ip, loopback_v6, sizeof loopback_v6) == 0;
}

static void say_end(struct analysis *analysis, struct finding *finding, const struct endpoint *endpoint,
                    const struct event *event) {
    finding_say(analysis, finding, "the client ended its request and waited for an answer, but got %s",
                event->sent + event->unsent == 0 ? "none" : "no more than it already had");
    if (endpoint->eof_us && endpoint->eof_us <= event->time_us)
        finding_say(analysis, finding,
                    "EOF was read after %llu bytes; %s ended the connection %s later, with nothing "
                    "sent since the last byte arrived",
                    (unsigned long long)event->received, words_of_call(event),
                    words_of_time(event->time_us - endpoint->eof_us));
    else
        finding_say(analysis, finding,
                    "the peer's FIN had arrived after %llu bytes; %s ended the connection, with nothing "
                    "sent since the last byte arrived",
                    (unsigned long long)event->received, words_of_call(event));
}

void abort_draw(struct analysis *analysis, struct endpoint *endpoint) {
    if (!endpoint->aborted)
        return;
    const struct event *event = &endpoint->aborted->event;
    const bool reading = asked_and_reading(event) || traced_and_reading(endpoint, event);
    const bool broke_off = relay_broke_off(endpoint, event->time_us);
    const bool others = store_listener(analysis, &endpoint->local)->answered;
    if (!reading && (endpoint->peer || is_here(endpoint)))
        return; /* it is on this host, and had closed */
    if (!reading && !broke_off && !others)
        return;
    const bool certain = reading && broke_off && endpoint->relay_sure;
    struct finding *finding =
        finding_add(analysis, FINDING_HALF_CLOSE_AS_ABORT, certain ? CERTAIN : POSSIBLE, endpoint, event);
    say_end(analysis, finding, endpoint, event);
    say_peer(analysis, finding, event, reading);
    if (broke_off)
        say_relay(analysis, finding, endpoint->relay);
    else
        finding_say(analysis, finding, "whether an answer was due cannot be seen%s",
                    others ? "; other clients got one here" : "; no other client got one here");
}
