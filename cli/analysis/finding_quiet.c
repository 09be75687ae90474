/*
 * close-wait and never-closed: a connection that is over, or over on one side, and was left open without traffic for
 * more than 10 seconds. For how long there was none the kernel says at the end (`idle`).
 */
#include "analysis/finding.h"
#include "analysis/relays.h"

static const uint64_t quiet_us = 10 * 1000000ULL;

static uint64_t later(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* Since when nothing had happened on it: no bytes, and not what the program did or saw. 0: not known. */
static uint64_t quiet_since(const struct endpoint *endpoint, const struct event *event) {
    if (!(event->has & HAS_IDLE) || event->idle_us > event->time_us)
        return 0;
    return later(later(event->time_us - event->idle_us, endpoint->eof_us), endpoint->shut_us);
}

void quiet_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    const uint64_t since = quiet_since(endpoint, event);
    if (!since || event->time_us < since + quiet_us || !(endpoint->eof_us || endpoint->shut_us) ||
        event->fin == FIN_UNSET || event->fin == FIN_WITHHELD || endpoint->quiet)
        return;
    endpoint->quiet_us = event->time_us - since;
    store_keep(analysis, &endpoint->quiet, event);
}

/* A relay that has passed the end on, and waits for the other side's, is right to wait. */
static void draw_close_wait(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    if (relay_waits(endpoint, event->time_us - quiet_us))
        return;
    struct finding *finding = finding_add(analysis, FINDING_CLOSE_WAIT, CERTAIN, endpoint, event);
    finding_say(analysis, finding, "the peer's FIN was read %s before",
                words_of_time(event->time_us - endpoint->eof_us));
    finding_say(analysis, finding, "it stayed in CLOSE_WAIT for %s without traffic, until %s",
                words_of_time(endpoint->quiet_us), words_of_call(event));
}

/* One that has only ended its own direction may be waiting for an answer. */
static void draw_never_closed(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    const bool over = endpoint->shut_both || endpoint->eof_us;
    struct finding *finding = finding_add(analysis, FINDING_NEVER_CLOSED, over ? CERTAIN : POSSIBLE, endpoint, event);
    finding_say(analysis, finding, "it was shut down %s before %s, %s",
                words_of_time(event->time_us - endpoint->shut_us), words_of_call(event),
                over ? "and over in both directions" : "and may have waited for its peer");
    finding_say(analysis, finding, "it stayed open without traffic for %s", words_of_time(endpoint->quiet_us));
}

/* The process lived on for so long, and never gave it up; of its bytes nothing is known. */
static void draw_open(struct analysis *analysis, const struct endpoint *endpoint) {
    const struct process *process = store_process(analysis, endpoint->opener, false);
    const struct event none = {.time_us = endpoint->eof_us, .pid = endpoint->opener};
    if (!process || endpoint->shut_us || process->last_us < endpoint->eof_us + quiet_us ||
        process->last_us < endpoint->last_us + quiet_us)
        return;
    struct finding *finding = finding_add(analysis, FINDING_CLOSE_WAIT, POSSIBLE, endpoint, &none);
    finding_say(analysis, finding, "the peer's FIN was read, and %s later %d %.*s had not closed it",
                words_of_time(process->last_us - endpoint->eof_us), endpoint->opener, COMM_SIZE, process->comm);
    finding_say(analysis, finding, "whether it was used meanwhile cannot be seen");
}

void quiet_draw(struct analysis *analysis, struct endpoint *endpoint) {
    if (!endpoint->quiet) {
        if (endpoint->eof_us && !endpoint->gone_us && !endpoint->reset_us)
            draw_open(analysis, endpoint);
        return;
    }
    const struct event *event = &endpoint->quiet->event;
    if (endpoint->shut_us && endpoint->shut_us < event->time_us)
        draw_never_closed(analysis, endpoint, event);
    else if (event->state_before == STATE_CLOSE_WAIT)
        draw_close_wait(analysis, endpoint, event);
}
