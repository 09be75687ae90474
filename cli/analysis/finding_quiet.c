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

/*
 * Since when nothing had happened on it: no bytes, and not what the program did or saw. Where it saw nothing, since
 * when the command has seen it so. 0: not known.
 */
static uint64_t quiet_since(const struct endpoint *endpoint, const struct event *event) {
    const struct event *standing = endpoint->standing ? &endpoint->standing->event : NULL;
    if (!(event->has & HAS_IDLE) || event->idle_us > event->time_us)
        return 0;
    const uint64_t idle_since = event->time_us - event->idle_us;
    if (event->op == OP_STATE)
        return idle_since;
    if (endpoint->eof_us || endpoint->shut_us)
        return later(later(idle_since, endpoint->eof_us), endpoint->shut_us);
    return standing && standing->state_after == STATE_CLOSE_WAIT
               ? later(idle_since, standing->time_us - standing->idle_us)
               : 0;
}

/* What it was at its end counts for more than how it was seen before. */
static bool is_known(const struct endpoint *endpoint) {
    return endpoint->quiet && endpoint->quiet->event.op != OP_STATE;
}

void quiet_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    const uint64_t since = quiet_since(endpoint, event);
    /* One that has only ended its own direction waits for its peer, and may do so for long: a relay does. */
    const bool over = endpoint->shut_us && (endpoint->shut_both || endpoint->eof_us);
    const bool seen = event->op == OP_STATE && (event->state_after == STATE_CLOSE_WAIT || over);
    const bool ends = event->fin != FIN_UNSET && event->fin != FIN_WITHHELD && event->op != OP_STATE;
    if (!since || event->time_us < since + quiet_us || !(seen || ends) || is_known(endpoint))
        return;
    endpoint->quiet_us = event->time_us - since;
    store_keep(analysis, &endpoint->quiet, event);
}

/* Who holds it, of what was seen without a call. */
static void say_seen(struct analysis *analysis, struct finding *finding, const struct endpoint *endpoint,
                     const struct event *event, const char *state) {
    const struct holder *holder = event->holders_named > 0 ? &event->holders[0] : NULL;
    const char *end = endpoint->gone_us ? "" : "; nobody has closed it since";
    if (!holder)
        finding_say(analysis, finding, "%s for %s without traffic%s", state, words_of_time(endpoint->quiet_us), end);
    else if (holder->fd >= 0)
        finding_say(analysis, finding, "%s for %s without traffic, held by %d %.*s fd %d%s", state,
                    words_of_time(endpoint->quiet_us), holder->pid, COMM_SIZE, holder->comm, holder->fd, end);
    else
        finding_say(analysis, finding, "%s for %s without traffic, held by thread %d of %d %.*s%s", state,
                    words_of_time(endpoint->quiet_us), holder->tid, holder->pid, COMM_SIZE, holder->comm, end);
}

/* A relay that has passed the end on, and waits for the other side's, is right to wait. */
static void draw_close_wait(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    if (relay_waits(endpoint, event->time_us - quiet_us))
        return;
    struct finding *finding = finding_add(analysis, FINDING_CLOSE_WAIT, CERTAIN, endpoint, event);
    if (endpoint->eof_us && endpoint->eof_us <= event->time_us)
        finding_say(analysis, finding, "the peer's FIN was read %s earlier",
                    words_of_time(event->time_us - endpoint->eof_us));
    else
        finding_say(analysis, finding, "the peer's FIN had arrived, but the program never read that far");
    if (event->op == OP_STATE)
        say_seen(analysis, finding, endpoint, event, "it had been in CLOSE_WAIT");
    else
        finding_say(analysis, finding, "it stayed in CLOSE_WAIT for %s without traffic, until %s",
                    words_of_time(endpoint->quiet_us), words_of_call(event));
}

/* One that has only ended its own direction may be waiting for an answer. */
static void draw_never_closed(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    const bool over = endpoint->shut_both || endpoint->eof_us;
    struct finding *finding = finding_add(analysis, FINDING_NEVER_CLOSED, over ? CERTAIN : POSSIBLE, endpoint, event);
    if (event->op == OP_STATE) {
        finding_say(analysis, finding, "it was shut down %s earlier, %s",
                    words_of_time(event->time_us - endpoint->shut_us),
                    over ? "and was over in both directions" : "and may have been waiting for its peer");
        say_seen(analysis, finding, endpoint, event, "it had been open");
        return;
    }
    finding_say(analysis, finding, "it was shut down %s before %s, %s",
                words_of_time(event->time_us - endpoint->shut_us), words_of_call(event),
                over ? "and was over in both directions" : "and may have been waiting for its peer");
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
    finding_say(analysis, finding, "the peer's FIN was read, and %s later %d %.*s had still not closed the connection",
                words_of_time(process->last_us - endpoint->eof_us), endpoint->opener, COMM_SIZE, process->comm);
    finding_say(analysis, finding, "whether it was used in the meantime cannot be seen");
}

void quiet_draw(struct analysis *analysis, struct endpoint *endpoint) {
    if (!endpoint->quiet) {
        if (endpoint->eof_us && !endpoint->gone_us && !endpoint->reset_us && !endpoint->standing)
            draw_open(analysis, endpoint);
        return;
    }
    const struct event *event = &endpoint->quiet->event;
    if (endpoint->shut_us && endpoint->shut_us < event->time_us)
        draw_never_closed(analysis, endpoint, event);
    else if (event->state_before == STATE_CLOSE_WAIT)
        draw_close_wait(analysis, endpoint, event);
}
