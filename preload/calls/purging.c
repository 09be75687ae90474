#include "purging.h"

#include <string.h>

#include "closing.h"
#include "passing_fds.h"
#include "kernel/memory.h"
#include "kernel/process.h"
#include "kernel/sock_diag.h"
#include "output/event_socket.h"
#include "output/log.h"
#include "refs/end_claims.h"
#include "refs/fd_table.h"
#include "refs/references.h"
#include "refs/unix_queues.h"

enum { PURGED_MAX = 16 };

struct purged {
    struct closing closing;
    unsigned copies; /* in the queue, before */
};

static const size_t list_size = PURGED_MAX * sizeof(struct purged);

/* How it stands is known from the kernel alone: there is no descriptor. False: it is over, or cannot be asked about. */
static bool find_out(uint64_t cookie, struct closing *closing, struct scratch *scratch) {
    struct ends ends;
    struct diag_answer answer;
    if (!flight_ends(cookie, &ends))
        return false;
    struct identity identity = {.cookie = cookie,
                                .namespace = ends.namespace,
                                .local = ends.local,
                                .remote = ends.remote,
                                .role = (enum event_role)ends.role};
    if (!diag_prepare(&identity, STATE_CLOSE, scratch))
        return false;
    diag_look_up(&identity, scratch, &answer);
    if (!answer.found || !answer.inode)
        return false;
    closing_of_no_descriptor(closing, &identity, &answer);
    return true;
}

static void gather_purged(struct purge *purge, const struct call *call, struct scratch *scratch) {
    uint64_t cookie;
    for (uint32_t at = 0; purge->count < PURGED_MAX && flight_next_in(purge->receiver, &at, &cookie);) {
        struct purged *purged = &purge->list[purge->count];
        if (!find_out(cookie, &purged->closing, scratch))
            continue;
        purged->closing.call = *call;
        purged->copies = flight_among_last(cookie, purge->receiver, ~0U);
        purge->count++;
    }
}

void purge_look(struct purge *purge, int fd, bool closes, const char *name, const void *caller) {
    uint64_t receiver = log_wants(TRACE_END) && flight_holds_tcp(0) ? socket_inode(fd) : 0;
    struct scratch *scratch = receiver && flight_holds_tcp(receiver) ? scratch_take() : NULL;
    if (!scratch)
        return;
    *purge = (struct purge){.list = memory_map(list_size, false), .receiver = receiver, .fd = closes ? -1 : fd};
    struct call call = call_entering(name, caller);
    const int there = queue_at(fd, scratch);
    if (there >= 0) /* strangers may have received some of them */
        flight_forget_older(receiver, (unsigned)there);
    if (purge->list)
        gather_purged(purge, &call, scratch);
    scratch_give(scratch);
}

/* How many copies the queue holds now; below 0: nobody can say. */
static int left_in_queue(const struct purge *purge) {
    struct search_row holders;
    bool unreadable = false;
    struct scratch *scratch = scratch_take();
    if (!scratch)
        return -1;
    int there =
        purge->fd >= 0 ? queue_at(purge->fd, scratch) : queues_of(purge->receiver, scratch, &unreadable, &holders);
    scratch_give(scratch);
    return there < 0 && purge->fd < 0 && !unreadable ? 0 : there;
}

/* Nobody has it, and it lives on: the queue's socket is in a queue itself, and only the kernel's collector ends that.
 */
static bool lives_on(const struct closing *closing, struct scratch *scratch) {
    struct diag_answer answer;
    struct references references;
    diag_look_up(&closing->identity, scratch, &answer);
    if (!answer.found || !answer.inode)
        return false;
    references_count(answer.inode, closing->identity.cookie, scratch, &references);
    return references_total(&references) == 0;
}

/*
 * Where strangers send and receive too, it may have been another's copy that went: only of a socket that is gone now
 * it is certain.
 */
static bool is_certain(const struct closing *closing) {
    struct diag_answer answer;
    OWN_SCRATCH *scratch = flight_met_strangers() ? scratch_take() : NULL;
    if (!scratch)
        return !flight_met_strangers();
    diag_look_up(&closing->identity, scratch, &answer);
    return answer.asked && !(answer.found && answer.inode);
}

static bool queue_lives_on(const struct purge *purge) {
    struct scratch *scratch = purge->fd < 0 && purge->count ? scratch_take() : NULL;
    bool lives = scratch && lives_on(&purge->list[0].closing, scratch);
    if (scratch)
        scratch_give(scratch);
    return lives;
}

void purge_tell(struct purge *purge, const struct msghdr *message) {
    int there = queue_lives_on(purge) ? -1 : left_in_queue(purge);
    for (unsigned i = 0; there >= 0 && i < purge->count; i++) {
        struct purged *purged = &purge->list[i];
        uint64_t cookie = purged->closing.identity.cookie;
        unsigned left = flight_among_last(cookie, purge->receiver, (unsigned)there);
        unsigned received = message ? rights_received(message, cookie) : 0;
        if (left + received < purged->copies && is_certain(&purged->closing))
            closing_released(&purged->closing, purged->copies - left - received);
    }
    if (there >= 0 && purge->fd < 0)
        flight_forget_older(purge->receiver, (unsigned)there);
    memory_unmap(purge->list, list_size);
    purge->list = NULL;
}

static bool is_open_here(uint64_t cookie) {
    struct identity identity;
    for (int fd = 0, end = table_end(); fd < end; fd++)
        if (table_kind(fd) == SLOT_TCP && table_find(fd, true, &identity) && identity.cookie == cookie)
            return true;
    return false;
}

/* Foreseen, as an exit is. */
static void foresee_purge(struct closing *closing, const struct references *references, const struct call *call,
                          struct scratch *scratch) {
    struct claimant claimant = {.pid = process_id()};
    struct remaining remaining = references_remaining(references);
    struct before *before = &closing->standing.before;
    struct verdict verdict = verdict_predict(ENDING_RELEASE, 0, before, &remaining);
    bool ends = verdict.fin == FIN_RESET || verdict.why == WHY_LAST_REFERENCE;
    if (ends && claims_take_end(closing->identity.cookie, verdict.why == WHY_LAST_REFERENCE, &claimant) != END_IS_OURS)
        return;
    struct event *event = log_event(scratch, OP_RELEASE, call);
    event_set_socket(event, -1, &closing->identity);
    event->state_before = before->state;
    event_set_verdict(event, &verdict);
    references_note(references, (int)references->purged, event);
    if (verdict.fin == FIN_WITHHELD || verdict.why == WHY_LISTENING)
        references_name_holders(references, event);
    log_emit(scratch);
}

static void end_copies_of(uint64_t cookie, struct closing *closing, const struct call *call, struct scratch *scratch) {
    struct references references;
    if (is_open_here(cookie) || !find_out(cookie, closing, scratch))
        return;
    references_count(closing->inode, cookie, scratch, &references);
    references_count_in_flight(cookie, ENDS, scratch, &references);
    if (references.purged)
        foresee_purge(closing, &references, call, scratch);
}

void purge_ends(const struct call *call) {
    struct closing *closing =
        flight_any() && flight_holds_tcp(0) && log_wants(TRACE_END) ? memory_map(sizeof *closing, false) : NULL;
    struct scratch *scratch = closing ? scratch_take() : NULL;
    uint64_t cookie;
    for (uint32_t at = 0; scratch && flight_next_in(0, &at, &cookie);)
        end_copies_of(cookie, closing, call, scratch);
    if (scratch)
        scratch_give(scratch);
    if (closing)
        memory_unmap(closing, sizeof *closing);
}
