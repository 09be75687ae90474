/* What inet_diag's numbers mean. */
#include <string.h>

#include "world.h"

bool sighting_has_peers_fin(const struct sighting *sighting) {
    return sighting->state == STATE_CLOSE_WAIT || sighting->state == STATE_LAST_ACK || sighting->state == STATE_CLOSING;
}

/* Ours: it counts as one in the send queue until the peer has acknowledged it. */
static bool owes_fin(const struct sighting *sighting) {
    return sighting->state == STATE_FIN_WAIT1 || sighting->state == STATE_LAST_ACK || sighting->state == STATE_CLOSING;
}

static bool moves_data(const struct sighting *sighting) {
    return sighting->state == STATE_ESTABLISHED || sighting->state == STATE_FIN_WAIT2 ||
           sighting_has_peers_fin(sighting) || owes_fin(sighting);
}

/* The peer's FIN counts as one, and stands behind all data. */
uint64_t sighting_unread(const struct sighting *sighting) {
    if (!moves_data(sighting) || sighting->receive_queue == 0)
        return 0;
    return sighting->receive_queue - (sighting_has_peers_fin(sighting) ? 1 : 0);
}

bool sighting_end_unread(const struct sighting *sighting) {
    return sighting_has_peers_fin(sighting) && sighting->receive_queue > 0;
}

uint64_t sighting_unsent(const struct sighting *sighting) {
    if (!moves_data(sighting) || sighting->not_sent == 0)
        return 0;
    return sighting->not_sent - (owes_fin(sighting) ? 1 : 0);
}

uint64_t sighting_owed(const struct sighting *sighting) {
    if (!moves_data(sighting) || sighting->send_queue == 0)
        return 0;
    return sighting->send_queue - (owes_fin(sighting) ? 1 : 0);
}

uint64_t sighting_idle_ms(const struct sighting *sighting) {
    return sighting->since_sent_ms < sighting->since_received_ms ? sighting->since_sent_ms
                                                                 : sighting->since_received_ms;
}

/*
 * The peer's FIN, and its acknowledgement of ours, are acknowledgements too: the last one that came is no older than
 * the state. A timer of TIME_WAIT runs for a minute.
 */
uint64_t sighting_in_state_ms(const struct sighting *sighting) {
    enum { TIME_WAIT_MS = 60000 };
    if (sighting->state == STATE_TIME_WAIT && sighting->expires_ms <= TIME_WAIT_MS)
        return TIME_WAIT_MS - sighting->expires_ms;
    if (sighting->has_info && (sighting->state == STATE_CLOSE_WAIT || sighting->state == STATE_FIN_WAIT2))
        return sighting->since_ack_ms;
    return 0;
}

enum event_fin sighting_would(const struct sighting *sighting) {
    if (sighting->inode == 0)
        return FIN_UNSET;
    if (!moves_data(sighting))
        return FIN_NONE;
    if (sighting_unread(sighting) > 0)
        return FIN_RESET;
    if (sighting->not_sent > 0)
        return FIN_QUEUED;
    return sighting->state == STATE_ESTABLISHED || sighting->state == STATE_CLOSE_WAIT ? FIN_SENT : FIN_ALREADY;
}

bool sighting_in_queue(const struct sighting *sighting) {
    return sighting->inode == 0 && (sighting->state == STATE_ESTABLISHED || sighting->state == STATE_CLOSE_WAIT);
}

bool sighting_is_orphan(const struct sighting *sighting) {
    return sighting->inode == 0 && !sighting_in_queue(sighting) && sighting->state != STATE_SYN_RECV &&
           sighting->state != STATE_LISTEN;
}

static void tell_holders(const struct world *world, const struct sighting *sighting, struct event *event) {
    for (int32_t at = sighting->holding; at != NOBODY; at = world->holdings[at].next) {
        const struct holding *holding = &world->holdings[at];
        const struct onlooker *process = &world->processes[holding->process];
        struct holder holder = {.pid = process->pid, .fd = holding->fd, .tid = holding->tid, .call = holding->call};
        memcpy(holder.comm, process->comm, COMM_SIZE);
        event_add_holder(event, &holder);
    }
    if (event->holders_named == 0)
        return;
    const struct holder *first = &event->holders[0];
    event->pid = first->pid;
    event->tid = first->tid ? first->tid : first->pid;
    memcpy(event->comm, first->comm, COMM_SIZE);
    if (first->fd >= 0) {
        event->has |= HAS_FD;
        event->fd = first->fd;
    }
}

static void tell_queue(const struct sighting *sighting, struct event *event) {
    event->has |= HAS_PENDING | HAS_BACKLOG;
    event->pending = sighting->receive_queue;
    event->backlog = sighting->send_queue;
}

static void tell_traffic(const struct sighting *sighting, struct event *event) {
    event->has |= HAS_UNREAD | HAS_UNSENT;
    event->unread = sighting_unread(sighting);
    event->unsent = sighting_unsent(sighting);
    if (!sighting->has_info)
        return;
    event->has |= HAS_TRAFFIC | HAS_IDLE;
    event->sent = sighting->sent;
    event->received = sighting->received;
    event->unacked = sighting_owed(sighting) - event->unsent;
    event->idle_us = 1000 * sighting_idle_ms(sighting);
}

static void tell_time(const struct sighting *sighting, struct event *event) {
    uint64_t in_state = sighting_in_state_ms(sighting);
    if (in_state > 0) {
        event->has |= HAS_IN_STATE;
        event->in_state_us = 1000 * in_state;
    }
    if (sighting_is_orphan(sighting) && sighting->timer != TIMER_OFF) {
        event->has |= HAS_EXPIRES;
        event->expires_us = 1000ULL * sighting->expires_ms;
    }
}

void sighting_event(const struct world *world, const struct sighting *sighting, enum event_op op, struct event *event) {
    event_init(event, op);
    event->time_us = world->time_us;
    event->has |= HAS_SOCKET;
    event->cookie = sighting->cookie;
    event->local = sighting->local;
    event->remote = sighting->remote;
    event->role = sighting->role ? sighting->role : ROLE_UNKNOWN;
    event->state_before = event->state_after = sighting->state;
    if (sighting->state == STATE_LISTEN)
        tell_queue(sighting, event);
    else if (moves_data(sighting))
        tell_traffic(sighting, event);
    tell_time(sighting, event);
    tell_holders(world, sighting, event);
    event->has |= HAS_REFS_BEFORE;
    event->refs_before = sighting->holders;
    event->refs_partial = sighting->inode != 0 && (sighting->holders == 0 || world->closed_to_us > 0);
    event->would = sighting_would(sighting);
    if (sighting->peer != NOBODY)
        event->peer_state = world->list[sighting->peer].state;
}
