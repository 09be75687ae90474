/* What is wrong with a close by itself: reset-on-close, queue-reset, closed-in-use, double-close. */
#include <errno.h>

#include "analysis/finding.h"

static unsigned long long number(uint64_t value) {
    return value;
}

static bool by_another_thread(const struct event *event) {
    for (unsigned i = 0; i < event->holders_named; i++)
        if (event->holders[i].fd < 0 && event->holders[i].pid == event->pid && event->holders[i].tid != event->tid)
            return true;
    return false;
}

void close_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    if (is_injected(event))
        return;
    const bool unasked = event->why == WHY_UNREAD_DATA || event->why == WHY_LINGER_ZERO;
    if (event->fin == FIN_RESET && unasked && !endpoint->reset)
        store_keep(analysis, &endpoint->reset, event);
    if (event->why == WHY_LISTENING && event->has & HAS_PENDING && event->pending > 0) {
        if (!endpoint->queue)
            store_keep(analysis, &endpoint->queue, event);
        endpoint->queue_resets = event->pending;
    }
    const bool goes_on = (event->fin == FIN_WITHHELD && event->why == WHY_CALL_IN_PROGRESS) ||
                         (event->why == WHY_LISTENING && event->state_after == STATE_LISTEN);
    if (event->op == OP_CLOSE && goes_on && by_another_thread(event) && !endpoint->in_use)
        store_keep(analysis, &endpoint->in_use, event);
    if (event->op == OP_CLOSE && event->has & HAS_ERRNO && event->error == EBADF && !endpoint->twice)
        store_keep(analysis, &endpoint->twice, event);
}

static void draw_reset(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    const uint64_t lost = event->unacked + event->unsent;
    struct finding *finding = finding_add(analysis, FINDING_RESET_ON_CLOSE, lost > 0 ? CERTAIN : NOTE, endpoint, event);
    if (event->why == WHY_LINGER_ZERO)
        finding_say(analysis, finding, "%s ended it with an RST: SO_LINGER was on with 0 seconds",
                    words_of_call(event));
    else
        finding_say(analysis, finding, "%s ended it with an RST: %llu %s unread", words_of_call(event),
                    number(event->unread), event->unread == 1 ? "byte was" : "bytes were");
    if (lost > 0)
        finding_say(analysis, finding,
                    "%llu bytes that it had written were not acknowledged (%llu of them not yet sent): "
                    "the peer may have lost them",
                    number(lost), number(event->unsent));
    else
        finding_say(analysis, finding, "everything that it had sent was acknowledged");
}

static void draw_queue(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    struct finding *finding = finding_add(analysis, FINDING_QUEUE_RESET, CERTAIN, endpoint, event);
    finding_say(analysis, finding, "%s ended the listener with %u connection%s waiting to be accepted: %s",
                words_of_call(event), endpoint->queue_resets, endpoint->queue_resets == 1 ? "" : "s",
                endpoint->queue_resets == 1 ? "it was reset" : "each was reset");
}

static void draw_in_use(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    struct finding *finding = finding_add(analysis, FINDING_CLOSED_IN_USE, CERTAIN, endpoint, event);
    for (unsigned i = 0; i < event->holders_named; i++) {
        const struct holder *holder = &event->holders[i];
        if (holder->fd >= 0 || holder->tid == event->tid)
            continue;
        finding_say(analysis, finding,
                    "%s, by thread %d, while thread %d was inside %s on it: that call goes on, and %s",
                    words_of_call(event), event->tid, holder->tid, holder->call ? holder->call : "a call",
                    event->why == WHY_LISTENING ? "the port stays open until it returns" : "the FIN waits for it");
        break;
    }
}

static void draw_twice(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    struct finding *finding = finding_add(analysis, FINDING_DOUBLE_CLOSE, CERTAIN, endpoint, event);
    finding_say(analysis, finding,
                "%s failed with EBADF: this process had already closed %d, which was this connection, and the number "
                "had not been reused",
                words_of_call(event), event->fd);
}

/*
 * The number that this thread closed twice had been given to another thread in between, whose connection the first of
 * the two took away: the second thread finds it gone.
 */
static bool was_anothers(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    enum { LOOKED_AT = 10000 };
    if (endpoint->opener_tid != event->tid || endpoint->gone_tid == event->tid || endpoint->gone_pid != event->pid ||
        endpoint->opened_as != event->fd)
        return false;
    const struct endpoint *before = analysis->first;
    for (unsigned i = 0; before && before != endpoint && i < LOOKED_AT && store_may_look(analysis);
         i++, before = before->next)
        if (before->gone_pid == event->pid && before->gone_tid == endpoint->gone_tid && before->gone_fd == event->fd &&
            before->gone_us && before->gone_us <= endpoint->first_us)
            return true;
    return false;
}

static void draw_anothers(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    struct finding *finding = finding_add(analysis, FINDING_CLOSED_ANOTHERS, CERTAIN, endpoint, event);
    finding_say(analysis, finding, "a thread closed a connection that belonged to another thread");
    finding_say(analysis, finding,
                "thread %d closed file descriptor %d twice: by the second time, thread %d had received that number for "
                "this connection",
                endpoint->gone_tid, event->fd, event->tid);
    finding_say(analysis, finding, "%s failed with EBADF", words_of_call(event));
}

void close_draw(struct analysis *analysis, struct endpoint *endpoint) {
    if (endpoint->reset && !upload_is_cut(endpoint))
        draw_reset(analysis, endpoint, &endpoint->reset->event);
    if (endpoint->queue)
        draw_queue(analysis, endpoint, &endpoint->queue->event);
    if (endpoint->in_use)
        draw_in_use(analysis, endpoint, &endpoint->in_use->event);
    if (endpoint->twice && was_anothers(analysis, endpoint, &endpoint->twice->event))
        draw_anothers(analysis, endpoint, &endpoint->twice->event);
    else if (endpoint->twice)
        draw_twice(analysis, endpoint, &endpoint->twice->event);
}
