#define _GNU_SOURCE
#include "watch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel/clock.h"
#include "look/cookies.h"
#include "look/grow.h"

enum { TICK_MS = 1000, SHARE = 100 }; /* a look may take a hundredth of the time */

/* One that stands. */
struct sleeper {
    struct sighting last;
    uint64_t since_us; /* it has been in this state, and quiet, at least since then */
    uint64_t told_us;  /* for how long it had stood when it was told of last */
    unsigned look;     /* the look at which it was seen last */
    bool withheld;     /* somebody gave it up */
};

static struct {
    struct session *session;
    struct drain *drain;
    const struct settings *settings;
    struct cookies places; /* of the sleepers */
    struct sleeper *list;
    size_t count, room;
    unsigned look;
    uint64_t due_ms, holders_due_ms;
    bool anything; /* a socket of the session's has been heard of */
    struct world *_Atomic before_signal;
    struct world last_world; /* what was seen before a signal */
    struct cookies last_places;
} watch;

static uint64_t monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Of this thread: what a look costs is not what it had to wait for. */
static uint64_t processor_ms(void) {
    struct timespec spent;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return (uint64_t)spent.tv_sec * 1000 + (uint64_t)spent.tv_nsec / 1000000;
}

void watch_begin(struct session *session, struct drain *drain, const struct settings *settings) {
    watch.session = session;
    watch.drain = drain;
    watch.settings = settings;
}

static struct sleeper *find(uint64_t cookie) {
    uint32_t place;
    return cookies_find(&watch.places, cookie, &place) && place < watch.count && watch.list[place].last.cookie == cookie
               ? &watch.list[place]
               : NULL;
}

static struct sleeper *add(const struct sighting *sighting, uint64_t since_us) {
    cookies_put(&watch.places, sighting->cookie, (uint32_t)watch.count);
    struct sleeper *sleeper = GROW(watch.list, watch.count, watch.room);
    *sleeper = (struct sleeper){.last = *sighting, .since_us = since_us, .look = watch.look};
    return sleeper;
}

/* The address book is the session's: whoever writes nonsense there has nonsense watched. */
static bool is_ours(const struct sighting *sighting, struct ends *ends) {
    return address_book_find(&watch.session->book, sighting->cookie, ends);
}

/* A FIN is owed, or a port is: looked at one by one from now on. */
static void note_withheld(const struct event *event) {
    struct sleeper *sleeper = find(event->cookie);
    struct sighting sighting;
    const struct sighting_name name = {event->cookie, event->local, event->remote};
    if (sleeper || !sighting_look_up(&name, &sighting) || sighting.inode == 0)
        return;
    sighting.role = event->role;
    sleeper = add(&sighting, monotonic());
    sleeper->withheld = true;
}

/* Who had worked on it has it no more. A server that hands it on to its child has not, nor has a child that becomes a
 * program. */
static bool is_given_up(const struct event *event) {
    const bool worked = event->used == USED_YES || (event->used == USED_UNSET && event->sent > 0);
    for (unsigned i = 0; i < event->holders_named; i++)
        if (event->holders[i].pid == event->pid && event->holders[i].fd >= 0)
            return false;
    return event->fin == FIN_WITHHELD && worked && (event->verified || event->op == OP_EXIT);
}

void watch_note(const struct event *event) {
    const bool lets_go = event->op == OP_CLOSE || event->op == OP_EXIT || event->op == OP_RELEASE;
    watch.anything = watch.anything || event->has & HAS_SOCKET;
    if (!lets_go || !(event->has & HAS_SOCKET) || event->injected || event->why == WHY_PARKED)
        return;
    const bool listener_held = event->why == WHY_LISTENING && event->holder_count > 0;
    if (is_given_up(event) || listener_held)
        note_withheld(event);
}

static uint64_t quiet_us(const struct sleeper *sleeper, uint64_t now_us) {
    const uint64_t stood = now_us > sleeper->since_us ? now_us - sleeper->since_us : 0;
    const uint64_t idle = 1000 * sighting_idle_ms(&sleeper->last);
    return sleeper->last.has_info && sleeper->last.state != STATE_LISTEN && idle < stood ? idle : stood;
}

/* 2 s, 10 s, each full minute. 0: none between these. */
static uint64_t mark_between(uint64_t told_us, uint64_t quiet) {
    static const uint64_t second = 1000000;
    const uint64_t minute = quiet / (60 * second) * 60 * second;
    const uint64_t mark = minute ? minute : quiet >= 10 * second ? 10 * second : quiet >= 2 * second ? 2 * second : 0;
    return mark > told_us ? mark : 0;
}

static void see(const struct sighting *sighting, uint64_t now_us) {
    struct sleeper *sleeper = find(sighting->cookie);
    const uint64_t stood_us = 1000 * sighting_in_state_ms(sighting);
    struct ends ends;
    if (sleeper && sleeper->last.state == sighting->state && sleeper->last.sent == sighting->sent &&
        sleeper->last.received == sighting->received) {
        const enum event_role role = sleeper->last.role;
        sleeper->last = *sighting;
        sleeper->last.role = role;
        sleeper->look = watch.look;
        return;
    }
    if (!is_ours(sighting, &ends))
        return;
    const uint64_t since_us = now_us > stood_us ? now_us - stood_us : 0;
    if (!sleeper)
        sleeper = add(sighting, since_us);
    sleeper->last = *sighting;
    sleeper->last.role = ends.role;
    sleeper->since_us = since_us;
    sleeper->told_us = 0;
    sleeper->look = watch.look;
}

/* Those that the dump does not show: their state is a healthy one. */
static void see_withheld(uint64_t now_us) {
    for (size_t i = 0; i < watch.count; i++) {
        struct sleeper *sleeper = &watch.list[i];
        struct sighting sighting;
        const struct sighting_name name = {sleeper->last.cookie, sleeper->last.local, sleeper->last.remote};
        if (!sleeper->withheld || sleeper->look == watch.look || !sighting_look_up(&name, &sighting) ||
            sighting.inode == 0)
            continue;
        if (sighting.sent != sleeper->last.sent || sighting.received != sleeper->last.received) {
            sleeper->since_us = now_us;
            sleeper->told_us = 0;
        }
        sighting.role = sleeper->last.role;
        sleeper->last = sighting;
        sleeper->look = watch.look;
    }
}

/* One that was not seen this time has ended, or works again; of how it was seen the dead may still ask. */
static void forget(void) {
    enum { LOOKS_KEPT = 4 };
    size_t kept = 0;
    for (size_t i = 0; i < watch.count; i++)
        if (watch.look - watch.list[i].look < LOOKS_KEPT)
            watch.list[kept++] = watch.list[i];
    if (kept == watch.count)
        return;
    watch.count = kept;
    cookies_clear(&watch.places);
    for (size_t i = 0; i < kept; i++)
        cookies_put(&watch.places, watch.list[i].last.cookie, (uint32_t)i);
}

static void tell(const struct world *world, const struct sighting *sighting) {
    struct sleeper *sleeper = find(sighting->cookie);
    struct event event;
    if (!sleeper || (sighting->holding == NOBODY && sighting->inode == 0))
        return;
    sighting_event(world, sighting, OP_STATE, &event);
    event.would = FIN_UNSET;
    event.has |= HAS_IDLE | HAS_REFS_AFTER;
    event.refs_after = event.refs_before;
    event.idle_us = quiet_us(sleeper, monotonic());
    if (sleeper->withheld && (sighting->state == STATE_ESTABLISHED || sighting->state == STATE_CLOSE_WAIT)) {
        event.fin = FIN_WITHHELD;
        event.why = sighting->holding == NOBODY                 ? WHY_HIDDEN
                    : world->holdings[sighting->holding].fd < 0 ? WHY_CALL_IN_PROGRESS
                                                                : WHY_REFERENCES;
        event.verified = true;
    }
    if (conditions_hold(&watch.settings->only, &event))
        drain_event(watch.drain, &event);
}

/* Who holds those that are due is searched for in one pass. */
static void tell_due(uint64_t now_us) {
    const uint64_t begun_ms = processor_ms();
    struct world world = {0};
    if (now_us / 1000 < watch.holders_due_ms)
        return;
    for (size_t i = 0; i < watch.count; i++) {
        struct sleeper *sleeper = &watch.list[i];
        const uint64_t mark =
            sleeper->look == watch.look ? mark_between(sleeper->told_us, quiet_us(sleeper, now_us)) : 0;
        if (!mark)
            continue;
        sleeper->told_us = mark;
        *GROW(world.list, world.count, world.room) = sleeper->last;
    }
    if (world.count == 0)
        return;
    world.time_us = clock_now();
    world_find_holders(&world, getpid());
    world_find_hidden(&world);
    for (size_t i = 0; i < world.count; i++)
        if (!world.list[i].twice)
            tell(&world, &world.list[i]);
    world_free(&world);
    drain_flush(watch.drain);
    watch.holders_due_ms = now_us / 1000 + SHARE * (processor_ms() - begun_ms);
}

int watch_look(void) {
    static const unsigned standing = STATE_BIT(STATE_CLOSE_WAIT) | STATE_BIT(STATE_FIN_WAIT1) |
                                     STATE_BIT(STATE_FIN_WAIT2) | STATE_BIT(STATE_LAST_ACK) | STATE_BIT(STATE_CLOSING);
    const uint64_t now_us = monotonic(), begun_ms = processor_ms();
    struct world world = {0};
    if (!watch.anything || now_us / 1000 < watch.due_ms)
        return watch.anything ? (int)(watch.due_ms - now_us / 1000) : TICK_MS;
    watch.look++;
    if (world_dump(&world, standing))
        for (size_t i = 0; i < world.count; i++)
            if (world.list[i].inode)
                see(&world.list[i], now_us);
    see_withheld(now_us);
    world_free(&world);
    const uint64_t cost_ms = processor_ms() - begun_ms;
    if (watch.settings->trace & TRACE_END)
        tell_due(now_us);
    forget();
    watch.due_ms = now_us / 1000 + (SHARE * cost_ms > TICK_MS ? SHARE * cost_ms : TICK_MS);
    return TICK_MS;
}

void watch_before_signal(void) {
    struct world *world = zeroed(1, sizeof *world);
    world_dump(world, ALL_STATES & ~STATE_BIT(STATE_LISTEN) & ~STATE_BIT(STATE_TIME_WAIT));
    world = atomic_exchange(&watch.before_signal, world);
    if (world)
        world_free(world);
    free(world);
}

static void take_what_was_seen(void) {
    struct world *world = atomic_exchange(&watch.before_signal, NULL);
    if (!world)
        return;
    world_free(&watch.last_world);
    cookies_clear(&watch.last_places);
    watch.last_world = *world;
    free(world);
    for (size_t i = 0; i < watch.last_world.count; i++)
        cookies_put(&watch.last_places, watch.last_world.list[i].cookie, (uint32_t)i);
}

const struct sighting *watch_last(uint64_t cookie) {
    uint32_t place;
    take_what_was_seen();
    if (cookies_find(&watch.last_places, cookie, &place))
        return &watch.last_world.list[place];
    const struct sleeper *sleeper = find(cookie);
    return sleeper ? &sleeper->last : NULL;
}
