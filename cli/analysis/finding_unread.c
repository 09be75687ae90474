/*
 * unread-at-end: the connection was over, and was closed with bytes unread that the peer had sent before its end. No
 * RST leaves, so that nothing tells of it: a client that never looked at the answer it had, or gave up on the reset
 * behind it. A server that had ended its own side first need not read what came after.
 */
#include "analysis/finding.h"

static unsigned long long number(uint64_t value) {
    return value;
}

void unread_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    const bool ends = event->op == OP_CLOSE || event->op == OP_EXIT || event->op == OP_EXEC;
    const bool over = event->state_before == STATE_CLOSE && (event->fin == FIN_NONE || event->fin == FIN_ALREADY);
    if (ends && over && event->has & HAS_UNREAD && event->unread > 0 && event->why != WHY_NOT_CONNECTED &&
        !is_injected(event) && !by_signal(event) && !endpoint->unread)
        store_keep(analysis, &endpoint->unread, event);
}

void unread_draw(struct analysis *analysis, struct endpoint *endpoint) {
    if (!endpoint->unread || endpoint->role != ROLE_CLIENT || endpoint->injected || !endpoint_is_connection(endpoint))
        return;
    const struct event *event = &endpoint->unread->event;
    struct finding *finding = finding_add(analysis, FINDING_UNREAD_AT_END, CERTAIN, endpoint, event);
    finding_say(analysis, finding, "%llu bytes of the answer had arrived, but were thrown away unread",
                number(event->unread));
    finding_say(analysis, finding, "%s gave up the connection %s", words_of_call(event),
                endpoint->reset_us ? "when it saw the reset that followed: what had arrived before could still be read"
                                   : "although the peer had sent them before it ended");
}
