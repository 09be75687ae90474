#define _GNU_SOURCE
#include "fds_in_flight.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>

#include "pure/session_size.h"
#include "session/session.h"
#include "kernel/seccomp_guard.h"
#include "proc_search.h"

/* One copy. turn: when it was sent, in the order of all; 0: the row is free, BEING_WRITTEN: somebody fills it in. */
struct row {
    _Atomic uint64_t turn;
    _Atomic uint64_t cookie;
    _Atomic uint64_t receiver;
};

enum { ROWS = SESSION_SIZE(1024, 16) };
#define BEING_WRITTEN (~0ULL)

struct flights {
    _Atomic uint64_t turns;
    _Atomic uint32_t strangers; /* not 0: there are */
    _Atomic uint32_t end;       /* one above the highest row that was ever used */
    struct row rows[ROWS];
    struct address_book book; /* of the connections that were sent */
};

static struct flights *flights;
static _Atomic uint64_t none_sent;
_Atomic uint64_t *flight_turns = &none_sent;

static bool is_unix_socket(int fd) {
    int domain = 0;
    socklen_t size = sizeof domain;
    return probe(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, (long)&domain, (long)&size, 0) == 0 && domain == AF_UNIX;
}

/* Whoever gave them to this program may have them still. */
static bool has_unix_sockets(void) {
    struct listing listing;
    bool found = false;
    OWN_SCRATCH *scratch = scratch_take();
    if (scratch && search_own_begin(&listing, scratch)) {
        for (int fd; !found && (fd = search_own_next(&listing)) >= 0;)
            found = is_unix_socket(fd);
        search_own_end(&listing);
    }
    return found;
}

void flight_start(void) {
    flights = session_memory(SESSION_FLIGHT, sizeof *flights);
    if (flights)
        flight_turns = &flights->turns;
    if (has_unix_sockets())
        flight_meet_strangers();
}

void flight_meet_strangers(void) {
    if (flights)
        atomic_store(&flights->strangers, 1);
}

bool flight_met_strangers(void) {
    return !flights || atomic_load(&flights->strangers) != 0;
}

/* A row as it was read: once, and nothing of it again. */
struct copy {
    uint64_t turn, cookie, receiver;
};

/* Above the highest row that may be used; anybody may have written it. */
static uint32_t rows_end(void) {
    const uint32_t end = flights ? atomic_load(&flights->end) : 0;
    return end < ROWS ? end : ROWS;
}

/* The one place where a row leaves the memory. False: it is free. i: below rows_end(). */
static bool read_row(uint32_t i, struct copy *copy) {
    struct row *row = &flights->rows[i];
    *copy = (struct copy){atomic_load(&row->turn), atomic_load(&row->cookie), atomic_load(&row->receiver)};
    return copy->turn != 0 && copy->turn != BEING_WRITTEN;
}

/* cookie 0: of any. */
static bool copy_is_of(const struct copy *copy, uint64_t cookie) {
    return cookie == 0 || copy->cookie == cookie;
}

static void free_row(uint32_t i) {
    atomic_store(&flights->rows[i].turn, 0);
}

static void raise_rows_end(uint32_t i) {
    uint32_t end = atomic_load(&flights->end);
    for (uint32_t tries = 0; tries < ROWS && i >= end; tries++)
        if (atomic_compare_exchange_weak(&flights->end, &end, i + 1))
            return;
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

void flight_note_ends(uint64_t cookie, const struct ends *ends) {
    if (flights)
        address_book_note(&flights->book, cookie, ends);
}

bool flight_ends(uint64_t cookie, struct ends *ends) {
    return flights && address_book_find(&flights->book, cookie, ends);
}

static bool is_tcp_in(const struct copy *copy, uint64_t receiver) {
    return copy->cookie != FLIGHT_OTHER && (receiver == 0 || copy->receiver == receiver);
}

bool flight_holds_tcp(uint64_t receiver) {
    struct copy copy;
    for (uint32_t i = 0, end = rows_end(); i < end; i++)
        if (read_row(i, &copy) && is_tcp_in(&copy, receiver))
            return true;
    return false;
}

static bool stands_before(uint32_t end, uint64_t receiver, uint64_t cookie) {
    struct copy copy;
    for (uint32_t i = 0; i < end; i++)
        if (read_row(i, &copy) && is_tcp_in(&copy, receiver) && copy.cookie == cookie)
            return true;
    return false;
}

bool flight_next_in(uint64_t receiver, uint32_t *at, uint64_t *cookie) {
    struct copy copy;
    for (uint32_t end = rows_end(); *at < end;) {
        const uint32_t here = (*at)++;
        if (!read_row(here, &copy) || !is_tcp_in(&copy, receiver) || stands_before(here, receiver, copy.cookie))
            continue;
        *cookie = copy.cookie;
        return true;
    }
    return false;
}

/* Its row; false: there is none. */
static bool oldest(uint64_t cookie, uint64_t receiver, uint32_t *row, struct copy *found) {
    bool any = false;
    struct copy copy;
    for (uint32_t i = 0, end = rows_end(); i < end; i++) {
        if (!read_row(i, &copy) || !copy_is_of(&copy, cookie) || copy.receiver != receiver ||
            (any && copy.turn >= found->turn))
            continue;
        *found = copy;
        *row = i;
        any = true;
    }
    return any;
}

void flight_received(uint64_t cookie, uint64_t receiver) {
    uint32_t row;
    struct copy copy;
    if (oldest(cookie, receiver, &row, &copy) || oldest(cookie, 0, &row, &copy))
        free_row(row);
}

uint64_t flight_next_queue(uint64_t cookie, uint64_t after) {
    uint64_t next = 0;
    struct copy copy;
    for (uint32_t i = 0, end = rows_end(); i < end; i++)
        if (read_row(i, &copy) && copy_is_of(&copy, cookie) && copy.receiver > after &&
            (next == 0 || copy.receiver < next))
            next = copy.receiver;
    return next;
}

/* How many were sent into the same queue after it. */
static unsigned younger(const struct copy *than) {
    unsigned count = 0;
    struct copy copy;
    for (uint32_t i = 0, end = rows_end(); i < end; i++)
        count += read_row(i, &copy) && copy.receiver == than->receiver && copy.turn > than->turn;
    return count;
}

unsigned flight_among_last(uint64_t cookie, uint64_t receiver, unsigned there) {
    unsigned count = 0;
    struct copy copy;
    for (uint32_t i = 0, end = rows_end(); i < end; i++)
        count += read_row(i, &copy) && copy_is_of(&copy, cookie) && copy.receiver == receiver && younger(&copy) < there;
    return count;
}

/* Not more than there can be, whoever puts in new ones meanwhile. */
void flight_forget_older(uint64_t receiver, unsigned there) {
    uint32_t row = 0;
    struct copy copy = {0};
    for (uint32_t i = 0; i < ROWS && oldest(0, receiver, &row, &copy) && younger(&copy) >= there; i++)
        free_row(row);
}

void flight_over(uint64_t cookie) {
    struct copy copy;
    for (uint32_t i = 0, end = rows_end(); i < end; i++)
        if (read_row(i, &copy) && copy_is_of(&copy, cookie))
            free_row(i);
}
