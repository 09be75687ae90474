#include "pending_releases.h"

#include "calls_under_way.h"
#include "end_claims.h"
#include "kernel/process.h"

enum { EXPECTED_MAX = 64, CLOSED_MAX = 1024 };

/* fd was closed in the process, when it was the connection's. cookie: 0 while it is being filled in. */
struct closed {
    _Atomic uint64_t cookie;
    _Atomic uint64_t where; /* pid << 32 | fd */
};

struct expectation {
    atomic_int tid; /* 0: free; below 0: being filled in */
    int pid;
    struct pending_release what;
};

struct expectations {
    _Atomic int count;
    atomic_bool odd_options; /* see tcp_socket.h */
    struct expectation list[EXPECTED_MAX];
    _Atomic uint64_t turns;
    struct closed closed[CLOSED_MAX]; /* a ring: the place of turn n is n % CLOSED_MAX */
} __attribute__((aligned(64)));       /* and what stands behind it */

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
    if (expectations)
        socket_odd_options = &expectations->odd_options;
}

static uint64_t where_of(int pid, int fd) {
    return (uint64_t)(uint32_t)pid << 32 | (uint32_t)fd;
}

void release_closed(uint64_t cookie, int fd) {
    if (!expectations || process_is_borrowed())
        return;
    struct closed *closed = &expectations->closed[atomic_fetch_add(&expectations->turns, 1) % CLOSED_MAX];
    atomic_store_explicit(&closed->cookie, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&closed->where, where_of(process_id(), fd), memory_order_relaxed);
    atomic_store_explicit(&closed->cookie, cookie, memory_order_release);
}

/* The one that was closed at turn, if it is still there. */
static uint64_t closed_at_turn(uint64_t turn, uint64_t *where) {
    struct closed *closed = &expectations->closed[turn % CLOSED_MAX];
    uint64_t cookie = atomic_load_explicit(&closed->cookie, memory_order_acquire);
    *where = atomic_load_explicit(&closed->where, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load(&closed->cookie) == cookie ? cookie : 0;
}

uint64_t release_closed_at(int pid, int fd) {
    uint64_t end = expectations ? atomic_load(&expectations->turns) : 0;
    for (uint64_t i = 1, where; i <= CLOSED_MAX && i <= end; i++) {
        uint64_t cookie = closed_at_turn(end - i, &where);
        if (cookie && where == where_of(pid, fd))
            return cookie;
    }
    return 0;
}

/* turn: one above the last that was looked at. */
bool release_next_place(uint64_t cookie, struct release_place *place) {
    uint64_t end = expectations ? atomic_load(&expectations->turns) : 0;
    if (place->turn == 0)
        place->turn = end + 1;
    while (place->turn > 1 && place->turn + CLOSED_MAX > end + 1) {
        uint64_t where;
        place->turn--;
        if (closed_at_turn(place->turn - 1, &where) != cookie)
            continue;
        place->pid = (int)(where >> 32);
        place->fd = (int)(uint32_t)where;
        return true;
    }
    return false;
}

static bool is_expected(int tid, uint64_t cookie) {
    for (int i = 0; expectations && i < EXPECTED_MAX; i++)
        if (atomic_load(&expectations->list[i].tid) == tid && expectations->list[i].what.identity.cookie == cookie)
            return true;
    return false;
}

void release_expect(const struct identity *identity, uint64_t inode, int fd, const struct before *before,
                    const struct holder *holder) {
    struct claimant whose;
    if (claims_taken(identity->cookie, CLAIM_END, &whose))
        claims_forget_end(identity->cookie, &whose); /* whoever foresaw its end did not know of this thread */
    /* One in CLOSE has nothing to tell of when it is let go of. */
    if (before->state == STATE_CLOSE || is_expected(holder->tid, identity->cookie))
        return;
    for (int i = 0; expectations && i < EXPECTED_MAX; i++) {
        int none = 0;
        struct expectation *expectation = &expectations->list[i];
        if (!atomic_compare_exchange_strong(&expectation->tid, &none, -1))
            continue;
        expectation->pid = holder->pid;
        expectation->what =
            (struct pending_release){.fd = fd, .inode = inode, .before = *before, .identity = *identity};
        atomic_fetch_add(&expectations->count, 1);
        atomic_store(&expectation->tid, holder->tid);
        return;
    }
}

bool release_is_other(int tid, uint64_t cookie) {
    for (int i = 0; atomic_load(release_expected) && i < EXPECTED_MAX; i++)
        if (atomic_load(&expectations->list[i].tid) == tid && expectations->list[i].what.identity.cookie != cookie)
            return true;
    return false;
}

static bool take(struct expectation *expectation, int tid, struct pending_release *pending) {
    *pending = expectation->what;
    if (!atomic_compare_exchange_strong(&expectation->tid, &tid, 0))
        return false;
    atomic_fetch_sub(&expectations->count, 1);
    return true;
}

bool release_settle(int tid, unsigned *at, struct pending_release *pending) {
    while (*at < EXPECTED_MAX) {
        struct expectation *expectation = &expectations->list[(*at)++];
        if (atomic_load(&expectation->tid) == tid && take(expectation, tid, pending))
            return true;
    }
    return false;
}

bool release_next_of(int pid, int but, unsigned *at, struct pending_release *pending, bool settle) {
    while (expectations && *at < EXPECTED_MAX) {
        struct expectation *expectation = &expectations->list[(*at)++];
        const int tid = atomic_load(&expectation->tid);
        if (tid <= 0 || tid == but || expectation->pid != pid)
            continue;
        *pending = expectation->what;
        if (settle ? take(expectation, tid, pending) : atomic_load(&expectation->tid) == tid)
            return true;
    }
    return false;
}
