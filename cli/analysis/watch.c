/* Each event, held against what is known of its socket and its process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "analysis/findings.h"
#include "analysis/relays.h"
#include "analysis/store.h"
#include "pure/verdict.h"

struct analysis *analysis_new(void) {
    struct analysis *analysis = calloc(1, sizeof *analysis);
    if (!analysis)
        abort();
    return analysis;
}

void analysis_source(struct analysis *analysis, uint64_t now_us) {
    analysis->source_goes_on = now_us != 0;
    if (now_us)
        analysis->totals.goes_on_us = now_us;
}

/* What is open in a session that goes on is so now, and not only at its last event. */
static void note_life(const struct analysis *analysis, struct endpoint *endpoint) {
    const bool stands = endpoint->goes_on && !endpoint->gone_us && !endpoint->failed;
    const uint64_t now_us = stands ? analysis->totals.goes_on_us : 0;
    endpoint->known_us = now_us > endpoint->last_us ? now_us : endpoint->last_us;
}

void analysis_free(struct analysis *analysis) {
    store_free(analysis);
    free(analysis);
}

/* A forked process has one `start`, in its parent's name, until it becomes another program. */
static bool begins_another_program(struct analysis *analysis, const struct process *process,
                                   const struct event *event) {
    const struct process *parent = store_process(analysis, process->parent, false);
    if (process->started_us > process->forked_us)
        return process->execed || !process->ended_us;
    return process->forked_us && parent && strncmp(parent->comm, event->comm, COMM_SIZE) != 0;
}

static void see_process(struct analysis *analysis, const struct event *event) {
    struct process *process = store_process(analysis, event->pid, true);
    if (event->op == OP_START) {
        process->execed = begins_another_program(analysis, process, event);
        process->started_us = event->time_us;
        process->ended_us = 0;
    } else if (event->op == OP_END)
        process->ended_us = event->time_us;
    process->last_us = event->time_us;
    memcpy(process->comm, event->comm, COMM_SIZE);
    if (event->op != OP_FORK || !(event->has & HAS_CHILD) || event->child <= 0)
        return;
    struct process *child = store_process(analysis, event->child, true);
    if (child->started_us < event->time_us)
        child->execed = false;
    child->parent = event->pid;
    child->forked_us = event->time_us;
}

static void see_socket(struct endpoint *endpoint, const struct event *event) {
    endpoint->last_us = event_ended_at(event);
    if (event->local.family != ADDRESS_UNSET)
        endpoint->local = event->local;
    if (event->remote.family != ADDRESS_UNSET)
        endpoint->remote = event->remote;
    if (event->role == ROLE_CLIENT || event->role == ROLE_SERVER || endpoint->role == ROLE_UNSET)
        endpoint->role = event->role;
    if (event->state_before == STATE_LISTEN || event->why == WHY_LISTENING)
        endpoint->listened = true;
    if (event->has & HAS_TRAFFIC && event->sent >= endpoint->sent) {
        endpoint->has_traffic = true;
        endpoint->snapshot = event->fin == FIN_QUEUED;
        endpoint->sent = event->sent;
        endpoint->received = event->received > endpoint->received ? event->received : endpoint->received;
    }
    if (event->has & HAS_TRAFFIC && event->sent + event->unsent > endpoint->written)
        endpoint->written = event->sent + event->unsent;
    if (event->injected)
        endpoint->injected = true;
    if ((event->has & HAS_REFS_BEFORE) && event->refs_before > endpoint->max_refs)
        endpoint->max_refs = event->refs_before;
    if ((event->has & HAS_REFS_AFTER) && event->refs_after > endpoint->max_refs)
        endpoint->max_refs = event->refs_after;
}

static void see_opening(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    const bool refused = event->has & HAS_ERRNO && event->error != EISCONN;
    if (event->op == OP_CONNECT && refused && !verdict_connect_goes_on(event->error)) {
        endpoint->failed = !endpoint->established;
        endpoint->failed_why = event->why;
        return;
    }
    endpoint->established = endpoint->established || !refused;
    endpoint->failed = false;
    if (endpoint->opened)
        return;
    endpoint->opened = true;
    endpoint->opener = event->pid;
    endpoint->opener_tid = event->tid;
    endpoint->opened_as = event->op == OP_ACCEPT ? (int)event->ret : event->has & HAS_FD ? event->fd : -1;
    if (event->op == OP_ACCEPT)
        store_acceptor(analysis, endpoint, event->pid);
    memcpy(endpoint->opener_comm, event->comm, COMM_SIZE);
}

/* The call gives up what it had of the socket, or shuts it down; any other only found it over. */
static bool ends_something(const struct event *event) {
    return event->op != OP_READ && event->op != OP_WRITE && event->op != OP_STATE && event->op != OP_NOW &&
           (event->op != OP_CONNECT || event->why == WHY_DISCONNECT || event->why == WHY_AFTER_SHUTDOWN);
}

static void see_gone(struct endpoint *endpoint, const struct event *event) {
    endpoint->gone_us = event->time_us;
    endpoint->gone_pid = event->pid;
    endpoint->gone_tid = event->tid;
    endpoint->gone_fd = event->has & HAS_FD ? event->fd : -1;
}

/* Its sending direction has ended, or was given up for good, by this event. */
static void see_end(struct endpoint *endpoint, const struct event *event) {
    const uint64_t when = event->time_us;
    if (!ends_something(event))
        return;
    if ((event->fin == FIN_SENT || event->fin == FIN_QUEUED || event->why == WHY_LINGER2) && !endpoint->fin_us)
        endpoint->fin_us = when;
    if (event->fin == FIN_RESET && !endpoint->rst_us)
        endpoint->rst_us = when;
    if (event->op == OP_SHUTDOWN && event->how != SHUT_RD && event->fin != FIN_NONE && !endpoint->shut_us)
        endpoint->shut_us = event_ended_at(event);
    if (event->op == OP_SHUTDOWN && event->how == SHUT_RDWR && event->fin != FIN_NONE)
        endpoint->shut_both = true;
    if (event->fin == FIN_WITHHELD)
        return;
    if (event->op != OP_SHUTDOWN)
        see_gone(endpoint, event);
    if (endpoint->end_fin && event->fin != FIN_RESET)
        return;
    endpoint->end_op = event->op;
    endpoint->end_fin = event->fin;
    endpoint->end_last = event->last;
    endpoint->end_pid = event->pid;
    memcpy(endpoint->end_comm, event->comm, COMM_SIZE);
}

/* An exec that failed takes back what was said before it. */
static void take_back(struct endpoint *endpoint, const struct event *event) {
    endpoint->gone_us = 0;
    if (endpoint->end_op == OP_EXEC && endpoint->end_pid == event->pid)
        endpoint->end_fin = FIN_UNSET;
    if (endpoint->gave_up && endpoint->gave_up->event.pid == event->pid && !endpoint->late)
        endpoint->gave_up = NULL;
    endpoint->fin_us = endpoint->shut_us;
    endpoint->rst_us = 0;
    endpoint->reset = endpoint->late = NULL;
}

/* States that a connection only comes to by its peer's FIN. */
static bool proves_peer_fin(enum tcp_state state) {
    return state == STATE_CLOSE_WAIT || state == STATE_LAST_ACK || state == STATE_CLOSING || state == STATE_TIME_WAIT;
}

/* In CLOSE_WAIT it was there before what the call has sent, else it came after that. */
static uint64_t peer_fin_by(const struct event *event) {
    const enum tcp_state before = event->state_before;
    if (event->op == OP_EOF || event->has & HAS_AFTER_FIN)
        return event_ended_at(event);
    if (before == STATE_CLOSE_WAIT || before == STATE_LAST_ACK)
        return event->time_us - 1;
    return proves_peer_fin(before) || proves_peer_fin(event->state_after) ? event_ended_at(event) + 1 : 0;
}

static void see_peer(struct endpoint *endpoint, const struct event *event) {
    if (event->op == OP_EOF && !endpoint->eof_us)
        endpoint->eof_us = event_ended_at(event);
    if (!endpoint->peer_fin_us)
        endpoint->peer_fin_us = peer_fin_by(event);
    if ((event->op == OP_RESET || event->has & HAS_AFTER_FIN) && !endpoint->reset_us)
        endpoint->reset_us = event_ended_at(event);
    if (event->why == WHY_TIMED_OUT || event->why == WHY_DESTROYED || (event->why == WHY_OVER && !endpoint->died))
        endpoint->died = event->why;
}

/* A connect that was under way when its socket was given up, or of which the end says what became of it. */
static void see_given_up_connect(struct endpoint *endpoint, const struct event *event) {
    const bool never = event->why == WHY_NOT_CONNECTED || event->why == WHY_REFUSED || event->why == WHY_TIMED_OUT;
    if (!endpoint->opened || endpoint->established || endpoint->role != ROLE_CLIENT || !never ||
        event->state_before == STATE_LISTEN)
        return;
    endpoint->failed = true;
    if (event->why != WHY_NOT_CONNECTED)
        endpoint->failed_why = event->why;
}

static void see(struct analysis *analysis, const struct event *event) {
    struct endpoint *endpoint = store_endpoint(analysis, event);
    const bool failed = event->op == OP_CLOSE && event->has & HAS_ERRNO && event->error == EBADF;
    see_socket(endpoint, event);
    endpoint->goes_on = analysis->source_goes_on;
    if (event->op == OP_CONNECT || event->op == OP_ACCEPT)
        see_opening(analysis, endpoint, event);
    findings_look(analysis, endpoint, event);
    if (event->op == OP_STATE)
        store_keep(analysis, &endpoint->standing, event);
    if (event->op == OP_EXEC && event->has & HAS_RET && event->ret < 0)
        take_back(endpoint, event);
    else if (event->fin != FIN_UNSET && !failed)
        see_end(endpoint, event);
    else if (event->op == OP_EXIT)
        endpoint->gone_us = event->time_us; /* killed; by what it ended nobody knows */
    see_peer(endpoint, event);
    see_given_up_connect(endpoint, event);
}

static void see_unseen(struct analysis *analysis, const struct event *event) {
    enum { REMEMBERED = 64 };
    if (analysis->totals.unseen++ >= REMEMBERED)
        return;
    struct unseen *unseen = store_take(analysis, sizeof *unseen);
    unseen->pid = event->pid;
    unseen->reach = event->reach;
    memcpy(unseen->comm, event->comm, COMM_SIZE);
    struct unseen **at = analysis->last_unseen ? analysis->last_unseen : &analysis->unseen;
    *at = unseen;
    analysis->last_unseen = &unseen->next;
}

void analysis_event(struct analysis *analysis, const struct event *event) {
    struct totals *totals = &analysis->totals;
    if (event->op == OP_FINDING || event->op == OP_RULE)
        return;
    if (event->op == OP_UNSEEN) {
        see_unseen(analysis, event);
        return;
    }
    if (!totals->first_us || event->time_us < totals->first_us)
        totals->first_us = event->time_us;
    if (event_ended_at(event) > totals->last_us)
        totals->last_us = event_ended_at(event);
    if (event->op == OP_END)
        totals->lost += event->lost;
    if (event->op != OP_START && event->op != OP_END)
        totals->events++;
    see_process(analysis, event);
    if (event->has & HAS_SOCKET)
        see(analysis, event);
}

/* The peer's RST was read, or only felt: a write refused though its own direction was open. */
static bool came_by_rst(const struct endpoint *endpoint) {
    return endpoint->reset_us ||
           (endpoint->refused && (!endpoint->shut_us || endpoint->shut_us > endpoint->refused->event.time_us));
}

/* One that was reset in a listener's queue: told by the listener already. */
static bool was_in_queue(struct analysis *analysis, const struct endpoint *endpoint) {
    struct address any = endpoint->remote;
    struct listener *listener = store_listener(analysis, &endpoint->remote);
    memset(any.ip, 0, sizeof any.ip);
    if (listener->queue_resets == 0)
        listener = store_listener(analysis, &any);
    if (endpoint->peer || listener->queue_resets == 0)
        return false;
    listener->queue_resets--;
    return true;
}

/* Counted where they left; where nobody tells of that, where they arrived. */
static void count(struct analysis *analysis, const struct endpoint *endpoint) {
    struct totals *totals = &analysis->totals;
    const struct endpoint *peer = endpoint->peer;
    if (endpoint_is_failed_connect(endpoint))
        ++*(endpoint->failed_why == WHY_REFUSED     ? &totals->refused
            : endpoint->failed_why == WHY_TIMED_OUT ? &totals->timed_out
                                                    : &totals->failed);
    if (!endpoint_is_connection(endpoint))
        return;
    totals->connections += endpoint_stands(endpoint);
    totals->fins += endpoint->fin_us != 0;
    totals->fins += endpoint->peer_fin_us && !(peer && peer->fin_us);
    totals->rsts += endpoint->rst_us != 0;
    totals->rsts += came_by_rst(endpoint) && !(peer && peer->rst_us) && !was_in_queue(analysis, endpoint);
    totals->withheld += endpoint->gave_up && endpoint->late;
}

void analysis_end(struct analysis *analysis) {
    store_pair(analysis);
    relays_find(analysis);
    for (const struct endpoint *endpoint = analysis->first; endpoint; endpoint = endpoint->next) {
        analysis->totals.rsts += endpoint->queue_resets;
        if (endpoint->queue_resets > 0)
            store_listener(analysis, &endpoint->local)->queue_resets += endpoint->queue_resets;
    }
    for (struct endpoint *endpoint = analysis->first; endpoint; endpoint = endpoint->next) {
        count(analysis, endpoint);
        note_life(analysis, endpoint);
    }
    findings_draw(analysis);
}

const struct endpoint *analysis_endpoints(const struct analysis *analysis) {
    return analysis->first;
}

const struct unseen *analysis_unseen(const struct analysis *analysis) {
    return analysis->unseen;
}

const struct finding *analysis_findings(const struct analysis *analysis) {
    return analysis->findings;
}

struct totals analysis_totals(const struct analysis *analysis) {
    return analysis->totals;
}
