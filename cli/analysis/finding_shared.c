/*
 * What goes wrong between processes that share: shared-connection (after a fork both moved bytes through one client's
 * connection, in the same direction: their messages may mix) and port-held (a listener that its own process gave up
 * stays open, since somebody who never accepted on it holds it; what proves it is a bind that then failed, or a client
 * whom nobody accepted).
 */
#include <string.h>

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
    if (event->op == OP_BIND)
        store_keep(analysis, &store_listener(analysis, &event->local)->in_use, event);
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

static bool descends_from(struct analysis *analysis, int pid, int ancestor) {
    enum { GENERATIONS = 16 };
    for (int i = 0; i < GENERATIONS && pid; i++) {
        const struct process *process = store_process(analysis, pid, false);
        if (pid == ancestor)
            return true;
        pid = process ? process->parent : 0;
    }
    return false;
}

/* A worker of the same program: its parent's other child, which goes on as it was forked. */
static bool is_sibling(struct analysis *analysis, const struct event *event, const struct holder *holder) {
    const struct process *a = store_process(analysis, event->pid, false),
                         *b = store_process(analysis, holder->pid, false);
    return a && b && a->parent && a->parent == b->parent && !b->execed;
}

/* It accepts there, or its children do. */
static bool serves(struct analysis *analysis, const struct endpoint *endpoint, int pid) {
    const struct listener *listener = store_listener(analysis, &endpoint->local);
    if (store_accepts(analysis, &endpoint->local, pid))
        return true;
    for (unsigned i = 0; i < listener->acceptor_count && i < ACCEPTORS_MAX; i++)
        if (descends_from(analysis, listener->acceptors[i], pid))
            return true;
    return false;
}

/* Somebody who works on the listener may well go on with it; so may he from whom it was had. */
static bool is_handed_over(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    for (unsigned i = 0; i < event->holders_named; i++) {
        const struct holder *holder = &event->holders[i];
        if (holder->fd < 0 || serves(analysis, endpoint, holder->pid) ||
            descends_from(analysis, event->pid, holder->pid) || is_sibling(analysis, event, holder))
            return true;
    }
    return false;
}

static struct address unspecified_of(const struct address *address) {
    struct address any = *address;
    memset(any.ip, 0, sizeof any.ip);
    return any;
}

/* A bind of that address, or of all with that port, that failed after the listener was given up. */
static const struct event *failed_bind(struct analysis *analysis, const struct endpoint *endpoint, uint64_t since_us) {
    const struct address any = unspecified_of(&endpoint->local);
    const struct kept *exact = store_listener(analysis, &endpoint->local)->in_use;
    const struct kept *all = store_listener(analysis, &any)->in_use;
    const struct kept *failed = exact && exact->event.time_us >= since_us ? exact : all;
    return failed && failed->event.time_us >= since_us ? &failed->event : NULL;
}

static void say_held(struct analysis *analysis, struct finding *finding, const struct event *event,
                     const struct event *failed, unsigned never_served) {
    const struct holder *holder = &event->holders[0];
    finding_say(analysis, finding,
                "the port stays open although its server has closed it: clients connect, but nobody "
                "serves them; a new server cannot bind it");
    finding_say(analysis, finding, "%s gave up the listener; %d %.*s fd %d holds it, and never accepted on it",
                words_of_call(event), holder->pid, COMM_SIZE, holder->comm, holder->fd);
    if (failed)
        finding_say(analysis, finding, "%s failed with EADDRINUSE", words_of_call(failed));
    if (never_served > 0)
        finding_say(analysis, finding, "meanwhile %u %s connected, and nobody accepted %s", never_served,
                    never_served == 1 ? "client" : "clients", never_served == 1 ? "it" : "them");
}

/*
 * Another program that has inherited it will hardly serve it; one that goes on as it was forked, or is the new version
 * of the same, may be about to.
 */
static void draw_held(struct analysis *analysis, const struct endpoint *endpoint, const struct event *event) {
    const struct holder *holder = &event->holders[0];
    const uint64_t until = endpoint->last_us > event->time_us ? endpoint->last_us : analysis->totals.last_us;
    const struct event *failed = failed_bind(analysis, endpoint, event->time_us);
    const unsigned never_served = store_listener(analysis, &endpoint->local)->never_served;
    const bool certain = failed || never_served > 0 || strncmp(holder->comm, event->comm, COMM_SIZE) != 0;
    if (is_handed_over(analysis, endpoint, event) || (!failed && until < event->time_us + held_us))
        return;
    if (!certain && !store_accepts(analysis, &endpoint->local, event->pid))
        return;
    struct finding *finding = finding_add(analysis, FINDING_PORT_HELD, certain ? CERTAIN : POSSIBLE, endpoint, event);
    say_held(analysis, finding, event, failed, never_served);
    if (!certain)
        finding_say(analysis, finding, "whether it is about to accept on it cannot be seen");
}

/* The listener of that address, or of all with its port, that was given up and is held. */
static struct listener *given_up_at(struct analysis *analysis, const struct address *address) {
    const struct address any = unspecified_of(address);
    struct listener *listener = store_listener(analysis, address);
    return listener->given_up_us ? listener : store_listener(analysis, &any);
}

void shared_prepare(struct analysis *analysis) {
    bool there_is_one = false;
    for (const struct endpoint *endpoint = analysis->first; endpoint; endpoint = endpoint->next)
        if (endpoint->held) {
            store_listener(analysis, &endpoint->local)->given_up_us = endpoint->held->event.time_us;
            there_is_one = true;
        }
    if (!there_is_one)
        return;
    for (const struct endpoint *endpoint = analysis->first; endpoint; endpoint = endpoint->next) {
        if (endpoint->role != ROLE_CLIENT || endpoint->peer || !endpoint->opened || !endpoint_is_connection(endpoint))
            continue;
        struct listener *listener = given_up_at(analysis, &endpoint->remote);
        listener->never_served += listener->given_up_us && endpoint->first_us > listener->given_up_us;
    }
}

void shared_draw(struct analysis *analysis, struct endpoint *endpoint) {
    if (endpoint->shared)
        draw_shared(analysis, endpoint, &endpoint->shared->event);
    if (endpoint->held)
        draw_held(analysis, endpoint, &endpoint->held->event);
}
