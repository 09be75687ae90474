/*
 * request-after-fin: bytes were sent into a connection whose peer had ended it before, and met an RST: the keep-alive
 * race, the dead connection out of a pool. gave-up: half-closed, then closed before the peer's end with nothing
 * received.
 *
 * A connection that is dead when its EOF is read, or whose first error is EPIPE, was reset after the peer's FIN; that
 * the last bytes were sent after the FIN TCP_INFO tells (`after_fin`). Where both ends are in the trace, the peer's end
 * tells.
 */
#include <errno.h>
#include <sys/socket.h>

#include "analysis/finding.h"

/* It had ended its own direction only, and takes the other. */
static bool gives_up(const struct endpoint *endpoint, const struct event *event) {
    const bool ends = event->op == OP_CLOSE || event->op == OP_EXIT || event->op == OP_EXEC ||
                      (event->op == OP_SHUTDOWN && event->how == SHUT_RDWR && event->ret == 0);
    const bool waited = event->state_before == STATE_FIN_WAIT1 || event->state_before == STATE_FIN_WAIT2;
    return ends && waited && endpoint->role == ROLE_CLIENT && event->fin != FIN_WITHHELD && endpoint->shut_us &&
           !endpoint->shut_both && !is_injected(event) && !by_signal(event);
}

void request_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    if (gives_up(endpoint, event) && !endpoint->impatient)
        store_keep(analysis, &endpoint->impatient, event);
    const bool met = event->op == OP_RESET || (event->op == OP_EOF && event->has & HAS_AFTER_FIN) ||
                     (event->op == OP_WRITE && event->has & HAS_ERRNO && event->error == EPIPE);
    if (!met || endpoint->raced || endpoint->role != ROLE_CLIENT || is_injected(event) || endpoint->shut_us)
        return;
    if (endpoint->reset_us && event->op == OP_WRITE)
        return; /* the first reset is what the request met */
    store_keep(analysis, &endpoint->raced, event);
}

/* How long the peer's FIN had left, or come, before the RST; 0: it had not, or nobody knows. */
static uint64_t fin_before(const struct endpoint *endpoint, const struct event *event) {
    const struct endpoint *peer = endpoint->peer;
    if (event->has & HAS_AFTER_FIN)
        return event->after_fin_us;
    if (!peer || !peer->fin_us || !peer->gone_us || peer->rst_us || !peer->has_traffic || !endpoint->has_traffic)
        return 0;
    /* All that it had sent has come, and so has the FIN behind it. */
    if (peer->end_fin == FIN_QUEUED || peer->written > endpoint->received || endpoint->sent <= peer->received ||
        peer->gone_us >= event->time_us + event->duration_us)
        return 0;
    return event->time_us + event->duration_us - peer->gone_us;
}

/* It was done again, with success: another connection of that process to the same address, made later. */
static bool done_again(struct analysis *analysis, const struct endpoint *endpoint, uint64_t after_us) {
    enum { LOOKED_AT = 1000 };
    const struct endpoint *other = endpoint->next;
    for (unsigned i = 0; other && i < LOOKED_AT && store_may_look(analysis); i++, other = other->next)
        if (other->opener == endpoint->opener && other->role == ROLE_CLIENT && other->received > 0 &&
            other->last_us >= after_us && address_equal(&other->remote, &endpoint->remote))
            return true;
    return false;
}

bool request_is_late(const struct endpoint *endpoint) {
    const struct endpoint *peer = endpoint->peer;
    return endpoint->raced && fin_before(endpoint, &endpoint->raced->event) > 0 && !endpoint->injected &&
           !(peer && (peer->injected || upload_is_cut(peer)));
}

static void draw_request(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    const uint64_t before = fin_before(endpoint, event);
    const bool again = done_again(analysis, endpoint, event->time_us);
    struct finding *finding = finding_add(analysis, FINDING_REQUEST_AFTER_FIN, again ? NOTE : CERTAIN, endpoint, event);
    finding_say(
        analysis, finding,
        "data was sent on a connection that the server had already ended, and was answered with an RST: a request, "
        "or the rest of one that the server had read enough of");
    finding_say(analysis, finding, "the server's FIN had arrived %s earlier; %s %s", words_of_time(before),
                words_of_call(event),
                event->op == OP_EOF     ? "read EOF from a connection that had been reset by then"
                : event->error == EPIPE ? "failed with EPIPE"
                                        : "failed with ECONNRESET");
    if (again)
        finding_say(analysis, finding, "it was repeated successfully on another connection");
}

static void draw_gave_up(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    /* Of a relay's side half-close-as-abort of the other tells. */
    const bool told = endpoint->relay && endpoint->relay->aborted;
    if (endpoint->eof_us || endpoint->reset_us || !endpoint->has_traffic || endpoint->received > 0 ||
        endpoint->sent == 0 || endpoint->injected || told)
        return;
    struct finding *finding = finding_add(analysis, FINDING_GAVE_UP, NOTE, endpoint, event);
    finding_say(analysis, finding, "the client ended its request, waited %s, and closed before any answer arrived",
                words_of_time(event->time_us > endpoint->shut_us ? event->time_us - endpoint->shut_us : 0));
}

void request_draw(struct analysis *analysis, struct endpoint *endpoint) {
    if (request_is_late(endpoint))
        draw_request(analysis, endpoint, &endpoint->raced->event);
    if (endpoint->impatient)
        draw_gave_up(analysis, endpoint, &endpoint->impatient->event);
}
