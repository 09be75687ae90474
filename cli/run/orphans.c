#include "orphans.h"

#include <stdlib.h>
#include <string.h>

#include "endings.h"
#include "kernel/clock.h"
#include "look/grow.h"

struct orphan {
    struct sighting_name name;
    enum event_role role;
    int pid; /* who let go of it */
    char comm[COMM_SIZE];
    bool queued; /* its FIN had not left */
    bool seen;   /* since then, as `last` */
    uint64_t since_ms, due_ms;
    uint64_t missing_ms; /* since when it is in no table any more; 0: it is there */
    struct sighting last;
};

enum { ORPHANS_MAX = 16384, FIRST_MS = 5, OFTEN_MS = 20, SELDOM_MS = 1000, FORGOTTEN_MS = 30 * 60 * 1000 };

static struct {
    struct drain *drain;
    struct orphan *list;
    size_t count, room;
} orphans;

void orphans_begin(struct drain *drain) {
    orphans.drain = drain;
}

bool orphans_are_there(void) {
    return orphans.count > 0;
}

/* Something that the peer had not acknowledged when it was let go of. */
static bool makes_orphan(const struct event *event) {
    const bool lets_go =
        event->op == OP_CLOSE || event->op == OP_EXIT || event->op == OP_EXEC || event->op == OP_RELEASE;
    return lets_go && event->has & HAS_SOCKET && !address_is_unspecified(&event->remote) &&
           !(event->has & HAS_RET && event->ret < 0) && event->why != WHY_AFTER_CLOSE &&
           (event->fin == FIN_QUEUED || (event->fin == FIN_SENT && event->unsent + event->unacked > 0)) &&
           event->state_after != STATE_FIN_WAIT2 && event->state_after != STATE_TIME_WAIT;
}

void orphans_note(const struct event *event) {
    if (!makes_orphan(event) || orphans.count == ORPHANS_MAX)
        return;
    const uint64_t now = clock_running_ms();
    struct orphan *orphan = GROW(orphans.list, orphans.count, orphans.room);
    *orphan = (struct orphan){.name = {event->cookie, event->local, event->remote},
                              .role = event->role,
                              .pid = event->pid,
                              .queued = event->fin == FIN_QUEUED,
                              .since_ms = now,
                              .due_ms = now};
    memcpy(orphan->comm, event->comm, COMM_SIZE);
}

static void tell(const struct orphan *orphan, enum event_fin fin, enum event_why why, bool verified,
                 const struct sighting *as, uint64_t lost) {
    struct event event;
    event_init(&event, OP_RELEASE);
    event.time_us = clock_now();
    event.pid = event.tid = orphan->pid;
    memcpy(event.comm, orphan->comm, COMM_SIZE);
    event.has |= HAS_SOCKET;
    event.cookie = orphan->name.cookie;
    event.local = orphan->name.local;
    event.remote = orphan->name.remote;
    event.role = orphan->role;
    event.fin = fin;
    event.why = why;
    event.verified = verified;
    event.state_before = orphan->seen ? orphan->last.state : STATE_UNSET;
    event.state_after = as->state;
    if (fin != FIN_SENT) {
        event.has |= HAS_LOST;
        event.lost = lost;
    }
    drain_event(orphans.drain, &event);
}

/* The queued FIN has left, with all that stood before it. */
static void tell_sent(struct orphan *orphan, const struct sighting *as) {
    if (orphan->queued)
        tell(orphan, FIN_SENT, WHY_LAST_REFERENCE, true, as, 0);
    orphan->queued = false;
}

/*
 * Data of the peer's that came after the close is what our kernel answers with an RST: it was a segment more, and
 * acknowledged something at that very moment. Where neither can be seen the RST may have been the peer's.
 */
static void tell_reset(const struct orphan *orphan, const struct sighting *gone, uint64_t lost) {
    enum { MOMENT_MS = 20 };
    const bool came_late = orphan->seen && gone->segments > orphan->last.segments;
    const bool peers = orphan->seen ? !came_late : gone->since_ack_ms > MOMENT_MS;
    if (peers && orphan->last.retransmits == 0)
        tell(orphan, FIN_NONE, WHY_PEER_RESET, true, gone, lost);
    else if (peers)
        tell(orphan, FIN_NONE, WHY_OVER, true, gone, lost);
    else
        tell(orphan, FIN_RESET, WHY_AFTER_CLOSE, came_late, gone, lost);
}

/*
 * It is in no table any more. Of how it ended the kernel tells a moment later; what it does not tell is not said.
 * False: the moment is not over.
 */
static bool bury(struct orphan *orphan, uint64_t now) {
    enum { MOMENT_MS = 200 };
    const struct sighting *gone = endings_of(orphan->name.cookie);
    if (!gone) {
        orphan->missing_ms = orphan->missing_ms ? orphan->missing_ms : now;
        orphan->due_ms = now + FIRST_MS;
        return now - orphan->missing_ms > MOMENT_MS;
    }
    /* The FIN counts as one. */
    const uint64_t lost = gone->send_queue > 0 ? gone->send_queue - 1 : 0;
    if (lost > 0)
        tell_reset(orphan, gone, lost);
    else
        tell_sent(orphan, gone);
    return true;
}

static uint64_t patience_of(const struct orphan *orphan, uint64_t now) {
    const uint64_t age = now - orphan->since_ms;
    return age / 4 < FIRST_MS ? FIRST_MS : age / 4 > SELDOM_MS ? SELDOM_MS : age / 4;
}

/* False: it is finished. */
static bool look_at(struct orphan *orphan, uint64_t now) {
    struct sighting sighting;
    if (!sighting_look_up(&orphan->name, &sighting))
        return !bury(orphan, now);
    if (sighting.state == STATE_FIN_WAIT2 || sighting.state == STATE_TIME_WAIT) {
        tell_sent(orphan, &sighting);
        return false;
    }
    if (sighting.inode == 0 && sighting.state != STATE_ESTABLISHED && sighting.state != STATE_CLOSE_WAIT &&
        sighting.not_sent == 0)
        tell_sent(orphan, &sighting);
    orphan->last = sighting;
    orphan->seen = sighting.inode == 0;
    orphan->due_ms = now + patience_of(orphan, now);
    return now - orphan->since_ms < FORGOTTEN_MS;
}

int orphans_look(void) {
    const uint64_t now = clock_running_ms();
    const bool many = endings_look(orphans.count > 0);
    uint64_t next = now + (many ? OFTEN_MS : SELDOM_MS);
    for (size_t i = 0; i < orphans.count;) {
        struct orphan *orphan = &orphans.list[i];
        if (orphan->due_ms <= now && !look_at(orphan, now)) {
            *orphan = orphans.list[--orphans.count];
            continue;
        }
        if (orphan->due_ms < next)
            next = orphan->due_ms;
        i++;
    }
    drain_flush(orphans.drain);
    return (int)(next > now ? next - now : 1);
}
