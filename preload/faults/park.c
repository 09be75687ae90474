#define _GNU_SOURCE
#include "park.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "epoll_sets.h"
#include "park_thread.h"
#include "refs/ledger.h"
#include "kernel/memory.h"
#include "kernel/own_fds.h"
#include "kernel/process.h"
#include "refs/references.h"
#include "kernel/seccomp_guard.h"
#include "output/event_socket.h"
#include "refs/standing.h"
#include "session/session.h"

enum state { FREE, KEPT, PARKED, LEAVING };

struct record {
    _Atomic int state;
    int ledger_fd; /* as which the ledger knows it */
    const struct rule *rule;
    struct identity identity;
    uint64_t until; /* nanoseconds of the monotonic clock; 0: no end is set */
    short events;   /* of poll(), that say that the peer has closed */
    bool ask_state; /* they say nothing of a connection whose receiving side is shut down: its state does */
    bool was_over;  /* the peer had closed before */
};

/* As many as there are guests: a guest's is at its place. */
static struct record *records;
static struct pollfd *polled; /* one more, for park_thread_poll() */
static _Atomic int releasing; /* the keeper ends one just now, and has not told of it yet */
static int *polled_places;    /* of those that are polled */

static park_release *end_parked;
static void work(void);

enum { LOOK_EVERY_MS = 20, MILLISECOND = 1000000, MICROSECOND = 1000 };

void park_start(park_release *release) {
    end_parked = release;
}

/* One mapping for all, on first need. */
static bool have_memory(void) {
    static _Atomic(void *) memory;
    enum { EACH = sizeof *records + sizeof *polled + sizeof *polled_places };
    void *made = atomic_load(&memory), *none = NULL;
    if (!made) {
        made = memory_map((size_t)(OWN_GUESTS + 1) * EACH, false);
        if (made && !atomic_compare_exchange_strong(&memory, &none, made)) {
            memory_unmap(made, (size_t)(OWN_GUESTS + 1) * EACH);
            made = none;
        }
    }
    if (made) {
        records = made;
        polled = (void *)(records + OWN_GUESTS + 1);
        polled_places = (void *)(polled + OWN_GUESTS + 1);
    }
    return made;
}

static void set_end(struct record *record, const struct rule *rule, int fd) {
    bool limited = rule_has(rule, PART_HOLD);
    record->was_over = socket_peer_has_closed(socket_state(fd));
    record->ask_state = rule->as == WAY_SHUT_RD || rule->as == WAY_SHUT_RDWR;
    record->events = limited || record->was_over || record->ask_state ? 0 : POLLRDHUP;
}

static struct parked refused(const char *why) {
    return (struct parked){.place = -1, .fd = -1, .refusal = why};
}

struct parked park_keep(int fd, const struct identity *identity, const struct rule *rule) {
    if (process_is_borrowed())
        return refused("a vfork child cannot park a connection");
    if (sandbox_up)
        return refused("in a sandbox no file descriptor can be made to park it");
    /* The command looks after it, where there is one. */
    if (!have_memory() || (!session_is_open() && !park_thread_start(work)))
        return refused("no thread can be made to look after it");
    int place = own_keep(fd);
    if (place < 0)
        return refused("no file descriptor is left to park it");
    struct record *record = &records[place];
    record->identity = *identity;
    record->rule = rule;
    record->until = 0;
    record->ledger_fd = own_guest(place);
    set_end(record, rule, fd);
    atomic_store(&record->state, KEPT);
    ledger_add(identity->cookie, record->ledger_fd);
    epoll_sets_forget(fd);
    return (struct parked){.place = place, .fd = record->ledger_fd};
}

bool park_with_command(int fd, uint64_t cookie, const struct rule *rule, bool outlives) {
    struct session_request request = {.cookie = cookie, .outlives = outlives, .limited = rule_has(rule, PART_HOLD)};
    request.hold_us = rule->hold / MICROSECOND;
    request.ask_state = rule->as == WAY_SHUT_RD || rule->as == WAY_SHUT_RDWR;
    strncpy(request.rule, rule->text, sizeof request.rule - 1);
    return session_park(fd, &request);
}

void park_begin(const struct parked *parked) {
    struct record *record = &records[parked->place];
    if (park_with_command(parked->fd, record->identity.cookie, record->rule, false)) {
        park_give_up(parked);
        return;
    }
    park_thread_start(work);
    if (rule_has(record->rule, PART_HOLD))
        record->until = clock_running() + record->rule->hold;
    atomic_store(&record->state, PARKED);
    park_thread_wake();
}

static bool claim_record(struct record *record) {
    int expected = PARKED;
    return atomic_compare_exchange_strong(&record->state, &expected, LEAVING);
}

static void forget(int place) {
    ledger_remove(records[place].identity.cookie, records[place].ledger_fd);
    atomic_store(&records[place].state, FREE);
    own_let_go(place);
}

void park_give_up(const struct parked *parked) {
    int fd = own_guest(parked->place);
    forget(parked->place);
    if (fd >= 0)
        probe(SYS_close, fd, 0, 0, 0, 0, 0);
}

static bool is_still_it(const struct record *record, int fd) {
    return fd >= 0 && socket_cookie(fd) == record->identity.cookie;
}

/* The one place where a parked connection ends while the process lives. */
static void release(int place) {
    struct record *record = &records[place];
    int fd = own_guest(place);
    atomic_store(&releasing, 1);
    if (!claim_record(record)) {
        atomic_store(&releasing, 0);
        return;
    }
    struct identity identity = record->identity;
    struct call call = {.name = NULL, .begun = clock_now(), .rule = record->rule};
    bool there = is_still_it(record, fd);
    forget(place);
    if (there)
        end_parked(fd, &identity, &call);
    atomic_store(&releasing, 0);
}

/* Milliseconds until something is due, -1: for ever; fills polled and places. */
static int collect(size_t *count) {
    uint64_t time = clock_running(), nearest = UINT64_MAX;
    *count = 0;
    for (int place = 0, end = own_guests_end(); place < end; place++) {
        struct record *record = &records[place];
        if (atomic_load(&record->state) != PARKED)
            continue;
        if (record->until && record->until < nearest)
            nearest = record->until;
        if (record->ask_state) {
            uint64_t look = time + (uint64_t)LOOK_EVERY_MS * MILLISECOND;
            nearest = look < nearest ? look : nearest;
            continue;
        }
        polled[*count] = (struct pollfd){.fd = own_guest(place), .events = record->events};
        polled_places[(*count)++] = place;
    }
    if (nearest == UINT64_MAX)
        return -1;
    return nearest <= time ? 0 : (int)((nearest - time + MILLISECOND - 1) / MILLISECOND);
}

static bool is_over(const struct record *record, int fd) {
    return socket_hold_is_over(socket_state(fd), !rule_has(record->rule, PART_HOLD) && !record->was_over);
}

static void release_those_due(void) {
    uint64_t time = clock_running();
    for (int place = 0, end = own_guests_end(); place < end; place++) {
        struct record *record = &records[place];
        if (atomic_load(&record->state) != PARKED)
            continue;
        if ((record->until && record->until <= time) || (record->ask_state && is_over(record, own_guest(place))))
            release(place);
    }
}

static void work(void) {
    size_t count;
    int wait = collect(&count);
    park_thread_poll(polled, count, wait);
    for (size_t i = 0; i < count; i++)
        if (polled[i].revents)
            release(polled_places[i]);
    release_those_due();
}

/* What becomes of it is foreseen: the kernel closes it when the process has ended. */
static void foresee(int place, const struct call *call, struct scratch *scratch) {
    const struct record *record = &records[place];
    struct references references;
    struct standing standing;
    int fd = own_guest(place);
    if (!is_still_it(record, fd))
        return;
    standing_of(fd, &record->identity, true, &standing);
    references_count(socket_inode(fd), record->identity.cookie, scratch, &references);
    references_leave_out(&references, fd);
    struct remaining remaining = references_remaining(&references);
    struct verdict verdict = verdict_predict(ENDING_RELEASE, 0, &standing.before, &remaining);
    struct call of_rule = *call;
    of_rule.rule = record->rule;
    of_rule.rule_failed = NULL;
    struct event *event = log_event(scratch, OP_RELEASE, &of_rule);
    event_set_socket(event, fd, &record->identity);
    event_set_standing(event, &standing);
    references_note(&references, 1, event);
    event_set_verdict(event, &verdict);
    if (verdict.fin == FIN_WITHHELD)
        references_name_holders(&references, event);
    log_emit(scratch);
}

/* The end of the process would take the keeper's last word from it: a moment is waited for that, and no more. */
static void let_keeper_finish(void) {
    enum { TIMES = 500, PAUSE_NS = 200000 };
    struct timespec pause = {.tv_nsec = PAUSE_NS};
    for (int i = 0; i < TIMES && atomic_load(&releasing); i++)
        if (probe(SYS_nanosleep, (long)&pause, 0, 0, 0, 0, 0) == -EPERM)
            return;
}

void park_ends(const struct call *call) {
    if (!records || process_is_borrowed())
        return;
    let_keeper_finish();
    for (int place = 0, end = own_guests_end(); place < end; place++) {
        OWN_SCRATCH *scratch = claim_record(&records[place]) ? log_scratch() : NULL;
        if (!scratch)
            continue;
        foresee(place, call, scratch);
    }
}

static void take_back(int place, const struct call *call, int error) {
    OWN_SCRATCH *scratch = error ? log_scratch() : NULL;
    if (!scratch)
        return;
    struct event *event = log_event(scratch, OP_RELEASE, call);
    event_set_socket(event, own_guest(place), &records[place].identity);
    event_set_result(event, -1, error);
    log_emit(scratch);
}

void park_goes_on(const struct call *call, int error) {
    if (!records || process_is_borrowed())
        return;
    for (int place = 0, end = own_guests_end(); place < end; place++) {
        int leaving = LEAVING;
        if (!atomic_compare_exchange_strong(&records[place].state, &leaving, PARKED))
            continue;
        take_back(place, call, error);
    }
    park_thread_wake();
}

void park_forked(void) {
    park_thread_forked();
    atomic_store(&releasing, 0);
    for (int place = 0, end = own_guests_end(); records && place < end; place++)
        atomic_store(&records[place].state, FREE);
}
