#include "fault_count.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "kernel/thread.h"
#include "pure/rules.h"
#include "pure/session_size.h"
#include "session/session.h"

enum { CONNECTIONS = SESSION_SIZE(16384, 32), WINDOW = 16 };

/* Of one rule on one connection. key: cookie and rule; 0: free. */
struct connection {
    _Atomic uint64_t key;
    _Atomic uint64_t matched;
};

struct shared {
    _Atomic uint64_t matched[RULES_MAX], fired[RULES_MAX];
    struct connection connections[CONNECTIONS];
};

struct own {
    _Atomic uint64_t matched[RULES_MAX], fired[RULES_MAX];
};

static struct shared *shared;
static struct own own;

struct of_thread {
    uint32_t matched[RULES_MAX];
};
THREAD_OWN(struct of_thread, of_thread)
static struct of_thread of_strangers; /* threads that are not libc's count together */

void fault_count_start(void) {
    shared = session_memory(SESSION_RULES, sizeof *shared);
}

void fault_count_forked(void) {
    memset(&own, 0, sizeof own);
    struct of_thread *thread = of_thread();
    if (thread)
        memset(thread, 0, sizeof *thread);
}

/*
 * Cookies ascend and are never used again: where the window is full, the oldest connection makes place. Two processes
 * that come to the same place at once may lose a count of it, never a place.
 */
static struct connection *connection_of(uint64_t key) {
    struct connection *oldest = NULL;
    size_t start = (size_t)(key * 0x9E3779B97F4A7C15ULL >> 40);
    for (size_t i = 0; i < WINDOW; i++) {
        struct connection *place = &shared->connections[(start + i) % CONNECTIONS];
        uint64_t found = 0;
        if (atomic_load(&place->key) == key || atomic_compare_exchange_strong(&place->key, &found, key) || found == key)
            return place;
        if (!oldest || atomic_load(&place->key) < atomic_load(&oldest->key))
            oldest = place;
    }
    atomic_store(&oldest->key, key);
    atomic_store(&oldest->matched, 0);
    return oldest;
}

static struct of_thread *count_of_thread(void) {
    struct of_thread *thread = of_thread();
    return thread ? thread : &of_strangers;
}

uint64_t fault_count_match(unsigned i, enum rule_scope scope, uint64_t cookie) {
    uint64_t in_process = atomic_fetch_add(&own.matched[i], 1) + 1;
    uint64_t in_session = shared ? atomic_fetch_add(&shared->matched[i], 1) + 1 : in_process;
    switch (scope) {
    case SCOPE_THREAD:
        return ++count_of_thread()->matched[i];
    case SCOPE_SESSION:
        return in_session;
    case SCOPE_CONNECTION:
        if (shared && cookie)
            return atomic_fetch_add(&connection_of(cookie * RULES_MAX + i)->matched, 1) + 1;
        return in_process;
    default:
        return in_process;
    }
}

void fault_count_fired(unsigned i, int change) {
    atomic_fetch_add(&own.fired[i], (uint64_t)(int64_t)change);
    if (shared)
        atomic_fetch_add(&shared->fired[i], (uint64_t)(int64_t)change);
}

struct fault_counts fault_count_of(unsigned i) {
    struct fault_counts counts = {
        .matched = atomic_load(&own.matched[i]), .fired = atomic_load(&own.fired[i]), .fired_anywhere = false};
    counts.fired_anywhere = counts.fired || (shared && atomic_load(&shared->fired[i]));
    return counts;
}
