#define _GNU_SOURCE
#include "held.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kernel/sock_diag.h"
#include "kernel/thread_call.h"
#include "notify.h"
#include "output/event_socket.h"
#include "refs/end_claims.h"
#include "refs/proc_search.h"

enum { CLIENTS = 1 << 16, PORTS = 1 << 16 };

/* By cookie: the last that had the place. One that is over has no names any more. */
static struct known {
    uint64_t cookie;
    bool is_client;
    struct address local, remote;
} known[CLIENTS];
static unsigned char listened[PORTS / 8];

void held_connects(uint64_t cookie) {
    known[cookie % CLIENTS] = (struct known){.cookie = cookie, .is_client = true};
}

void held_listens(const struct address *local) {
    listened[local->port / 8] |= (unsigned char)(1 << local->port % 8);
}

static enum event_role role_of(const struct identity *identity) {
    const struct known *seen = &known[identity->cookie % CLIENTS];
    if (seen->cookie == identity->cookie && seen->is_client)
        return ROLE_CLIENT;
    const bool is_served = listened[identity->local.port / 8] >> identity->local.port % 8 & 1;
    return is_served && !address_is_unspecified(&identity->remote) ? ROLE_SERVER : ROLE_UNKNOWN;
}

static void recall_names(struct identity *identity) {
    struct known *seen = &known[identity->cookie % CLIENTS];
    const bool is_same = seen->cookie == identity->cookie;
    if (!address_is_unspecified(&identity->remote)) {
        *seen = (struct known){.cookie = identity->cookie,
                               .is_client = is_same && seen->is_client,
                               .local = identity->local,
                               .remote = identity->remote};
    } else if (is_same && !address_is_unspecified(&seen->remote)) {
        identity->local = seen->local;
        identity->remote = seen->remote;
    }
}

static bool is_in_no_table(enum tcp_state state) {
    return state == STATE_CLOSE || state == STATE_UNSET;
}

bool held_look_at(int copy, struct held *held) {
    if (socket_kind(copy) != SOCKET_TCP || !socket_identify(copy, &held->identity))
        return false;
    recall_names(&held->identity);
    held->identity.role = role_of(&held->identity);
    OWN_SCRATCH *scratch = scratch_take();
    socket_stand(copy, held->identity.role, true, &held->standing);
    held->can_ask = scratch && diag_prepare(&held->identity, held->standing.before.state, scratch);
    return true;
}

static bool is_held_socket(uint64_t number, void *context) {
    const struct held *held = context;
    return number == (uint64_t)held->fd;
}

/* To look at all threads of a large program costs more than a close; a call on what does not block is soon over. */
static bool may_block(const struct patient *patient, int copy) {
    enum { FEW = 16 };
    const uint64_t threads = patient_threads(patient);
    return threads > 1 && (threads <= FEW || !(fcntl(copy, F_GETFL) & O_NONBLOCK));
}

/* A thread of the process, other than the one that gives it up, that is inside a call on it and will hold it. */
static void find_blocked(const struct patient *patient, int tid, struct held *held) {
    char path[PROC_PATH];
    struct listing threads;
    OWN_SCRATCH *scratch = scratch_take();
    proc_path(path, sizeof path, patient->pid, 0, "/task");
    if (!scratch || listing_open(&threads, path, scratch->processes) < 0)
        return;
    for (int other; !held->blocked.tid && (other = listing_next(&threads)) >= 0;) {
        struct thread_call call;
        const char *name = other != tid && thread_call_of(patient->pid, other, scratch, &call) == THREAD_IN_CALL
                               ? thread_call_keeps(&call, patient->pid, is_held_socket, held)
                               : NULL;
        if (!name || notify_asks(call.number))
            continue;
        held->blocked = (struct holder){.pid = patient->pid, .fd = -1, .tid = other, .call = name};
        proc_comm(patient->pid, other, held->blocked.comm);
    }
    listing_close(&threads);
}

bool held_look(const struct patient *patient, int tid, int fd, uint64_t inode, struct held *held) {
    const int copy = patient_copy(patient, fd);
    *held = (struct held){.fd = fd, .inode = inode, .count = 1};
    const bool is_tcp = copy >= 0 && held_look_at(copy, held);
    if (is_tcp && may_block(patient, copy))
        find_blocked(patient, tid, held);
    if (copy >= 0)
        close(copy);
    return is_tcp;
}

static void name_found(const struct search_row *row, struct event *event) {
    for (unsigned i = 0; i < row->found_count; i++) {
        struct holder holder = {.pid = row->found[i].pid, .fd = row->found[i].fd};
        proc_comm(holder.pid, 0, holder.comm);
        event_add_holder(event, &holder);
    }
    for (unsigned i = row->found_count; i < row->descriptors; i++)
        event_add_holder(event, NULL);
}

/* Whoever else has it, by /proc; the command itself has it no more. */
static struct remaining look_for_holders(const struct held *held, const struct leaver *leaver, struct scratch *scratch,
                                         struct event *event) {
    struct search_row row = {.inode = held->inode};
    struct search search = {.rows = &row, .count = 1};
    search_descriptors(&search, scratch);
    struct remaining remaining = {.known = search.possible, .partial = search.partial, .descriptors = row.descriptors};
    remaining.seen = row.descriptors > 0;
    name_found(&row, event);
    remaining.call_in_progress = row.descriptors == 0 && held->blocked.tid && leaver->op != OP_EXIT;
    if (remaining.call_in_progress)
        event_add_holder(event, &held->blocked);
    return remaining;
}

/* A FIN that is out since the look has left with the last reference, though its call may linger. */
static struct after ask(const struct held *held, struct scratch *scratch) {
    struct diag_answer answer = {0};
    if (held->can_ask)
        diag_look_up(&held->identity, scratch, &answer);
    struct after after = {.asked = answer.asked,
                          .found = answer.found,
                          .state = answer.state,
                          .attached = answer.found && answer.inode != 0,
                          .fin_unsent = answer.fin_unsent};
    if (after.attached && verdict_proves_fin(answer.state) && !verdict_proves_fin(held->standing.before.state))
        after.attached = false;
    return after;
}

/* One that left nothing behind was reset, or the peer had ended it; its peer may tell. */
static void ask_peer(const struct held *held, struct scratch *scratch, struct after *after) {
    enum { TIMES = 3 };
    const bool expected = held->standing.before.state == STATE_ESTABLISHED && !held->standing.before.unread;
    for (int i = 0; i < TIMES && expected && after->asked && !after->found && !after->peer_known; i++) {
        struct diag_answer peer;
        diag_look_up_peer(&held->identity, scratch, &peer);
        *after = ask(held, scratch);
        after->peer_known = peer.asked && peer.found;
        after->peer_state = peer.state;
    }
}

/* Of several that give it up at one moment one has ended it. False: another call of this process. */
static bool give_way(const struct held *held, const struct leaver *leaver, struct verdict *verdict, struct event *event,
                     unsigned *losers) {
    struct claimant claimant = {.pid = leaver->pid, .fd = held->fd};
    if (!verdict_claims_end(verdict))
        return true;
    const enum end_is whose = claims_take_end(held->identity.cookie, verdict->why == WHY_LAST_REFERENCE, &claimant);
    *verdict = verdict_give_way(*verdict, whose);
    if (whose != END_IS_ANOTHERS)
        return true;
    struct holder holder = {.pid = claimant.pid, .fd = claimant.fd};
    event_add_holder(event, &holder);
    *losers = claimant.losers;
    return claimant.pid != leaver->pid;
}

enum judged held_judge(const struct held *held, const struct leaver *leaver, struct scratch *scratch,
                       struct event *event, struct asking *asking) {
    const struct before *before = &held->standing.before;
    struct after after = ask(held, scratch);
    struct remaining remaining = {.known = after.asked && !after.attached};
    const bool was_blocked = held->blocked.tid && leaver->op != OP_EXIT;
    if (after.attached || !after.asked || is_in_no_table(before->state) || was_blocked)
        remaining = look_for_holders(held, leaver, scratch, event);
    const bool is_held = remaining.descriptors || remaining.call_in_progress,
               is_being_ended = after.found && !after.attached && after.state == STATE_CLOSE;
    if (leaver->patient && ((after.attached && !is_held) || is_being_ended))
        return NOT_YET;
    if (leaver->op == OP_RELEASE && after.attached)
        return NOTHING; /* somebody else has it: his end tells */
    ask_peer(held, scratch, &after);
    if (was_blocked && !after.attached)
        after.asked = false; /* the thread has let go since, or before: what is known is that it was inside the call */
    struct verdict verdict = verdict_decide(ENDING_RELEASE, 0, before, &remaining, &after);
    *asking = (struct asking){.asked = after.asked, .contradicted = verdict.contradicted};
    unsigned losers = 0;
    if (!give_way(held, leaver, &verdict, event, &losers))
        return NOTHING;
    const unsigned others = remaining.descriptors + losers;
    event_set_socket(event, held->fd, &held->identity);
    event_set_standing(event, &held->standing);
    event->used = USED_UNSET; /* reads and writes are not notified */
    event_set_verdict(event, &verdict);
    event->state_after = after.found ? after.state : after.asked ? STATE_CLOSE : STATE_UNSET;
    if (held->count) {
        event->has |= HAS_REFS_BEFORE | HAS_REFS_AFTER;
        event->refs_after = others;
        event->refs_before = others + held->count;
        event->refs_partial = remaining.partial;
    }
    if (verdict.why == WHY_LISTENING) {
        event->has |= HAS_PENDING;
        event->pending = others || after.attached ? 0 : before->pending;
    }
    if (verdict.fin != FIN_WITHHELD && verdict.why != WHY_LISTENING)
        event->holder_count = event->holders_named = 0;
    return JUDGED;
}
