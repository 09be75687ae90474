#define _GNU_SOURCE
#include "fds_in_flight.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>

#include "session/session.h"
#include "kernel/seccomp_guard.h"
#include "proc_search.h"

/* One copy. turn: when it was sent, in the order of all; 0: the row is free, BEING_WRITTEN: somebody fills it in. */
struct row {
    _Atomic uint64_t turn;
    _Atomic uint64_t cookie;
    _Atomic uint64_t receiver;
};

enum { ROWS = 1024 };
#define BEING_WRITTEN (~0ULL)

struct flights {
    _Atomic uint64_t turns;
    _Atomic bool strangers;
    _Atomic uint32_t end; /* one above the highest row that was ever used */
    struct row rows[ROWS];
};

static struct flights *flights;

static bool is_unix_socket(int fd) {
    int domain = 0;
    socklen_t size = sizeof domain;
    return probe(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, (long)&domain, (long)&size, 0) == 0 && domain == AF_UNIX;
}

/* Whoever gave them to this program may have them still. */
static bool has_unix_sockets(void) {
    struct listing listing;
    bool found = false;
    struct scratch *scratch = scratch_take();
    if (scratch && search_own_begin(&listing, scratch)) {
        for (int fd; !found && (fd = search_own_next(&listing)) >= 0;)
            found = is_unix_socket(fd);
        search_own_end(&listing);
    }
    if (scratch)
        scratch_give(scratch);
    return found;
}

void flight_start(void) {
    flights = session_memory(SESSION_FLIGHT, sizeof *flights);
    if (has_unix_sockets())
        flight_meet_strangers();
}

void flight_meet_strangers(void) {
    if (flights)
        atomic_store(&flights->strangers, true);
}

bool flight_met_strangers(void) {
    return !flights || atomic_load(&flights->strangers);
}

bool flight_any(void) {
    return flights && atomic_load(&flights->turns) > 0;
}

static struct row *row_at(uint32_t i) {
    return flights && i < atomic_load(&flights->end) ? &flights->rows[i] : NULL;
}

static bool is_used(struct row *row) {
    uint64_t turn = atomic_load(&row->turn);
    return turn != 0 && turn != BEING_WRITTEN;
}

static bool row_is_of(struct row *row, uint64_t cookie) {
    return is_used(row) && (cookie == 0 || atomic_load(&row->cookie) == cookie);
}

static void raise_rows_end(uint32_t i) {
    uint32_t end = atomic_load(&flights->end);
    while (i >= end && !atomic_compare_exchange_weak(&flights->end, &end, i + 1))
        ;
}

void flight_sent(uint64_t cookie, uint64_t receiver) {
    for (uint32_t i = 0; flights && i < ROWS; i++) {
        struct row *row = &flights->rows[i];
        uint64_t none = 0;
        if (!atomic_compare_exchange_strong(&row->turn, &none, BEING_WRITTEN))
            continue;
        atomic_store(&row->cookie, cookie);
        atomic_store(&row->receiver, receiver);
        raise_rows_end(i);
        atomic_store(&row->turn, atomic_fetch_add(&flights->turns, 1) + 1);
        return;
    }
}

static struct row *oldest(uint64_t cookie, uint64_t receiver) {
    struct row *found = NULL, *row;
    for (uint32_t i = 0; (row = row_at(i)); i++)
        if (row_is_of(row, cookie) && atomic_load(&row->receiver) == receiver &&
            (!found || atomic_load(&row->turn) < atomic_load(&found->turn)))
            found = row;
    return found;
}

void flight_received(uint64_t cookie, uint64_t receiver) {
    struct row *row = oldest(cookie, receiver);
    if (!row)
        row = oldest(cookie, 0);
    if (row)
        atomic_store(&row->turn, 0);
}

uint64_t flight_next_queue(uint64_t cookie, uint64_t after) {
    uint64_t next = 0;
    struct row *row;
    for (uint32_t i = 0; (row = row_at(i)); i++) {
        uint64_t receiver = row_is_of(row, cookie) ? atomic_load(&row->receiver) : 0;
        if (receiver > after && (next == 0 || receiver < next))
            next = receiver;
    }
    return next;
}

/* How many were sent into the same queue after it. */
static unsigned younger(struct row *row) {
    uint64_t receiver = atomic_load(&row->receiver), turn = atomic_load(&row->turn);
    unsigned count = 0;
    struct row *other;
    for (uint32_t i = 0; (other = row_at(i)); i++)
        count += is_used(other) && atomic_load(&other->receiver) == receiver && atomic_load(&other->turn) > turn;
    return count;
}

unsigned flight_among_last(uint64_t cookie, uint64_t receiver, unsigned there) {
    unsigned count = 0;
    struct row *row;
    for (uint32_t i = 0; (row = row_at(i)); i++)
        count += row_is_of(row, cookie) && atomic_load(&row->receiver) == receiver && younger(row) < there;
    return count;
}

void flight_forget_older(uint64_t receiver, unsigned there) {
    for (struct row *row; (row = oldest(0, receiver)) && younger(row) >= there;)
        atomic_store(&row->turn, 0);
}

void flight_over(uint64_t cookie) {
    struct row *row;
    for (uint32_t i = 0; (row = row_at(i)); i++)
        if (row_is_of(row, cookie))
            atomic_store(&row->turn, 0);
}
