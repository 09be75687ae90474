#include "late_release.h"

#include <errno.h>
#include <string.h>

#include "refs/end_claims.h"
#include "closing.h"
#include "kernel/sock_diag.h"
#include "session/session.h"
#include "kernel/process.h"
#include "refs/references.h"

enum { EXPECTED_MAX = 64, CLOSED_MAX = 1024 };

/* fd was closed in the process, when it was the connection's. cookie: 0 while it is being filled in. */
struct closed {
    _Atomic uint64_t cookie;
    _Atomic uint64_t where; /* pid << 32 | fd */
};

struct expectation {
    atomic_int tid; /* 0: free; below 0: being filled in */
    int fd;
    uint64_t inode;
    struct before before;
    struct identity identity;
};

struct expectations {
    _Atomic int count;
    atomic_bool odd_options; /* see socket.h */
    struct expectation list[EXPECTED_MAX];
    _Atomic uint64_t told[EXPECTED_MAX]; /* cookies of connections of whose end a thread has told, by their hash */
    _Atomic uint64_t turns;
    struct closed closed[CLOSED_MAX]; /* a ring: the place of turn n is n % CLOSED_MAX */
};

static _Atomic int nothing;
_Atomic int *release_expected = &nothing;
static struct expectations *expectations;

/* The claims stand behind. */
void release_start(void) {
    expectations = session_memory(SESSION_RELEASE, sizeof *expectations + claims_size());
    claims_start(expectations ? expectations + 1 : NULL);
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
        if (atomic_load(&expectations->list[i].tid) == tid && expectations->list[i].identity.cookie == cookie)
            return true;
    return false;
}

void release_expect(const struct identity *identity, uint64_t inode, int fd, const struct before *before,
                    const struct holder *holder) {
    claims_forget(identity->cookie, CLAIM_END); /* whoever foresaw its end did not know of this thread */
    bool sends_nothing = before->state == STATE_CLOSE || before->state == STATE_LISTEN; /* when it is let go of */
    if (sends_nothing || is_expected(holder->tid, identity->cookie))
        return;
    for (int i = 0; expectations && i < EXPECTED_MAX; i++) {
        int none = 0;
        struct expectation *expectation = &expectations->list[i];
        if (!atomic_compare_exchange_strong(&expectation->tid, &none, -1))
            continue;
        expectation->fd = fd;
        expectation->inode = inode;
        expectation->before = *before;
        expectation->identity = *identity;
        atomic_fetch_add(&expectations->count, 1);
        atomic_store(&expectation->tid, holder->tid);
        return;
    }
}

bool release_is_other(int tid, uint64_t cookie) {
    for (int i = 0; atomic_load(release_expected) && i < EXPECTED_MAX; i++)
        if (atomic_load(&expectations->list[i].tid) == tid && expectations->list[i].identity.cookie != cookie)
            return true;
    return false;
}

static struct verdict say(enum event_fin fin, enum event_why why, bool verified) {
    return (struct verdict){.fin = fin, .why = why, .verified = verified};
}

/*
 * Its last reference is gone now, the kernel says so. What stood in its receive queue when the call returned nobody
 * could see, nor whether the peer's FIN had come: not found after something came in is an RST, most likely, unless the
 * peer's end tells otherwise, and what for is not proved.
 */
static struct verdict judge(const struct expectation *expectation, const struct diag_answer *answer, long result,
                            bool reset, struct scratch *scratch) {
    struct diag_answer peer;
    const struct before *before = &expectation->before;
    bool had_left = before->state == STATE_FIN_WAIT1 || before->state == STATE_FIN_WAIT2 ||
                    before->state == STATE_CLOSING || before->state == STATE_LAST_ACK;
    enum event_fin orderly = had_left ? FIN_ALREADY : FIN_SENT;
    enum event_why why = had_left ? WHY_AFTER_SHUTDOWN : WHY_LAST_REFERENCE;
    /* Its RST leaves when the peer has acknowledged the FIN. */
    if (answer->found && before->linger2_negative && answer->state == STATE_FIN_WAIT1)
        return say(FIN_RESET, WHY_LINGER2, false);
    if (answer->found)
        return say(answer->fin_unsent ? FIN_QUEUED : orderly, why, true);
    if (reset || (result < 0 && errno == ECONNRESET))
        return say(FIN_NONE, WHY_PEER_RESET, true);
    diag_look_up_peer(&expectation->identity, scratch, &peer);
    if (peer.found)
        return say(orderly, why, true);
    if (before->linger_zero)
        return say(FIN_RESET, WHY_LINGER_ZERO, result == 0);
    if (before->linger2_negative && before->state != STATE_CLOSE_WAIT && result <= 0)
        return say(FIN_RESET, WHY_LINGER2, false);
    return result > 0 ? say(FIN_RESET, WHY_UNREAD_DATA, false) : say(orderly, why, result == 0);
}

/* Of several threads that were inside calls on it, all may find it gone: the first tells. */
static bool is_told(uint64_t cookie) {
    return atomic_exchange(&expectations->told[cookie % EXPECTED_MAX], cookie) == cookie;
}

/* Who closed it at the same moment may have said already that he ended it. */
static bool is_claimed(const struct expectation *expectation, const struct verdict *verdict) {
    struct claim_winner winner;
    bool claims = verdict->fin == FIN_RESET || verdict->why == WHY_LAST_REFERENCE;
    return claims && !claims_take(expectation->identity.cookie, CLAIM_END, expectation->fd, &winner);
}

/*
 * Whether somebody else has it still, and will tell. A connection that is over is not found any more, or as TIME_WAIT,
 * though it is held; perhaps: by a copy of which it is not certain that it is still under way.
 */
static bool is_held(const struct expectation *expectation, const struct diag_answer *answer, struct scratch *scratch,
                    bool *perhaps) {
    struct references references;
    *perhaps = false;
    if (answer->found && answer->state != STATE_TIME_WAIT)
        return answer->inode != 0;
    references_count(expectation->inode, expectation->identity.cookie, scratch, &references);
    *perhaps = references_total(&references) > 0;
    return references.row.descriptors > references.row.believed || (references.in_flight && !references.partial);
}

static void report(const struct expectation *expectation, const struct call *call, long result, bool reset) {
    struct diag_answer answer;
    struct scratch *scratch = scratch_take();
    if (!scratch)
        return;
    diag_look_up(&expectation->identity, scratch, &answer);
    bool perhaps;
    if (answer.asked && !is_held(expectation, &answer, scratch, &perhaps) && !is_told(expectation->identity.cookie)) {
        struct verdict verdict = judge(expectation, &answer, result, reset, scratch);
        if (is_claimed(expectation, &verdict)) {
            scratch_give(scratch);
            return;
        }
        struct event *event = log_event(scratch, OP_RELEASE, call);
        event->has |= HAS_FD;
        event->fd = expectation->fd;
        event_set_socket(event, &expectation->identity);
        event->has |= HAS_REFS_BEFORE | HAS_REFS_AFTER;
        event->state_after = answer.found ? answer.state : STATE_CLOSE;
        event->fin = verdict.fin;
        event->why = verdict.why;
        event->verified = verdict.verified && !perhaps;
        log_emit(scratch);
    }
    scratch_give(scratch);
}

void release_happened(const char *call, const void *caller, long result, bool reset) {
    int saved = errno;
    int tid = process_thread_id();
    for (int i = 0; i < EXPECTED_MAX; i++) {
        struct expectation *expectation = &expectations->list[i];
        if (atomic_load(&expectation->tid) != tid)
            continue;
        struct expectation ours;
        ours.fd = expectation->fd;
        ours.inode = expectation->inode;
        ours.before = expectation->before;
        ours.identity = expectation->identity;
        atomic_store(&expectation->tid, 0);
        atomic_fetch_sub(&expectations->count, 1);
        struct call done = call_entering(call, caller);
        errno = saved;
        report(&ours, &done, result, reset);
    }
    errno = saved;
}
