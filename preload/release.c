#include "release.h"

#include <errno.h>
#include <string.h>

#include "closing.h"
#include "diag.h"
#include "memory.h"
#include "process.h"

enum { EXPECTED_MAX = 64 };

struct expectation {
    atomic_int tid; /* 0: free; below 0: being filled in */
    int fd;
    struct before before;
    struct identity identity;
};

struct expectations {
    _Atomic int count;
    struct expectation list[EXPECTED_MAX];
};

static _Atomic int nothing;
_Atomic int *release_expected = &nothing;
static struct expectations *expectations;

void release_start(void) {
    expectations = memory_map(sizeof *expectations, true);
    if (expectations)
        release_expected = &expectations->count;
}

void release_expect(const struct identity *identity, int fd, const struct before *before, const struct holder *holder) {
    for (int i = 0; expectations && i < EXPECTED_MAX; i++) {
        int none = 0;
        struct expectation *expectation = &expectations->list[i];
        if (!atomic_compare_exchange_strong(&expectation->tid, &none, -1))
            continue;
        expectation->fd = fd;
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
 * could see: not found after something came in is an RST, most likely, unless the peer's end tells otherwise.
 */
static struct verdict judge(const struct expectation *expectation, const struct diag_answer *answer, long result,
                            bool reset, struct scratch *scratch) {
    struct diag_answer peer;
    const struct before *before = &expectation->before;
    bool had_left = before->state == STATE_FIN_WAIT1 || before->state == STATE_FIN_WAIT2 ||
                    before->state == STATE_CLOSING || before->state == STATE_LAST_ACK;
    enum event_fin orderly = had_left ? FIN_ALREADY : FIN_SENT;
    enum event_why why = had_left ? WHY_AFTER_SHUTDOWN : WHY_LAST_REFERENCE;
    if (answer->found)
        return say(answer->fin_unsent ? FIN_QUEUED : orderly, why, true);
    if (reset || (result < 0 && errno == ECONNRESET))
        return say(FIN_NONE, WHY_PEER_RESET, true);
    if (before->linger_zero)
        return say(FIN_RESET, WHY_LINGER_ZERO, true);
    if (before->linger2_negative && before->state != STATE_CLOSE_WAIT)
        return say(FIN_RESET, WHY_LINGER2, true);
    diag_look_up_peer(&expectation->identity, scratch, &peer);
    if (peer.found || result == 0)
        return say(orderly, why, true);
    return result > 0 ? say(FIN_RESET, WHY_UNREAD_DATA, false) : say(orderly, why, false);
}

static void report(const struct expectation *expectation, const struct call *call, long result, bool reset) {
    struct diag_answer answer;
    struct scratch *scratch = scratch_take();
    if (!scratch)
        return;
    diag_look_up(&expectation->identity, scratch, &answer);
    /* Somebody else has it still, and will tell. */
    if (answer.asked && !(answer.found && answer.inode)) {
        struct verdict verdict = judge(expectation, &answer, result, reset, scratch);
        struct event *event = log_event(scratch, OP_RELEASE, call);
        event->has |= HAS_FD;
        event->fd = expectation->fd;
        event_set_socket(event, &expectation->identity);
        event->has |= HAS_REFS_BEFORE | HAS_REFS_AFTER;
        event->state_after = answer.found ? answer.state : STATE_CLOSE;
        event->fin = verdict.fin;
        event->why = verdict.why;
        event->verified = verdict.verified;
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
        ours.before = expectation->before;
        ours.identity = expectation->identity;
        atomic_store(&expectation->tid, 0);
        atomic_fetch_sub(&expectations->count, 1);
        struct call done = call_begin(call, caller);
        errno = saved;
        report(&ours, &done, result, reset);
    }
    errno = saved;
}
