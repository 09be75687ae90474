/*
 * What goes wrong between processes that share: shared-connection (after a fork both moved bytes through one client's
 * connection, in the same direction: their messages may mix) and port-held (a listener that its own process gave up
 * stays open, since somebody who never accepted on it holds it).
 */
#include "analysis/finding.h"

static const uint64_t held_us = 1000000;

static void look_at_use(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    if (event->fin == FIN_UNSET || event->used != USED_YES || event->last == LAST_UNSET || is_injected(event))
        return;
    if (!endpoint->used_by) {
        endpoint->used_by = event->pid;
        endpoint->used_for = event->last;
    } else if (endpoint->used_by != event->pid && endpoint->used_for == event->last && !endpoint->shared)
        store_keep(analysis, &endpoint->shared, event);
}

void shared_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    if (endpoint->role == ROLE_CLIENT)
        look_at_use(analysis, endpoint, event);
    if (event->why == WHY_LISTENING && event->holders_named > 0 && !is_injected(event))
        store_keep(analysis, &endpoint->held, event);
}

static bool are_relatives(struct analysis *analysis, int one, int other) {
    const struct process *a = store_process(analysis, one, false), *b = store_process(analysis, other, false);
    return a && b && ((a->parent && (a->parent == other || a->parent == b->parent)) || b->parent == one);
}

static void draw_shared(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    if (!are_relatives(analysis, endpoint->used_by, event->pid))
        return;
    struct finding *finding = finding_add(analysis, FINDING_SHARED_CONNECTION, POSSIBLE, endpoint, event);
    finding_say(analysis, finding, "two processes used one connection to a server: their messages may mix");
    finding_say(analysis, finding, "%d and %d %.*s shared it after a fork, and both %s", endpoint->used_by, event->pid,
                COMM_SIZE, event->comm, event->last == LAST_WRITE ? "wrote to it" : "read from it");
    finding_say(analysis, finding, "whether they took turns cannot be seen");
}

/* Somebody who works on the listener may well go on with it. */
static bool is_handed_over(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    for (unsigned i = 0; i < event->holders_named; i++)
        if (event->holders[i].fd < 0 || store_accepts(analysis, &endpoint->local, event->holders[i].pid))
            return true;
    return false;
}

static void draw_held(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    const struct holder *holder = &event->holders[0];
    const uint64_t until = endpoint->last_us > event->time_us ? endpoint->last_us : analysis->totals.last_us;
    if (is_handed_over(analysis, endpoint, event) || until < event->time_us + held_us)
        return;
    struct finding *finding = finding_add(analysis, FINDING_PORT_HELD, CERTAIN, endpoint, event);
    finding_say(analysis, finding,
                "the port stays open though its server has closed it: clients connect, and nobody "
                "serves them; a new server cannot bind it");
    finding_say(analysis, finding, "%s gave the listener up; %d %.*s fd %d holds it, and never accepted on it",
                words_of_call(event), holder->pid, COMM_SIZE, holder->comm, holder->fd);
}

void shared_draw(struct analysis *analysis, struct endpoint *endpoint) {
    if (endpoint->shared)
        draw_shared(analysis, endpoint, &endpoint->shared->event);
    if (endpoint->held)
        draw_held(analysis, endpoint, &endpoint->held->event);
}
