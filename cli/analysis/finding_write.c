/*
 * write-after-end: a write after one's own FIN, or after the peer's RST. A program that did not know of the RST yet,
 * and lives on, has done nothing wrong: nobody can know it sooner. That is a note.
 */
#include <errno.h>

#include "analysis/finding.h"

void write_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    if (event->op != OP_WRITE || !(event->has & HAS_ERRNO) || event->error != EPIPE || is_injected(event))
        return;
    /* One that never had a peer, or that this side has taken from it; one that its own kernel has given up. */
    if (address_is_unspecified(&event->remote) || endpoint->failed || endpoint->died)
        return;
    if (endpoint->refusals++ > 0)
        return;
    store_keep(analysis, &endpoint->refused, event);
    endpoint->knew_reset = endpoint->reset_us != 0;
}

static const char *words_of_signal(enum event_sigpipe sigpipe) {
    switch (sigpipe) {
    case SIGPIPE_FATAL:
        return "SIGPIPE ended the process";
    case SIGPIPE_HANDLED:
        return "it handled SIGPIPE";
    case SIGPIPE_BLOCKED:
        return "it blocked SIGPIPE";
    case SIGPIPE_IGNORED:
        return "it ignored SIGPIPE";
    case SIGPIPE_SUPPRESSED:
        return "it suppressed SIGPIPE";
    default:
        return "what became of SIGPIPE is not known";
    }
}

static void say_what_followed(struct analysis *analysis, struct finding *finding, const struct endpoint *endpoint,
                              const struct event *event) {
    const char *after =
        endpoint->gone_us ? "then gave the connection up" : "and did not close the connection in this trace";
    if (event->sigpipe == SIGPIPE_FATAL)
        finding_say(analysis, finding, "%s", words_of_signal(event->sigpipe));
    else if (endpoint->refusals > 1)
        finding_say(analysis, finding, "%s, wrote %u more time%s, %s", words_of_signal(event->sigpipe),
                    endpoint->refusals - 1, endpoint->refusals == 2 ? "" : "s", after);
    else
        finding_say(analysis, finding, "%s, %s", words_of_signal(event->sigpipe), after);
}

void write_draw(struct analysis *analysis, struct endpoint *endpoint) {
    const struct endpoint *peer = endpoint->peer;
    if (!endpoint->refused || !endpoint_is_connection(endpoint) || endpoint->injected || (peer && peer->injected))
        return;
    const struct event *event = &endpoint->refused->event;
    const bool own = endpoint->shut_us && endpoint->shut_us <= event->time_us + event->duration_us;
    const bool wrong = own || endpoint->knew_reset || endpoint->refusals > 1 || event->sigpipe == SIGPIPE_FATAL;
    if (!wrong && (request_is_late(endpoint) || (peer && upload_is_cut(peer))))
        return;
    struct finding *finding = finding_add(analysis, FINDING_WRITE_AFTER_END, wrong ? CERTAIN : NOTE, endpoint, event);
    finding_say(analysis, finding, "%s failed with EPIPE, after %s", words_of_call(event),
                own                    ? "its own FIN"
                : endpoint->knew_reset ? "the peer's RST, which it had seen"
                                       : "the peer's RST");
    say_what_followed(analysis, finding, endpoint, event);
}
