#include "release.h"

#include <errno.h>
#include <string.h>

#include "closing.h"
#include "diag.h"
#include "process.h"

enum { EXPECTED_MAX = 32 };

struct expectation {
    atomic_int tid; /* 0: free; below 0: being filled in */
    int fd;
    struct identity identity;
};

atomic_int release_expected;
static struct expectation expectations[EXPECTED_MAX];

void release_expect(const struct identity *identity, int fd, const struct holder *holder) {
    if (holder->pid != process_id() || process_is_borrowed())
        return;
    for (int i = 0; i < EXPECTED_MAX; i++) {
        int none = 0;
        struct expectation *expectation = &expectations[i];
        if (!atomic_compare_exchange_strong(&expectation->tid, &none, -1))
            continue;
        expectation->fd = fd;
        expectation->identity = *identity;
        atomic_fetch_add(&release_expected, 1);
        atomic_store(&expectation->tid, holder->tid);
        return;
    }
}

static struct verdict sent(bool verified) {
    return (struct verdict){.fin = FIN_SENT, .why = WHY_LAST_REFERENCE, .verified = verified};
}

/*
 * Its last reference is gone now, the kernel says so. What stood in its receive queue when the call returned nobody
 * could see: not found after something came in is an RST, most likely, unless the peer's end tells otherwise.
 */
static struct verdict judge(const struct expectation *expectation, const struct diag_answer *answer, long result,
                            struct scratch *scratch) {
    struct diag_answer peer;
    if (answer->found && answer->fin_unsent)
        return (struct verdict){.fin = FIN_QUEUED, .why = WHY_LAST_REFERENCE, .verified = true};
    if (answer->found)
        return sent(true);
    if (result < 0 && errno == ECONNRESET)
        return (struct verdict){.fin = FIN_NONE, .why = WHY_PEER_RESET, .verified = true};
    diag_look_up_peer(&expectation->identity, scratch, &peer);
    if (peer.found || result == 0)
        return sent(true);
    return result > 0 ? (struct verdict){.fin = FIN_RESET, .why = WHY_UNREAD_DATA} : sent(false);
}

static void report(const struct expectation *expectation, const struct call *call, long result) {
    struct diag_answer answer;
    struct scratch *scratch = scratch_take();
    if (!scratch)
        return;
    diag_look_up(&expectation->identity, scratch, &answer);
    /* Somebody else has it still, and will tell. */
    if (answer.asked && !(answer.found && answer.inode)) {
        struct verdict verdict = judge(expectation, &answer, result, scratch);
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

void release_happened(const char *call, const void *caller, long result) {
    int saved = errno;
    int tid = process_thread_id();
    for (int i = 0; i < EXPECTED_MAX; i++) {
        struct expectation *expectation = &expectations[i];
        if (atomic_load(&expectation->tid) != tid)
            continue;
        struct expectation ours;
        ours.fd = expectation->fd;
        ours.identity = expectation->identity;
        atomic_store(&expectation->tid, 0);
        atomic_fetch_sub(&release_expected, 1);
        struct call done = call_begin(call, caller);
        errno = saved;
        report(&ours, &done, result);
    }
    errno = saved;
}

void release_forked(void) {
    atomic_store(&release_expected, 0);
    for (int i = 0; i < EXPECTED_MAX; i++)
        atomic_store(&expectations[i].tid, 0);
}
