#define _GNU_SOURCE
#include "leaving.h"
#include "purging.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>

#include "ending.h"
#include "refs/end_claims.h"
#include "closing.h"
#include "shutting_down.h"
#include "faults/fault.h"
#include "refs/fds_in_flight.h"
#include "refs/ledger.h"
#include "kernel/memory.h"
#include "faults/park.h"
#include "kernel/process.h"
#include "kernel/stop.h"
#include "refs/references.h"
#include "late_release.h"
#include "kernel/seccomp_guard.h"
#include "session/session.h"
#include "refs/fd_table.h"
#include "double_close.h"

/* One socket, through however many descriptors. */
struct swept {
    struct identity identity;
    int fd;            /* the lowest */
    unsigned given_up; /* how many of this process's descriptors go */
    bool used;         /* through any of them */
};

struct sweep {
    void *memory;
    size_t size;
    struct swept *sockets;
    struct search_row *rows; /* a socket's is at the same place */
    uint32_t *index;
    size_t count, capacity; /* capacity: a power of 2 */
};

enum { BORROWED_EXTRA = 64 };

/*
 * The numbers to look at. A vfork child has a table of descriptors of its own and no table of ours: it may have
 * moved a socket to a number where the parent has none.
 */
static int numbers(void) {
    int end = table_end();
    return end && process_table_is_other() ? end + BORROWED_EXTRA : end;
}

static bool is_candidate(int fd) {
    return process_table_is_other() || table_kind(fd) != SLOT_OTHER;
}

static bool find_socket_at(int fd, struct identity *identity) {
    if (!process_table_is_other())
        return table_find(fd, true, identity);
    return socket_kind(fd) == SOCKET_TCP &&
           ((table_kind(fd) == SLOT_TCP && table_find(fd, true, identity)) || socket_identify(fd, identity));
}

static bool leaving_make(struct sweep *sweep) {
    size_t candidates = 0;
    for (int fd = 0, end = numbers(); fd < end; fd++)
        candidates += is_candidate(fd);
    memset(sweep, 0, sizeof *sweep);
    if (!candidates)
        return false;
    for (sweep->capacity = 16; sweep->capacity < candidates;)
        sweep->capacity *= 2;
    size_t each = sizeof *sweep->rows + sizeof *sweep->sockets + 2 * sizeof *sweep->index;
    sweep->size = sweep->capacity * each;
    sweep->memory = memory_map(sweep->size, false);
    if (!sweep->memory)
        return false;
    sweep->rows = sweep->memory;
    sweep->sockets = (void *)(sweep->rows + sweep->capacity);
    sweep->index = (void *)(sweep->sockets + sweep->capacity);
    return true;
}

static void leaving_free(struct sweep *sweep) {
    memory_unmap(sweep->memory, sweep->size);
}

static struct swept *socket_for(struct sweep *sweep, const struct identity *identity, int fd) {
    size_t slot = (size_t)(identity->cookie * 0x9E3779B97F4A7C15ULL >> 20) & (2 * sweep->capacity - 1);
    for (;; slot = (slot + 1) & (2 * sweep->capacity - 1)) {
        uint32_t place = sweep->index[slot];
        if (place && sweep->sockets[place - 1].identity.cookie == identity->cookie)
            return &sweep->sockets[place - 1];
        if (place)
            continue;
        if (sweep->count == sweep->capacity)
            return NULL;
        struct swept *socket = &sweep->sockets[sweep->count++];
        sweep->index[slot] = (uint32_t)sweep->count;
        socket->identity = *identity;
        socket->fd = fd;
        return socket;
    }
}

enum descriptors { ALL, CLOSED_ON_EXEC, LEFT_ACROSS_EXEC };

static bool is_chosen(enum descriptors which, int fd) {
    return which == ALL || socket_closes_on_exec(fd) == (which == CLOSED_ON_EXEC);
}

/* Collects the sockets that such descriptors refer to. */
static bool gather(struct sweep *sweep, enum descriptors which) {
    if (!leaving_make(sweep))
        return false;
    for (int fd = 0, end = numbers(); fd < end; fd++) {
        struct identity identity;
        if (!is_candidate(fd) || !find_socket_at(fd, &identity) || !is_chosen(which, fd))
            continue;
        struct swept *socket = socket_for(sweep, &identity, fd);
        if (!socket)
            continue;
        socket->given_up++;
        socket->used |= (table_seen(fd) & SEEN_USE) != 0;
    }
    return true;
}

unsigned leaving_count(void) {
    struct sweep sweep;
    if (!gather(&sweep, ALL))
        return 0;
    unsigned count = (unsigned)sweep.count;
    leaving_free(&sweep);
    return count;
}

unsigned leaving_left_across_exec(void) {
    struct sweep sweep;
    flight_meet_strangers();
    if (!gather(&sweep, LEFT_ACROSS_EXEC))
        return 0;
    for (size_t i = 0; i < sweep.count; i++)
        ledger_escaped(sweep.sockets[i].identity.cookie);
    unsigned count = (unsigned)sweep.count;
    leaving_free(&sweep);
    return count;
}

static struct search search_of(struct sweep *sweep) {
    for (size_t i = 0; i < sweep->count; i++)
        sweep->rows[i] = (struct search_row){.inode = socket_inode(sweep->sockets[i].fd),
                                             .cookie = sweep->sockets[i].identity.cookie};
    memset(sweep->index, 0, 2 * sweep->capacity * sizeof *sweep->index);
    return (struct search){
        .rows = sweep->rows, .count = sweep->count, .index = sweep->index, .capacity = sweep->capacity};
}

unsigned leaving_shared_with(int pid) {
    struct sweep sweep;
    unsigned shared = 0;
    flight_meet_strangers();
    if (!gather(&sweep, ALL))
        return 0;
    OWN_SCRATCH *scratch = scratch_take();
    if (scratch) {
        struct search search = search_of(&sweep);
        search_descriptors_of(&search, pid, scratch);
        for (size_t i = 0; i < sweep.count; i++) {
            if (sweep.rows[i].descriptors == 0)
                continue;
            ledger_escaped(sweep.sockets[i].identity.cookie);
            shared++;
        }
    }
    leaving_free(&sweep);
    return shared;
}

/* Another process has this table too: nothing is given up, and what is ours is his. */
static void stay_with(int partner, struct search_row *row) {
    for (unsigned f = 0; f < row->found_count; f++)
        if (row->found[f].own)
            row->found[f] = (struct found_descriptor){.pid = partner, .fd = row->found[f].fd};
}

/* What remains when the call has given up its part. */
static void take_away(const struct sweep *sweep, size_t i, const struct search *search, bool all_own,
                      struct references *references) {
    const struct search_row *row = &sweep->rows[i];
    unsigned gone = all_own ? row->own : sweep->sockets[i].given_up, going = 0;
    memset(references, 0, sizeof *references);
    references->row = *row;
    references->known = search->possible;
    references->partial = search->partial;
    if (search->partner) {
        stay_with(search->partner, &references->row);
        return;
    }
    references->row.found_count = 0;
    for (unsigned f = 0; f < row->found_count; f++) {
        /* Other threads' tables go with their threads. */
        bool goes = row->found[f].pid == process_id() &&
                    (all_own || !row->found[f].own || socket_closes_on_exec(row->found[f].fd));
        going += goes;
        if (!goes)
            references->row.found[references->row.found_count++] = row->found[f];
    }
    if (going > gone) /* some came unseen */
        gone = going;
    references->row.descriptors = row->descriptors > gone ? row->descriptors - gone : 0;
}

/*
 * A rule against the end of the process means only those of its connections that meet its conditions. True: the command
 * has taken this one.
 */
static bool is_parked(const struct call *call, struct event *event) {
    if (!call->rule)
        return false;
    if (!conditions_hold(&call->rule->conditions, event))
        event->injected = event->not_injected = event->not_injected_why = NULL;
    return event->injected && call->rule->as == WAY_HOLD;
}

/* The command's reference, which may not have been found. */
static void count_parked(struct event *event) {
    if (event->refs_after > 0)
        return;
    event->refs_after++;
    event->refs_before++;
}

/* status: the process's, or below 0. */
static struct event *leaving_event(const struct swept *socket, enum event_op op, const struct call *call, int status,
                                   struct scratch *scratch) {
    struct event *event = log_event(scratch, op, call);
    if (status >= 0) {
        event->has |= HAS_STATUS;
        event->status = status;
    }
    event_set_socket(event, socket->fd, &socket->identity);
    return event;
}

static void predict(const struct sweep *sweep, size_t i, const struct search *search, bool exec,
                    const struct call *call, int status, struct scratch *scratch) {
    const struct swept *socket = &sweep->sockets[i];
    struct references references;
    struct standing standing;
    standing_of(socket->fd, &socket->identity, true, &standing);
    standing.used = socket->used;
    standing_count_unread(&socket->identity, &standing, scratch);
    standing_look_at_peer(&socket->identity, &standing, scratch);
    take_away(sweep, i, search, !exec, &references);
    references_count_in_flight(socket->identity.cookie, exec ? EXECS : ENDS, scratch, &references);
    references_look_at_calls(socket->identity.cookie, true, scratch, &references);
    struct event *event = leaving_event(socket, exec ? OP_EXEC : OP_EXIT, call, status, scratch);
    event_set_standing(event, &standing);
    unsigned gone = sweep->rows[i].descriptors - references.row.descriptors;
    struct remaining remaining = references_remaining(&references);
    remaining.parked = is_parked(call, event);
    struct verdict verdict = verdict_predict(ENDING_RELEASE, 0, &standing.before, &remaining);
    if (verdict_claims_end(&verdict)) { /* unless one who leaves at the same moment has said so of his */
        STOP("leaving: counted, not claimed");
        end_give_way(socket->fd, socket->identity.cookie, &references, &verdict);
    }
    references_note(&references, (int)(gone + references.purged), event);
    if (remaining.parked)
        count_parked(event);
    event_set_verdict(event, &verdict);
    if (verdict.why == WHY_LISTENING) {
        event->has |= HAS_PENDING;
        event->pending = references_total(&references) ? 0 : standing.before.pending;
    }
    if (verdict.fin == FIN_WITHHELD || verdict.why == WHY_LISTENING)
        references_name_holders(&references, event);
    const struct pending_release what = {.fd = socket->fd,
                                         .inode = references.row.inode,
                                         .shared = references.calls > 1,
                                         .before = standing.before,
                                         .identity = socket->identity};
    for (unsigned c = 0; c < references.calls; c++)
        release_expect(&what, &references.call[c]);
    log_emit(scratch);
}

/* From the ledger; where it does not answer for one of them, all of them from /proc, which is one search. */
static void count_references(struct search *search, struct sweep *sweep, struct scratch *scratch) {
    bool answered = true;
    for (size_t i = 0; i < sweep->count && answered; i++)
        answered = references_from_ledger(sweep->rows[i].inode, sweep->sockets[i].identity.cookie, &sweep->rows[i]);
    search->possible = true;
    if (answered)
        return;
    for (size_t i = 0; i < sweep->count; i++)
        sweep->rows[i] =
            (struct search_row){.inode = sweep->rows[i].inode, .cookie = sweep->sockets[i].identity.cookie};
    search_descriptors(search, scratch);
    for (size_t i = 0; search->partial && i < sweep->count; i++)
        references_add_unreadable(&sweep->rows[i], sweep->sockets[i].identity.cookie);
    search->possible = true; /* as far as it goes: our own are known in any case */
    search->partial = search->partial || references_flights_unsure(scratch);
}

static void report_leaving(bool exec, const struct call *call, int status) {
    struct sweep sweep;
    if (!log_wants_of(call, exec ? TRACE_END | TRACE_REFS : TRACE_END) || !gather(&sweep, exec ? CLOSED_ON_EXEC : ALL))
        return;
    OWN_SCRATCH *scratch = sweep.count ? scratch_take() : NULL;
    if (!scratch)
        log_lost((unsigned)sweep.count);
    if (scratch) {
        struct search search = search_of(&sweep);
        STOP("leaving: left, not counted");
        count_references(&search, &sweep, scratch);
        STOP("leaving: counted, not judged");
        for (size_t i = 0; i < sweep.count; i++)
            predict(&sweep, i, &search, exec, call, status, scratch);
    }
    leaving_free(&sweep);
}

/* What is closed on exec is about to be given up, or stays; what is left open goes out of the ledger's sight. */
static void leave_on_exec(bool leaves) {
    struct identity identity;
    for (int fd = 0, end = numbers(); fd < end; fd++) {
        if (!is_candidate(fd) || !find_socket_at(fd, &identity))
            continue;
        if (!socket_closes_on_exec(fd)) {
            ledger_escaped(identity.cookie);
        } else if (!process_table_is_other()) {
            if (leaves)
                end_drop_stale(fd, identity.cookie);
            ledger_mark_leaving(identity.cookie, fd, leaves);
        }
    }
}

/* All that the process has. Before it is marked: who claims an end after that may rely on us. */
static void leave_at_end(void) {
    struct identity identity;
    for (int fd = 0, end = numbers(); fd < end; fd++)
        if (is_candidate(fd) && find_socket_at(fd, &identity))
            end_drop_stale(fd, identity.cookie);
    ledger_end(true);
}

void leaving_exec(const struct call *call) {
    double_close_flush();
    leave_on_exec(true);
    report_leaving(true, call, -1);
    if (!process_is_borrowed())
        release_threads(call, true);
    park_ends(call);
    flight_meet_strangers();
    STOP("leaving: told, not gone");
}

void leaving_exec_failed(const struct call *call, int error) {
    struct sweep sweep;
    leave_on_exec(false);
    park_goes_on(call, error);
    if (log_wants(TRACE_END | TRACE_REFS) && gather(&sweep, CLOSED_ON_EXEC)) {
        OWN_SCRATCH *scratch = log_scratch();
        for (size_t i = 0; scratch && i < sweep.count; i++) {
            struct event *event = leaving_event(&sweep.sockets[i], OP_EXEC, call, -1, scratch);
            event_set_result(event, -1, error);
            release_take_back(sweep.sockets[i].identity.cookie);
            log_emit(scratch);
        }
        leaving_free(&sweep);
    }
    if (!process_is_borrowed())
        release_threads_stay(call, error);
}

static int socket_at(const void *sockets, size_t i, const struct identity **identity) {
    const struct swept *socket = (const struct swept *)sockets + i;
    *identity = &socket->identity;
    return socket->fd;
}

static void end_otherwise(const struct swept *socket, struct call *call) {
    struct ending_call ending;
    struct call other = *call;
    other.begun = clock_now();
    if (call->rule->as == WAY_HOLD) {
        if (!park_with_command(socket->fd, socket->identity.cookie, call->rule, true))
            fault_failed(call, "nothing can hold it beyond the end of the process");
    } else if (call->rule->as == WAY_RST)
        shutting_reset(&ending, socket->fd, &other);
    else
        shutting_shut(&ending, socket->fd, rule_way_how(call->rule->as), &other);
}

/*
 * The rules against the end of the process: met once, and carried out on each of its connections that they mean. Its
 * frame is not for a handler's small stack, where there are no rules.
 */
__attribute__((noinline)) static void meet_faults(struct call *call) {
    struct sweep sweep;
    if (!gather(&sweep, ALL))
        return;
    struct fault_subject subject = {.family = RULE_EXIT,
                                    .call = call,
                                    .fd = -1,
                                    .how = -1,
                                    .socket = socket_at,
                                    .sockets = sweep.sockets,
                                    .count = sweep.count};
    bool met = sweep.count > 0 && fault_meets(&subject);
    for (size_t i = 0; met && fault_way(call) && i < sweep.count; i++)
        if (fault_meets_socket(&subject, i))
            end_otherwise(&sweep.sockets[i], call);
    leaving_free(&sweep);
}

/* Threads that have closed, and have not told of it yet: they would not come to it. */
static void await_closers(void) {
    enum { TURNS = 200 };
    const struct timespec moment = {.tv_nsec = 100000};
    for (int turn = 0; turn < TURNS && atomic_load(&process_counters()->closing) > 0; turn++) {
        STOP("leaving: awaits who closes");
        probe(SYS_nanosleep, (long)&moment, 0, 0, 0, 0, 0);
    }
}

/* The thread that tells of the end; below 0: it has told. */
static atomic_int teller;

/* Another thread tells of the end, and would not come to it if the process ended now. */
static void await_teller(void) {
    enum { TURNS = 1000 };
    const struct timespec moment = {.tv_nsec = 1000000};
    for (int turn = 0; turn < TURNS && atomic_load(&teller) > 0 && atomic_load(&teller) != process_thread_id();
         turn++) {
        STOP("leaving: awaits who tells");
        probe(SYS_nanosleep, (long)&moment, 0, 0, 0, 0, 0);
    }
}

static void tell_of_end(const struct call *call, int status) {
    await_closers();
    if (!process_is_borrowed())
        leave_at_end();
    report_leaving(false, call, status);
    if (!process_is_borrowed()) {
        release_threads(call, false);
        purge_ends(call);
    }
    double_close_flush();
    park_ends(call);
    fault_end();
    log_end();
    if (!process_is_borrowed())
        session_ending();
    STOP("leaving: told, not gone");
}

void leaving_end(const char *name, const void *caller, int status) {
    int nobody = 0;
    struct call call = call_entering(name, caller);
    bool by_signal = status < 0;
    STOP("leaving: begun");
    if (fault_armed(RULE_EXIT) && !by_signal && !atomic_load(&teller))
        meet_faults(&call);
    if (process_is_borrowed()) {
        tell_of_end(&call, status);
    } else if (atomic_compare_exchange_strong(&teller, &nobody, process_thread_id())) {
        tell_of_end(&call, status);
        atomic_store(&teller, -1);
    } else {
        await_teller();
    }
}

void leaving_forked(void) {
    atomic_store(&teller, 0);
}

void leaving_survived(void) {
    struct call call = {0};
    park_goes_on(&call, 0);
    log_resume();
    session_forked();
    leaving_forked();
    ledger_end(false);
}
