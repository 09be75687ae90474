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

/*
 * A writer makes version odd, writes, makes it even again; a reader that saw it odd or changed takes nothing and
 * asks the kernel. A writer that finds it odd gives up and leaves the slot unknown: it was interrupted, or raced
 * by, somebody who writes it now.
 */
struct slot {
    _Atomic uint32_t version;
    _Atomic uint8_t kind;   /* enum slot_kind */
    _Atomic uint8_t seen;   /* enum seen */
    _Atomic bool made;      /* SLOT_UNKNOWN: by a socket() that was seen */
    _Atomic bool was_tcp;   /* SLOT_OTHER: closed, and `identity` is what it was */
    _Atomic uint32_t asked; /* by the last write, where that took less; at most UINT32_MAX */
    _Atomic uint8_t last;   /* enum event_last, or LAST_MIXED */
    struct identity identity;
};

/* Which way the last bytes went cannot be known from this slot alone: for good. */
enum { LAST_MIXED = LAST_COUNT };

enum { CHUNK_SLOTS = 1024, CHUNKS = 1024 };

struct chunk {
    struct slot slots[CHUNK_SLOTS];
};

bool table_on;

static struct chunk first;
static _Atomic(struct chunk *) chunks[CHUNKS] = {&first};
static atomic_int end;

static struct slot *slot_of(int fd) {
    if (fd < 0 || fd >= CHUNK_SLOTS * CHUNKS)
        return NULL;
    struct chunk *chunk = atomic_load_explicit(&chunks[fd / CHUNK_SLOTS], memory_order_acquire);
    return chunk ? &chunk->slots[fd % CHUNK_SLOTS] : NULL;
}

static struct slot *slot_made(int fd) {
    struct slot *slot = slot_of(fd);
    if (slot || fd < 0 || fd >= CHUNK_SLOTS * CHUNKS)
        return slot;
    struct chunk *chunk = memory_map(sizeof *chunk, false), *none = NULL;
    if (!chunk)
        return NULL;
    if (!atomic_compare_exchange_strong(&chunks[fd / CHUNK_SLOTS], &none, chunk))
        memory_unmap(chunk, sizeof *chunk);
    return slot_of(fd);
}

enum slot_kind table_kind(int fd) {
    if (fd < 0)
        return SLOT_OTHER;
    struct slot *slot = slot_of(fd);
    return slot ? atomic_load_explicit(&slot->kind, memory_order_acquire) : SLOT_UNKNOWN;
}

static bool slot_read(struct slot *slot, struct identity *identity) {
    uint32_t before = atomic_load_explicit(&slot->version, memory_order_acquire);
    if (before & 1)
        return false;
    *identity = slot->identity;
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&slot->version, memory_order_relaxed) == before;
}

static void slot_write(struct slot *slot, enum slot_kind kind, const struct identity *identity, unsigned seen) {
    uint32_t version = atomic_load(&slot->version);
    if ((version & 1) || !atomic_compare_exchange_strong(&slot->version, &version, version + 1)) {
        atomic_store(&slot->kind, SLOT_UNKNOWN);
        return;
    }
    atomic_thread_fence(memory_order_release); /* whoever reads what follows finds the version odd, or another one */
    if (identity)
        slot->identity = *identity;
    atomic_store_explicit(&slot->seen, seen, memory_order_relaxed);
    atomic_store_explicit(&slot->made, false, memory_order_relaxed);
    atomic_store_explicit(&slot->was_tcp, false, memory_order_relaxed);
    atomic_store_explicit(&slot->asked, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->last, LAST_UNSET, memory_order_relaxed);
    atomic_store_explicit(&slot->kind, kind, memory_order_release);
    atomic_store_explicit(&slot->version, version + 2, memory_order_release);
}

static void raise_end(int fd) {
    int seen = atomic_load(&end);
    while (fd >= seen && !atomic_compare_exchange_weak(&end, &seen, fd + 1))
        ;
}

/* The ledger follows the table: what stood in the slot is taken out, what stands there now is put in. */
static void tell_ledger(struct slot *slot, int fd, const struct identity *identity) {
    struct identity old;
    bool was = atomic_load(&slot->kind) == SLOT_TCP && slot_read(slot, &old);
    if (was && identity && old.cookie == identity->cookie)
        return;
    if (was)
        ledger_remove(old.cookie, fd);
    if (identity)
        ledger_add(identity->cookie, fd);
}

static void put(int fd, enum slot_kind kind, const struct identity *identity) {
    if (process_is_borrowed())
        return;
    struct slot *slot = slot_made(fd);
    if (!slot)
        return;
    tell_ledger(slot, fd, identity);
    if (identity)
        session_know(identity);
    slot_write(slot, kind, identity, 0);
    if (kind == SLOT_TCP)
        raise_end(fd);
}

void table_set(int fd, const struct identity *identity) {
    put(fd, SLOT_TCP, identity);
}

void table_set_other(int fd) {
    put(fd, SLOT_OTHER, NULL);
}

void table_set_unknown(int fd) {
    /* A number beyond the first chunk that was never touched is unknown already. */
    if (slot_of(fd))
        put(fd, SLOT_UNKNOWN, NULL);
}

void table_set_made(int fd) {
    put(fd, SLOT_UNKNOWN, NULL);
    struct slot *slot = process_is_borrowed() ? NULL : slot_of(fd);
    if (!slot)
        return;
    atomic_store(&slot->made, true);
    raise_end(fd);
}

void table_set_found(int fd) {
    put(fd, SLOT_UNKNOWN, NULL);
    if (!process_is_borrowed())
        raise_end(fd);
}

/* It was made here, and is seen for the first time. */
static bool is_new(int fd) {
    struct slot *slot = slot_of(fd);
    return slot && atomic_load(&slot->kind) == SLOT_UNKNOWN && atomic_load(&slot->made) && !process_is_borrowed();
}

static bool learn(int fd, struct identity *identity) {
    switch (socket_kind(fd)) {
    case SOCKET_TCP:
        if (!socket_identify(fd, identity))
            return false;
        bool made = is_new(fd);
        if (made)
            ledger_born(identity->cookie);
        session_recall(identity);
        /* It came from elsewhere, and may have brought them, or may hand them on to what it accepts. */
        if (identity->role == ROLE_UNKNOWN && !made)
            atomic_store(socket_odd_options, true);
        table_set(fd, identity);
        if (!made)
            table_mark_mixed(fd);
        return true;
    case SOCKET_OTHER:
        table_set_other(fd);
        return false;
    default:
        return false;
    }
}

bool table_find(int fd, bool check, struct identity *identity) {
    struct slot *slot = slot_of(fd);
    if (!slot || atomic_load(&slot->kind) != SLOT_TCP || !slot_read(slot, identity))
        return learn(fd, identity);
    if (!check)
        return true;
    uint64_t cookie = socket_cookie(fd);
    if (cookie == identity->cookie)
        return true;
    /* In a sandbox the cookie may be out of reach: then what was learned before stands. */
    if (cookie == 0 && sandbox_up && !sandbox_allows(SYS_getsockopt, fd, 0, 0, 0, 0, 0))
        return true;
    if (cookie == 0)
        table_set_unknown(fd);
    return cookie != 0 && learn(fd, identity);
}

unsigned table_closing(int fd) {
    if (process_is_borrowed())
        return 0;
    table_set_unknown(fd);
    struct slot *slot = slot_of(fd);
    return slot ? atomic_load(&slot->version) : 0;
}

void table_closed(int fd, unsigned ticket) {
    struct slot *slot = slot_of(fd);
    if (!slot || process_is_borrowed() || !atomic_compare_exchange_strong(&slot->version, &ticket, ticket + 1))
        return;
    atomic_store_explicit(&slot->was_tcp, true, memory_order_relaxed);
    atomic_store_explicit(&slot->kind, SLOT_OTHER, memory_order_release);
    atomic_store_explicit(&slot->version, ticket + 2, memory_order_release);
}

unsigned table_seen(int fd) {
    struct slot *slot = slot_of(fd);
    return slot ? atomic_load(&slot->seen) : 0;
}

void table_mark_seen(uint64_t cookie, unsigned seen) {
    if (process_is_borrowed())
        return;
    int limit = table_end();
    for (int fd = 0; fd < limit; fd++) {
        struct slot *slot = slot_of(fd);
        if (slot && atomic_load(&slot->kind) == SLOT_TCP && slot->identity.cookie == cookie)
            atomic_fetch_or(&slot->seen, seen);
    }
}

void table_copy_seen(int fd, int new_fd) {
    struct slot *slot = slot_of(new_fd);
    if (slot && !process_is_borrowed())
        atomic_fetch_or(&slot->seen, (uint8_t)table_seen(fd));
}

void table_mark_used(int fd) {
    struct slot *slot = slot_of(fd);
    if (slot && !(atomic_load_explicit(&slot->seen, memory_order_relaxed) & SEEN_USE) && !process_is_borrowed())
        atomic_fetch_or(&slot->seen, SEEN_USE);
}

static void turn(struct slot *slot, enum event_last last) {
    const uint8_t was = atomic_load_explicit(&slot->last, memory_order_relaxed);
    if (was != last && was != LAST_MIXED && !process_is_borrowed())
        atomic_store_explicit(&slot->last, last, memory_order_relaxed);
}

void table_mark_mixed(int fd) {
    struct slot *slot = slot_of(fd);
    if (slot && !process_is_borrowed())
        atomic_store_explicit(&slot->last, LAST_MIXED, memory_order_relaxed);
}

void table_mark_read(int fd) {
    struct slot *slot = slot_of(fd);
    if (slot)
        turn(slot, LAST_READ);
}

void table_mark_last(int fd, enum event_last last, size_t asked) {
    struct slot *slot = slot_of(fd);
    if (!slot || process_is_borrowed())
        return;
    const uint32_t most = asked > UINT32_MAX ? UINT32_MAX : (uint32_t)asked;
    if (last != LAST_UNSET)
        turn(slot, last);
    if (atomic_load_explicit(&slot->asked, memory_order_relaxed) != most)
        atomic_store_explicit(&slot->asked, most, memory_order_relaxed);
}

enum event_last table_last(int fd, uint64_t *asked) {
    struct slot *slot = slot_of(fd);
    *asked = slot ? atomic_load_explicit(&slot->asked, memory_order_relaxed) : 0;
    const uint8_t last = slot ? atomic_load_explicit(&slot->last, memory_order_relaxed) : LAST_UNSET;
    return last == LAST_MIXED ? LAST_UNSET : (enum event_last)last;
}

bool table_was_tcp(int fd, struct identity *identity) {
    struct slot *slot = slot_of(fd);
    return slot && atomic_load_explicit(&slot->was_tcp, memory_order_relaxed) && !process_is_borrowed() &&
           slot_read(slot, identity);
}

void table_forget_closed(int fd) {
    struct slot *slot = slot_of(fd);
    if (slot)
        atomic_store(&slot->was_tcp, false);
}

void table_forked(void) {
    for (int fd = 0, limit = table_end(); fd < limit; fd++) {
        struct slot *slot = slot_of(fd);
        if (!slot)
            continue;
        /* Only where it changes something: a page that is written to is copied. */
        if (atomic_load_explicit(&slot->was_tcp, memory_order_relaxed))
            atomic_store_explicit(&slot->was_tcp, false, memory_order_relaxed);
        if (!(atomic_load_explicit(&slot->seen, memory_order_relaxed) & SEEN_USE))
            continue;
        atomic_fetch_and_explicit(&slot->seen, (uint8_t)~SEEN_USE, memory_order_relaxed);
        turn(slot, LAST_UNSET);
        atomic_store_explicit(&slot->asked, 0, memory_order_relaxed);
    }
}

void table_mark_disconnected(const struct identity *identity) {
    struct identity alone = *identity;
    memset(&alone.remote, 0, sizeof alone.remote);
    alone.role = ROLE_UNKNOWN;
    for (int fd = 0, limit = table_end(); fd < limit; fd++) {
        struct slot *slot = slot_of(fd);
        if (slot && atomic_load(&slot->kind) == SLOT_TCP && slot->identity.cookie == identity->cookie)
            table_set(fd, &alone);
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
