#define _GNU_SOURCE
#include "fd_table.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "ledger.h"
#include "kernel/memory.h"
#include "kernel/process.h"
#include "kernel/seccomp_guard.h"
#include "session/session.h"

/* The slot's words are the identity's. What follows is of whatever stands there: no verdict rests on it. */
struct number {
    struct slot slot;
    _Atomic uint32_t asked; /* by the last write, where that took less; at most UINT32_MAX */
    _Atomic uint8_t last;   /* enum event_last, or LAST_MIXED */
};

_Static_assert(sizeof(struct identity) <= SLOT_WORDS * sizeof(uint64_t), "an identity has room in a slot");
_Static_assert(offsetof(struct identity, cookie) == 0, "its cookie is the slot's first word");

/* Which way the last bytes went cannot be known from this slot alone: for good. */
enum { LAST_MIXED = LAST_COUNT };

enum { CHUNK_SLOTS = 1024, CHUNKS = 1024 };

struct chunk {
    struct number numbers[CHUNK_SLOTS];
};

bool table_on;

static struct chunk first;
static _Atomic(struct chunk *) chunks[CHUNKS] = {&first};
static atomic_int end;

static struct number *number_at(int fd) {
    if (fd < 0 || fd >= CHUNK_SLOTS * CHUNKS)
        return NULL;
    struct chunk *chunk = atomic_load_explicit(&chunks[fd / CHUNK_SLOTS], memory_order_acquire);
    return chunk ? &chunk->numbers[fd % CHUNK_SLOTS] : NULL;
}

static struct number *number_made(int fd) {
    struct number *number = number_at(fd);
    if (number || fd < 0 || fd >= CHUNK_SLOTS * CHUNKS)
        return number;
    struct chunk *chunk = memory_map(sizeof *chunk, false), *none = NULL;
    if (!chunk)
        return NULL;
    if (!atomic_compare_exchange_strong(&chunks[fd / CHUNK_SLOTS], &none, chunk))
        memory_unmap(chunk, sizeof *chunk);
    return number_at(fd);
}

/* 0, which is unknown, where there is none. */
static uint64_t number_word(const struct number *number) {
    return number ? slot_now((struct slot *)(uintptr_t)&number->slot) : 0;
}

/* What the thread has is not what stands here; a vfork child has a copy of that. */
static bool is_strange(void) {
    return __builtin_expect(atomic_load_explicit(process_odd_tables, memory_order_relaxed), 0) &&
           process_table_is_other() && !process_is_borrowed();
}

enum slot_kind table_kind(int fd) {
    if (fd < 0)
        return SLOT_OTHER;
    return is_strange() ? SLOT_UNKNOWN : slot_kind(number_word(number_at(fd)));
}

static bool read_identity(struct number *number, uint64_t word, struct identity *identity) {
    uint64_t words[SLOT_WORDS];
    if (!slot_read(&number->slot, word, words))
        return false;
    memcpy(identity, words, sizeof *identity);
    return true;
}

static void raise_end(int fd) {
    int seen = atomic_load(&end);
    while (fd >= seen && !atomic_compare_exchange_weak(&end, &seen, fd + 1))
        ;
}

/* What stood there as a connection, by that word; 0: none. */
static uint64_t cookie_by(struct number *number, uint64_t word) {
    uint64_t cookie;
    return slot_kind(word) == SLOT_TCP && slot_read_first(&number->slot, word, &cookie) ? cookie : 0;
}

/*
 * Unless it has changed since *word was read. The ledger follows the table: what stands there now is put in before, and
 * what stood there is taken out after, by the one who has taken it out of the slot: so it may have too much, not too
 * little.
 */
static bool change(int fd, struct number *number, uint64_t *word, uint64_t what, const struct identity *identity) {
    uint64_t words[SLOT_WORDS] = {0}, old = cookie_by(number, *word), now = identity ? identity->cookie : 0;
    if (identity)
        memcpy(words, identity, sizeof *identity);
    if (now && now != old)
        ledger_add(now, fd);
    if (!slot_change(&number->slot, word, what, identity ? words : NULL))
        return false;
    if (old && now != old)
        ledger_remove(old, fd);
    atomic_store_explicit(&number->asked, 0, memory_order_relaxed);
    atomic_store_explicit(&number->last, LAST_UNSET, memory_order_relaxed);
    if (identity)
        raise_end(fd);
    return true;
}

/* Of what was asked when the number stood so: what a newer call has brought is not written over. */
static void put_if(int fd, uint64_t word, enum slot_kind kind, const struct identity *identity) {
    struct number *number = process_table_is_other() ? NULL : number_made(fd);
    if (!number)
        return;
    if (identity)
        session_know(identity);
    change(fd, number, &word, slot_what(kind, 0), identity);
}

/* Of what a call has brought there just now. Where another thread writes the slot too, it is unknown in the end. */
static void put(int fd, uint64_t what, const struct identity *identity) {
    struct number *number = process_table_is_other() ? NULL : number_made(fd);
    if (!number)
        return;
    if (identity)
        session_know(identity);
    uint64_t word = slot_now(&number->slot);
    while (!(word & SLOT_BUSY))
        if (change(fd, number, &word, what, identity))
            return;
    if (identity)
        ledger_add(identity->cookie, fd);
    slot_spoil(&number->slot, word);
}

void table_set(int fd, const struct identity *identity) {
    put(fd, slot_what(SLOT_TCP, 0), identity);
}

void table_set_other(int fd) {
    put(fd, slot_what(SLOT_OTHER, 0), NULL);
}

void table_set_unknown(int fd) {
    /* A number beyond the first chunk that was never touched is unknown already. */
    if (number_at(fd))
        put(fd, slot_what(SLOT_UNKNOWN, 0), NULL);
}

void table_set_made(int fd) {
    put(fd, slot_what(SLOT_UNKNOWN, SLOT_MADE), NULL);
    if (!process_table_is_other())
        raise_end(fd);
}

void table_set_found(int fd) {
    put(fd, slot_what(SLOT_UNKNOWN, 0), NULL);
    if (!process_table_is_other())
        raise_end(fd);
}

static void learned(int fd, uint64_t word, struct identity *identity) {
    /* It was made here, and is seen for the first time. */
    const bool made = (word & SLOT_MADE) && !process_table_is_other();
    if (made)
        ledger_born(identity->cookie);
    session_recall(identity);
    /* It came from elsewhere, and may have brought them, or may hand them on to what it accepts. */
    if (identity->role == ROLE_UNKNOWN && !made)
        atomic_store(socket_odd_options, 1);
    put_if(fd, word, SLOT_TCP, identity);
    if (!made)
        table_mark_mixed(fd);
}

/* The kernel is asked; word: how the number stood before that. */
static bool learn(int fd, uint64_t word, struct identity *identity) {
    switch (socket_kind(fd)) {
    case SOCKET_TCP:
        if (!socket_identify(fd, identity))
            return false;
        learned(fd, word, identity);
        return true;
    case SOCKET_OTHER:
        put_if(fd, word, SLOT_OTHER, NULL);
        return false;
    default:
        return false;
    }
}

/* What stands, or stood, at the other number, if it has that cookie. */
static bool recall(int fd, uint64_t cookie, struct identity *identity) {
    struct number *number = number_at(fd);
    return cookie && number && read_identity(number, number_word(number), identity) && identity->cookie == cookie;
}

bool table_find(int fd, bool check, struct identity *identity) {
    struct number *number = number_at(fd);
    if (is_strange())
        return recall(fd, socket_cookie(fd), identity) || learn(fd, 0, identity);
    const uint64_t word = number_word(number);
    if (!number || !slot_can_close(word) || !read_identity(number, word, identity))
        return learn(fd, word, identity);
    if (!check && !(word & SLOT_CLOSING))
        return true;
    const uint64_t cookie = socket_cookie(fd);
    if (cookie == identity->cookie)
        return true;
    /* In a sandbox the cookie may be out of reach: then what was learned before stands. */
    if (cookie == 0 && sandbox_up && !sandbox_allows(SYS_getsockopt, fd, 0, 0, 0, 0, 0))
        return true;
    if (cookie == 0 && !(word & SLOT_CLOSING))
        put_if(fd, word, SLOT_UNKNOWN, NULL);
    return cookie != 0 && learn(fd, word, identity);
}

bool table_duplicated(int fd, int new_fd, struct identity *identity) {
    const bool found = table_find(fd, false, identity);
    const uint64_t cookie = socket_cookie(new_fd);
    if ((found && (cookie == identity->cookie || (!cookie && sandbox_up))) || recall(fd, cookie, identity)) {
        table_set(new_fd, identity);
        return true;
    }
    table_set_unknown(new_fd);
    return table_find(new_fd, true, identity);
}

bool table_closing(int fd, const struct identity *identity, uint64_t *ticket) {
    enum { TIMES = 4 };
    struct number *number = process_table_is_other() ? NULL : number_at(fd);
    *ticket = 0;
    for (int i = 0; number && i < TIMES; i++) {
        struct identity there;
        uint64_t word = slot_now(&number->slot);
        const uint64_t version = *ticket = slot_version(word);
        if (!slot_can_close(word) || !read_identity(number, word, &there) || there.cookie != identity->cookie) {
            if (!table_find(fd, true, &there) || there.cookie != identity->cookie)
                return false;
        } else if (slot_closing(&number->slot, word)) {
            if (slot_kind(word) == SLOT_TCP)
                ledger_remove(identity->cookie, fd);
            *ticket = version;
            return true;
        }
    }
    return true;
}

void table_stays(int fd, const struct identity *identity, uint64_t ticket) {
    struct number *number = process_table_is_other() ? NULL : number_at(fd);
    if (!number)
        return;
    ledger_add(identity->cookie, fd);
    slot_stays(&number->slot, ticket);
}

bool table_closed(int fd, const struct identity *identity, uint64_t ticket) {
    struct number *number = process_table_is_other() ? NULL : number_at(fd);
    if (!number)
        return true;
    if (slot_kind(slot_closed(&number->slot, ticket)) == SLOT_TCP)
        ledger_remove(identity->cookie, fd);
    return slot_tells(&number->slot, ticket);
}

bool table_closed_since(int fd, struct identity *identity) {
    struct number *number = process_table_is_other() ? NULL : number_at(fd);
    const uint64_t word = number_word(number);
    return number && slot_kind(word) == SLOT_TCP && read_identity(number, word, identity) &&
           socket_cookie(fd) != identity->cookie && table_closed(fd, identity, slot_version(word));
}

void table_was_gone(int fd, const struct identity *identity, uint64_t ticket) {
    struct number *number = process_table_is_other() ? NULL : number_at(fd);
    if (number && slot_kind(slot_closed(&number->slot, ticket)) == SLOT_TCP)
        ledger_remove(identity->cookie, fd);
}

unsigned table_seen(int fd) {
    const uint64_t word = is_strange() ? 0 : number_word(number_at(fd));
    return slot_can_close(word) ? (unsigned)(word & SLOT_SEEN) : 0;
}

/* What each of the numbers that refers to the connection is marked with. */
static void mark_all(uint64_t cookie, uint64_t set) {
    for (int fd = 0, limit = table_end(); fd < limit; fd++) {
        struct number *number = number_at(fd);
        const uint64_t word = number_word(number);
        if (number && cookie_by(number, word) == cookie)
            slot_mark(&number->slot, word, set, 0);
    }
}

void table_mark_seen(uint64_t cookie, unsigned seen) {
    if (!process_table_is_other())
        mark_all(cookie, seen);
}

void table_copy_seen(int fd, int new_fd) {
    struct number *number = number_at(new_fd);
    if (number && !process_table_is_other())
        slot_mark(&number->slot, slot_now(&number->slot), table_seen(fd), 0);
}

void table_mark_used(int fd) {
    struct number *number = number_at(fd);
    const uint64_t word = number_word(number);
    if (number && !(word & SEEN_USE) && !process_table_is_other())
        slot_mark(&number->slot, word, SEEN_USE, 0);
}

static void turn(struct number *number, enum event_last last) {
    const uint8_t was = atomic_load_explicit(&number->last, memory_order_relaxed);
    if (was != last && was != LAST_MIXED && !process_table_is_other())
        atomic_store_explicit(&number->last, last, memory_order_relaxed);
}

void table_mark_mixed(int fd) {
    struct number *number = number_at(fd);
    if (number && !process_table_is_other())
        atomic_store_explicit(&number->last, LAST_MIXED, memory_order_relaxed);
}

void table_mark_read(int fd) {
    struct number *number = number_at(fd);
    if (number)
        turn(number, LAST_READ);
}

void table_mark_last(int fd, enum event_last last, size_t asked) {
    struct number *number = number_at(fd);
    if (!number || process_table_is_other())
        return;
    const uint32_t most = asked > UINT32_MAX ? UINT32_MAX : (uint32_t)asked;
    if (last != LAST_UNSET)
        turn(number, last);
    if (atomic_load_explicit(&number->asked, memory_order_relaxed) != most)
        atomic_store_explicit(&number->asked, most, memory_order_relaxed);
}

enum event_last table_last(int fd, uint64_t *asked) {
    struct number *number = number_at(fd);
    *asked = number ? atomic_load_explicit(&number->asked, memory_order_relaxed) : 0;
    const uint8_t last = number ? atomic_load_explicit(&number->last, memory_order_relaxed) : LAST_UNSET;
    return last == LAST_MIXED ? LAST_UNSET : (enum event_last)last;
}

bool table_was_tcp(int fd, struct identity *identity) {
    struct number *number = number_at(fd);
    const uint64_t word = number_word(number);
    return number && (word & SLOT_WAS_TCP) && !process_table_is_other() && read_identity(number, word, identity);
}

void table_forget_closed(int fd) {
    struct number *number = number_at(fd);
    uint64_t word = number_word(number);
    if (number && (word & SLOT_WAS_TCP))
        slot_change(&number->slot, &word, slot_what(SLOT_OTHER, 0), NULL);
}

/* The table was that of a thread which is not here: all is asked again, and some numbers more. */
void table_forget(void) {
    enum { MORE = 64 };
    for (int fd = 0, limit = table_end() + MORE; fd < limit; fd++)
        table_set_found(fd);
}

void table_forked(void) {
    for (int fd = 0, limit = table_end(); fd < limit; fd++) {
        struct number *number = number_at(fd);
        const uint64_t word = number_word(number);
        if (!number)
            continue;
        /* Only where it changes something: a page that is written to is copied. */
        if (word & SLOT_WAS_TCP)
            table_forget_closed(fd);
        slot_forked(&number->slot);
        if (slot_kind(word) != SLOT_TCP || !(word & SEEN_USE))
            continue;
        slot_mark(&number->slot, word, 0, SEEN_USE);
        turn(number, LAST_UNSET);
        atomic_store_explicit(&number->asked, 0, memory_order_relaxed);
    }
}

void table_mark_disconnected(const struct identity *identity) {
    struct identity alone = *identity;
    memset(&alone.remote, 0, sizeof alone.remote);
    alone.role = ROLE_UNKNOWN;
    for (int fd = 0, limit = table_end(); fd < limit; fd++) {
        struct number *number = number_at(fd);
        const uint64_t word = number_word(number);
        if (number && cookie_by(number, word) == identity->cookie)
            put_if(fd, word, SLOT_TCP, &alone);
    }
    table_mark_seen(identity->cookie, SEEN_OWN_RST); /* which whoever has it is told as an error */
}

int table_end(void) {
    return atomic_load(&end);
}

void table_inherit(uint32_t who) {
    for (int fd = 0, limit = table_end(); fd < limit; fd++) {
        struct identity identity;
        if (table_kind(fd) != SLOT_OTHER && table_find(fd, false, &identity))
            ledger_inherit(who, identity.cookie, fd);
    }
}
