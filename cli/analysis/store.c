#include "analysis/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader/hash.h"

/* LOOKED_AT: how many that are alike are tried, in one place of a table. */
enum { LOOKED_AT = 1000, BLOCK_SIZE = 1 << 16, ALIGNMENT = 16, FIRST_HEADS = 256, NO_MEMORY = 125 };

/* Another connection between the same addresses, and not the other end of one so long ago. */
static const uint64_t stale_us = 60 * 1000000ULL;

struct block {
    struct block *next;
    size_t used, size;
    _Alignas(ALIGNMENT) char bytes[];
};

static void *zeroed(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) {
        fputs("closetrace: out of memory\n", stderr);
        exit(NO_MEMORY);
    }
    return memory;
}

void *store_take(struct analysis *analysis, size_t size) {
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct block *block = analysis->blocks;
    if (!block || block->size - block->used < size) {
        const size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = zeroed(1, sizeof *block + room);
        block->size = room;
        block->next = analysis->blocks;
        analysis->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    return memory;
}

bool store_may_look(struct analysis *analysis) {
    enum { ALL_LOOKS = 5000000 };
    return analysis->looks++ < ALL_LOOKS;
}

char *store_text(struct analysis *analysis, const char *text, size_t length) {
    char *copy = store_take(analysis, length + 1);
    memcpy(copy, text, length);
    return copy;
}

void store_free(struct analysis *analysis) {
    while (analysis->blocks) {
        struct block *next = analysis->blocks->next;
        free(analysis->blocks);
        analysis->blocks = next;
    }
    free(analysis->by_cookie.heads);
    free(analysis->by_tuple.heads);
    free(analysis->by_pid.heads);
    free(analysis->by_local.heads);
}

static uint64_t tuple_hash(const struct address *local, const struct address *remote) {
    return hash_pair(hash_address(local), hash_address(remote));
}

static uint64_t hash_of_cookie(const void *item) {
    return hash_number(((const struct endpoint *)item)->cookie);
}

static uint64_t hash_of_tuple(const void *item) {
    const struct endpoint *endpoint = item;
    return tuple_hash(&endpoint->local, &endpoint->remote);
}

static uint64_t hash_of_pid(const void *item) {
    return hash_number((uint64_t)((const struct process *)item)->pid);
}

static uint64_t hash_of_local(const void *item) {
    return hash_address(&((const struct listener *)item)->local);
}

/* How a kind of record is chained in its table. */
struct chain {
    size_t next; /* the offset of the pointer to the next one */
    uint64_t (*hash)(const void *item);
};

static const struct chain cookie_chain = {offsetof(struct endpoint, next_cookie), hash_of_cookie};
static const struct chain tuple_chain = {offsetof(struct endpoint, next_tuple), hash_of_tuple};
static const struct chain pid_chain = {offsetof(struct process, next), hash_of_pid};
static const struct chain local_chain = {offsetof(struct listener, next), hash_of_local};

static void **next_of(void *item, const struct chain *chain) {
    return (void **)((char *)item + chain->next);
}

static void *first_at(const struct table *table, uint64_t hash) {
    return table->size > 0 ? table->heads[hash & (table->size - 1)] : NULL;
}

static void push(struct table *table, const struct chain *chain, void *item) {
    void **head = &table->heads[chain->hash(item) & (table->size - 1)];
    *next_of(item, chain) = *head;
    *head = item;
}

/* Those of one chain keep their order, so that the newest of equals stays the first. */
static void grow(struct table *table, const struct chain *chain) {
    struct table larger = {.size = table->size > 0 ? table->size * 2 : FIRST_HEADS, .count = table->count};
    larger.heads = zeroed(larger.size, sizeof *larger.heads);
    for (size_t i = 0; i < table->size; i++) {
        void *reversed = NULL;
        for (void *item = table->heads[i], *next; item; item = next) {
            next = *next_of(item, chain);
            *next_of(item, chain) = reversed;
            reversed = item;
        }
        for (void *next; reversed; reversed = next) {
            next = *next_of(reversed, chain);
            push(&larger, chain, reversed);
        }
    }
    free(table->heads);
    *table = larger;
}

static void put(struct table *table, const struct chain *chain, void *item) {
    if (table->count >= table->size)
        grow(table, chain);
    table->count++;
    push(table, chain, item);
}

static bool differs(const struct address *a, const struct address *b) {
    return !address_is_unspecified(a) && !address_is_unspecified(b) && !address_equal(a, b);
}

/* Cookies of different machines, or boots, may be the same: then the addresses are not. */
static bool is_it(const struct endpoint *endpoint, const struct event *event) {
    return endpoint->cookie == event->cookie && !differs(&endpoint->remote, &event->remote);
}

/* Of so many with one cookie, which nobody has who has not forged them, some are no longer looked at. */
static struct endpoint *find_endpoint(const struct analysis *analysis, const struct event *event) {
    struct endpoint *endpoint = first_at(&analysis->by_cookie, hash_number(event->cookie));
    for (int i = 0; endpoint && i < LOOKED_AT; i++, endpoint = endpoint->next_cookie)
        if (is_it(endpoint, event))
            return endpoint;
    return NULL;
}

struct endpoint *store_endpoint(struct analysis *analysis, const struct event *event) {
    struct endpoint *endpoint = find_endpoint(analysis, event);
    if (endpoint)
        return endpoint;
    endpoint = store_take(analysis, sizeof *endpoint);
    endpoint->cookie = event->cookie;
    endpoint->first_us = event->op == OP_ACCEPT ? event_ended_at(event) : event->time_us;
    put(&analysis->by_cookie, &cookie_chain, endpoint);
    if (analysis->last)
        analysis->last->next = endpoint;
    else
        analysis->first = endpoint;
    analysis->last = endpoint;
    analysis->totals.sockets++;
    return endpoint;
}

struct process *store_process(struct analysis *analysis, int pid, bool make) {
    struct process *process = first_at(&analysis->by_pid, hash_number((uint64_t)pid));
    while (process && process->pid != pid)
        process = process->next;
    if (process || !make)
        return process;
    process = store_take(analysis, sizeof *process);
    process->pid = pid;
    put(&analysis->by_pid, &pid_chain, process);
    return process;
}

struct listener *store_listener(struct analysis *analysis, const struct address *local) {
    struct listener *listener = first_at(&analysis->by_local, hash_address(local));
    while (listener && !address_equal(&listener->local, local))
        listener = listener->next;
    if (listener)
        return listener;
    listener = store_take(analysis, sizeof *listener);
    listener->local = *local;
    put(&analysis->by_local, &local_chain, listener);
    return listener;
}

static bool is_acceptor(const struct listener *listener, int pid) {
    for (unsigned i = 0; i < listener->acceptor_count && i < ACCEPTORS_MAX; i++)
        if (listener->acceptors[i] == pid)
            return true;
    return false;
}

void store_acceptor(struct analysis *analysis, const struct endpoint *endpoint, int pid) {
    struct listener *listener = store_listener(analysis, &endpoint->local);
    if (is_acceptor(listener, pid))
        return;
    if (listener->acceptor_count < ACCEPTORS_MAX)
        listener->acceptors[listener->acceptor_count] = pid;
    listener->acceptor_count++;
}

bool store_accepts(struct analysis *analysis, const struct address *local, int pid) {
    const struct listener *listener = store_listener(analysis, local);
    return listener->acceptor_count > ACCEPTORS_MAX || is_acceptor(listener, pid);
}

static bool overlap(const struct endpoint *a, const struct endpoint *b) {
    return a->first_us <= b->last_us + stale_us && b->first_us <= a->last_us + stale_us;
}

static bool mirrors(const struct endpoint *a, const struct endpoint *b) {
    return address_equal(&a->local, &b->remote) && address_equal(&a->remote, &b->local) && a != b;
}

static uint64_t apart(const struct endpoint *a, const struct endpoint *b) {
    return a->first_us > b->first_us ? a->first_us - b->first_us : b->first_us - a->first_us;
}

/* Of several the nearest in time: ports are used again. */
static struct endpoint *find_peer(const struct analysis *analysis, const struct endpoint *endpoint) {
    struct endpoint *best = NULL;
    struct endpoint *other = first_at(&analysis->by_tuple, tuple_hash(&endpoint->remote, &endpoint->local));
    for (int i = 0; other && i < LOOKED_AT; i++, other = other->next_tuple)
        if (!other->peer && mirrors(endpoint, other) && overlap(endpoint, other) &&
            (!best || apart(endpoint, other) < apart(endpoint, best)))
            best = other;
    return best;
}

void store_pair(struct analysis *analysis) {
    for (struct endpoint *endpoint = analysis->first; endpoint; endpoint = endpoint->next)
        if (endpoint_is_connection(endpoint))
            put(&analysis->by_tuple, &tuple_chain, endpoint);
    for (struct endpoint *endpoint = analysis->first; endpoint; endpoint = endpoint->next) {
        struct endpoint *peer =
            endpoint->peer || !endpoint_is_connection(endpoint) ? NULL : find_peer(analysis, endpoint);
        if (!peer)
            continue;
        endpoint->peer = peer;
        peer->peer = endpoint;
    }
}

static void copy_call(char into[32], const char **call) {
    if (!*call)
        return;
    snprintf(into, 32, "%s", *call);
    *call = into;
}

void store_keep(struct analysis *analysis, struct kept **slot, const struct event *event) {
    if (!*slot)
        *slot = store_take(analysis, sizeof **slot);
    struct kept *kept = *slot;
    struct event *copy = &kept->event;
    bool first = true;
    *copy = *event;
    copy->version = copy->finding = copy->injected = copy->not_injected = copy->not_injected_why = copy->rule = NULL;
    copy->command = copy->rules = copy->sockets = copy->evidence = NULL;
    copy_call(kept->call, &copy->call);
    for (unsigned i = 0; i < copy->holders_named; i++) {
        if (copy->holders[i].call && first)
            copy_call(kept->holder_call, &copy->holders[i].call);
        else
            copy->holders[i].call = NULL;
        first = first && !copy->holders[i].call;
    }
}
