#include "pending_releases.h"

#include <string.h>

#include "calls_under_way.h"
#include "end_claims.h"
#include "kernel/process.h"
#include "pure/session_size.h"

enum { EXPECTED_MAX = SESSION_SIZE(64, 4), CLOSED_MAX = SESSION_SIZE(1024, 8) };
enum { WORDS = (sizeof(struct pending_release) + 7) / 8 };

/*
 * fd was closed in the process, when it was the connection's. cookie: 0 while it is being filled in. Those whose
 * cookies lead to one list follow one another, from the newest on: a turn counts as its number and 1, 0 is none.
 */
struct closed {
    _Atomic uint64_t cookie;
    _Atomic uint64_t where; /* pid << 32 | fd */
    _Atomic uint64_t older; /* the turn before it in its list */
};

struct expectation {
    _Atomic int32_t tid; /* 0: free; below 0: being filled in */
    _Atomic int32_t pid;
    _Atomic uint64_t cookie;
    _Atomic uint64_t words[WORDS]; /* a struct pending_release, see read_expectation() */
};

struct expectations {
    _Atomic int count;
    _Atomic uint32_t odd_options; /* see tcp_socket.h */
    _Atomic uint32_t odd_tables;  /* see process.h */
    struct expectation list[EXPECTED_MAX];
    _Atomic uint64_t turns;
    struct closed closed[CLOSED_MAX];    /* a ring: the place of turn n is n % CLOSED_MAX */
    _Atomic uint64_t newest[CLOSED_MAX]; /* of each list */
} __attribute__((aligned(64)));          /* and what stands behind it */

static _Atomic int nothing;
_Atomic int *release_expected = &nothing;
static struct expectations *expectations;

/* The claims stand behind, and the calls under way. */
size_t release_size(void) {
    return sizeof *expectations + claims_size() + calls_under_way_size();
}

void release_start(void *memory) {
    expectations = memory;
    unsigned char *behind = expectations ? (unsigned char *)(expectations + 1) : NULL;
    claims_start(behind);
    calls_under_way_start(behind ? behind + claims_size() : NULL);
    if (expectations)
        release_expected = &expectations->count;
    if (expectations) {
        socket_odd_options = &expectations->odd_options;
        process_odd_tables = &expectations->odd_tables;
    }
}

static uint64_t where_of(int pid, int fd) {
    return (uint64_t)(uint32_t)pid << 32 | (uint32_t)fd;
}

static _Atomic uint64_t *newest_of(uint64_t cookie) {
    return &expectations->newest[cookie % CLOSED_MAX];
}

/* Nobody who keeps to the rules makes anybody try so often; who does not keeps nobody at it for ever. */
enum { TRIES = 1000 };

/* Turn becomes the newest of its list. */
static void enlist(struct closed *closed, uint64_t cookie, uint64_t turn) {
    uint64_t older = atomic_load(newest_of(cookie));
    int tries = 0;
    do
        atomic_store_explicit(&closed->older, older, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(newest_of(cookie), &older, turn + 1) && tries++ < TRIES);
}

void release_closed(uint64_t cookie, int fd) {
    if (!expectations || process_table_is_other())
        return;
    const uint64_t turn = atomic_fetch_add(&expectations->turns, 1);
    struct closed *closed = &expectations->closed[turn % CLOSED_MAX];
    atomic_store_explicit(&closed->cookie, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&closed->where, where_of(process_id(), fd), memory_order_relaxed);
    atomic_store_explicit(&closed->cookie, cookie, memory_order_release);
    enlist(closed, cookie, turn);
}

/* The one place where a closed number leaves the memory: that of turn, if it is still there. */
static uint64_t closed_at_turn(uint64_t turn, struct release_place *place) {
    struct closed *closed = &expectations->closed[turn % CLOSED_MAX];
    uint64_t cookie = atomic_load_explicit(&closed->cookie, memory_order_acquire);
    const uint64_t where = atomic_load_explicit(&closed->where, memory_order_relaxed);
    place->turn = atomic_load_explicit(&closed->older, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    place->pid = (int)(uint32_t)(where >> 32);
    place->fd = (int)(uint32_t)where;
    return place->pid > 0 && place->fd >= 0 && atomic_load(&closed->cookie) == cookie ? cookie : 0;
}

static uint64_t turns_end(void) {
    return expectations ? atomic_load(&expectations->turns) : 0;
}

uint64_t release_closed_at(int pid, int fd) {
    const uint64_t end = turns_end();
    for (uint64_t i = 1; i <= CLOSED_MAX && i <= end; i++) {
        struct release_place its;
        const uint64_t cookie = closed_at_turn(end - i, &its);
        if (cookie && its.pid == pid && its.fd == fd)
            return cookie;
    }
    return 0;
}

static bool is_there_still(uint64_t turn) {
    return turns_end() - turn <= CLOSED_MAX;
}

/* Not more of them are looked at than there are places, whatever stands in the list. */
bool release_next_place(uint64_t cookie, struct release_place *place) {
    if (!expectations || !cookie)
        return false;
    if (place->looked_at == 0)
        place->turn = atomic_load(newest_of(cookie));
    while (place->turn > 0 && is_there_still(place->turn - 1) && place->looked_at < CLOSED_MAX) {
        place->looked_at++;
        const uint64_t its = closed_at_turn(place->turn - 1, place);
        if (its == cookie)
            return true;
        if (!its)
            break;
    }
    return false;
}

static void write_expectation(struct expectation *expectation, const struct pending_release *what) {
    uint64_t words[WORDS] = {0};
    memcpy(words, what, sizeof *what);
    for (unsigned i = 0; i < WORDS; i++)
        atomic_store_explicit(&expectation->words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&expectation->cookie, what->identity.cookie, memory_order_relaxed);
}

/* Whether a byte that is to be a bool is one: to read another as a bool is undefined. */
static bool is_bool(const void *byte) {
    return *(const unsigned char *)byte <= 1;
}

_Static_assert(sizeof(struct before) == 32 && sizeof(struct identity) == 80, "what is new there is looked at here");

static bool before_is_sound(const struct before *before) {
    return before->state < STATE_COUNT && before->death < WHY_COUNT && is_bool(&before->linger_zero) &&
           is_bool(&before->linger2_negative) && is_bool(&before->repair) && is_bool(&before->fin_sent) &&
           is_bool(&before->fin_unsent) && is_bool(&before->fin_would_wait) && is_bool(&before->was_connected);
}

static bool identity_is_sound(const struct identity *identity) {
    return address_is_sound(&identity->local) && address_is_sound(&identity->remote) && identity->role < ROLE_COUNT &&
           is_bool(&identity->mptcp);
}

/* The one place where an expectation leaves the memory: anybody may have written it. False: it is none. */
static bool read_expectation(const struct expectation *expectation, struct pending_release *what) {
    uint64_t words[WORDS] = {0};
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = atomic_load_explicit(&expectation->words[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    memcpy(what, words, sizeof *what);
    return what->fd >= 0 && is_bool(&what->shared) && before_is_sound(&what->before) &&
           identity_is_sound(&what->identity);
}

static bool is_expected(int tid, uint64_t cookie) {
    for (int i = 0; expectations && i < EXPECTED_MAX; i++)
        if (atomic_load(&expectations->list[i].tid) == tid && atomic_load(&expectations->list[i].cookie) == cookie)
            return true;
    return false;
}

bool release_is_owed(uint64_t cookie) {
    for (int i = 0; expectations && i < EXPECTED_MAX; i++)
        if (atomic_load(&expectations->list[i].tid) > 0 && atomic_load(&expectations->list[i].cookie) == cookie)
            return true;
    return false;
}

void release_expect(const struct pending_release *what, const struct holder *holder) {
    struct claimant whose;
    const uint64_t cookie = what->identity.cookie;
    if (claims_taken(cookie, CLAIM_END, &whose))
        claims_forget_end(cookie, &whose); /* whoever foresaw its end did not know of this thread */
    /* One in CLOSE has nothing to tell of when it is let go of. */
    if (what->before.state == STATE_CLOSE || is_expected(holder->tid, cookie))
        return;
    for (int i = 0; expectations && i < EXPECTED_MAX; i++) {
        int32_t none = 0;
        struct expectation *expectation = &expectations->list[i];
        if (!atomic_compare_exchange_strong(&expectation->tid, &none, -1))
            continue;
        atomic_store_explicit(&expectation->pid, holder->pid, memory_order_relaxed);
        write_expectation(expectation, what);
        atomic_fetch_add(&expectations->count, 1);
        atomic_store(&expectation->tid, holder->tid);
        return;
    }
}

bool release_is_other(int tid, uint64_t cookie) {
    for (int i = 0; atomic_load(release_expected) && expectations && i < EXPECTED_MAX; i++)
        if (atomic_load(&expectations->list[i].tid) == tid && atomic_load(&expectations->list[i].cookie) != cookie)
            return true;
    return false;
}

/* False: another has it, or it was none. */
static bool take_expectation(struct expectation *expectation, int32_t tid, struct pending_release *pending) {
    const bool sound = read_expectation(expectation, pending);
    if (!atomic_compare_exchange_strong(&expectation->tid, &tid, 0))
        return false;
    atomic_fetch_sub(&expectations->count, 1);
    return sound;
}

bool release_settle(int tid, unsigned *at, struct pending_release *pending) {
    while (expectations && *at < EXPECTED_MAX) {
        struct expectation *expectation = &expectations->list[(*at)++];
        if (atomic_load(&expectation->tid) == tid && take_expectation(expectation, tid, pending))
            return true;
    }
    return false;
}

bool release_next_of(int pid, int but, unsigned *at, struct pending_release *pending, bool settle) {
    while (expectations && *at < EXPECTED_MAX) {
        struct expectation *expectation = &expectations->list[(*at)++];
        const int tid = atomic_load(&expectation->tid);
        if (tid <= 0 || tid == but || atomic_load(&expectation->pid) != pid)
            continue;
        if (settle ? take_expectation(expectation, tid, pending)
                   : read_expectation(expectation, pending) && atomic_load(&expectation->tid) == tid)
            return true;
    }
    return false;
}
