/*
 * half-close-as-abort: EOF was read after a request, and the connection was closed without a byte in answer though
 * the peer was still reading.
 *
 * That the peer was reading is known from its end: in FIN_WAIT2 (or FIN_WAIT1: its FIN is here, and acknowledged in a
 * moment), and a descriptor refers to it. That an answer was due
 * nobody can know of a server that never answers (a sink). It is certain where the same listener answered others, or
 * where the process broke off a connection of its own for it (a proxy); else it is possible.
 */
#include "analysis/finding.h"

#include <string.h>

#include "pure/names.h"

static const uint64_t together_us = 1000000;

static bool unanswered(const struct endpoint *endpoint, const struct event *event) {
    return endpoint->eof_us && event->state_before == STATE_CLOSE_WAIT && event->has & HAS_TRAFFIC &&
           event->sent == 0 && event->unsent == 0 && event->received > 0 && !endpoint->shut_us;
}

/* A connection of the process's own, made while the other was there, and ended before its peer had. */
static bool breaks_off(const struct endpoint *endpoint, const struct event *event) {
    return endpoint->role == ROLE_CLIENT && !endpoint->eof_us && !endpoint->reset_us && event->op == OP_CLOSE &&
           event->state_before == STATE_ESTABLISHED && event->has & HAS_TRAFFIC && event->sent > 0;
}

static bool made_for(const struct endpoint *own, const struct endpoint *aborted) {
    const uint64_t ended = aborted->aborted->event.time_us;
    return own->first_us >= aborted->first_us && own->first_us <= ended;
}

static void look_at_proxy(struct process *process, struct endpoint *endpoint, const struct event *event) {
    if (breaks_off(endpoint, event)) {
        process->broke_off = endpoint;
        struct endpoint *aborted = process->aborted;
        if (aborted && event->time_us <= aborted->aborted->event.time_us + together_us && made_for(endpoint, aborted))
            aborted->broke_off = true;
    }
    const struct endpoint *own = process->broke_off;
    if (!endpoint->aborted)
        return;
    process->aborted = endpoint;
    if (own && event->time_us <= own->last_us + together_us && made_for(own, endpoint))
        endpoint->broke_off = true;
}

void abort_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    const bool gives_up = event->op == OP_CLOSE && (event->fin == FIN_SENT || event->fin == FIN_RESET);
    const bool shuts = event->op == OP_SHUTDOWN && event->fin == FIN_SENT;
    if (event->has & HAS_TRAFFIC && event->sent > 0 && endpoint->role != ROLE_CLIENT)
        store_listener(analysis, &endpoint->local)->answered = true;
    if (!gives_up && !shuts)
        return;
    if (endpoint->role != ROLE_CLIENT && !is_injected(event) && unanswered(endpoint, event))
        store_keep(analysis, &endpoint->aborted, event);
    look_at_proxy(store_process(analysis, event->pid, true), endpoint, event);
}

/* Its end had shut down, not closed, when ours was closed. */
static bool peer_was_reading(const struct endpoint *endpoint, const struct event *event) {
    const struct endpoint *peer = endpoint->peer;
    if (event->peer_state == STATE_FIN_WAIT1 || event->peer_state == STATE_FIN_WAIT2)
        return true;
    return peer && peer->shut_us && !peer->shut_both && (!peer->gone_us || peer->gone_us > event->time_us) &&
           !peer->rst_us;
}

static void say_peer(struct analysis *analysis, struct finding *finding, const struct event *event, bool reading) {
    if (!reading)
        finding_say(analysis, finding, "whether the peer was still reading cannot be seen from here");
    else
        finding_say(analysis, finding, "the peer was still reading: its end was in %s, with a descriptor",
                    state_name(event->peer_state ? event->peer_state : STATE_FIN_WAIT2));
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

void abort_draw(struct analysis *analysis, struct endpoint *endpoint) {
    if (!endpoint->aborted)
        return;
    const struct event *event = &endpoint->aborted->event;
    const bool reading = peer_was_reading(endpoint, event);
    const bool here = reading || endpoint->peer || is_here(endpoint);
    const bool due = endpoint->broke_off || store_listener(analysis, &endpoint->local)->answered;
    if (!due && !reading)
        return;
    if (here && !reading)
        return; /* it is on this host, and had closed */
    struct finding *finding =
        finding_add(analysis, FINDING_HALF_CLOSE_AS_ABORT, due && reading ? CERTAIN : POSSIBLE, endpoint, event);
    finding_say(analysis, finding, "EOF was read after %llu bytes; %s %s later ended it without a byte in answer",
                (unsigned long long)event->received, words_of_call(event),
                words_of_time(event->time_us > endpoint->eof_us ? event->time_us - endpoint->eof_us : 0));
    say_peer(analysis, finding, event, reading);
    if (!due)
        finding_say(analysis, finding, "whether an answer was due cannot be seen: nobody else got one here");
}
