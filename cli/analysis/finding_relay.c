/*
 * upload-cut: a relay read the end of one side, took it for the end of both, and ended the other side while the peer
 * there was still sending: that peer gets an RST.
 */
#include "analysis/finding.h"
#include "analysis/relays.h"

static const uint64_t moment_us = 1000000;

static uint64_t ended_at(const struct endpoint *endpoint) {
    return endpoint->rst_us ? endpoint->rst_us : endpoint->gone_us;
}

static bool peer_had_ended(enum tcp_state state) {
    return state != STATE_ESTABLISHED && state != STATE_FIN_WAIT1 && state != STATE_FIN_WAIT2;
}

/* Its peer had not ended, and was stopped by a reset: ours left for its bytes, or it felt one after our end. */
static bool was_sending(const struct endpoint *endpoint, uint64_t ended_us) {
    const struct endpoint *peer = endpoint->peer;
    if (endpoint->eof_us || endpoint->reset_us)
        return false;
    if (endpoint->reset && endpoint->reset->event.why == WHY_UNREAD_DATA)
        return !peer_had_ended(endpoint->reset->event.state_before);
    if (endpoint->cut)
        return true;
    return peer && ((peer->reset_us && peer->reset_us >= ended_us) ||
                    (peer->refused && peer->refused->event.time_us >= ended_us));
}

bool upload_is_cut(const struct endpoint *endpoint) {
    const struct endpoint *other = endpoint->relay;
    const uint64_t ended = ended_at(endpoint);
    return other && other->eof_us && ended && ended >= other->eof_us && ended - other->eof_us <= moment_us &&
           !endpoint->injected && !other->injected && relay_passes_on(endpoint) && was_sending(endpoint, ended);
}

void relay_draw(struct analysis *analysis, struct endpoint *endpoint) {
    char text[2][ADDRESS_TEXT_SIZE];
    if (!upload_is_cut(endpoint))
        return;
    const struct endpoint *other = endpoint->relay;
    const struct event here = event_of_end(endpoint);
    const struct event *event = endpoint->reset ? &endpoint->reset->event : &here;
    struct finding *finding =
        finding_add(analysis, FINDING_UPLOAD_CUT, endpoint->relay_sure ? CERTAIN : POSSIBLE, endpoint, event);
    address_to_text(&other->local, text[0]);
    address_to_text(&other->remote, text[1]);
    finding_say(analysis, finding, "the peer was still sending, and was cut off with an RST");
    finding_say(analysis, finding, "%d %.*s read the end of the other side, %s -> %s, and ended this one %s later",
                endpoint->end_pid, COMM_SIZE, endpoint->end_comm, text[0], text[1],
                words_of_time(here.time_us - other->eof_us));
    if (!endpoint->relay_sure)
        finding_say(analysis, finding,
                    "whether the two belong together cannot be seen: others were open at the same time");
}
