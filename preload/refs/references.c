#include "references.h"

#include <errno.h>
#include <string.h>

#include "blocked_threads.h"
#include "fds_in_flight.h"
#include "ledger.h"
#include "kernel/process.h"
#include "unix_queues.h"
#include "kernel/procfs.h"
#include "kernel/seccomp_guard.h"
#include "kernel/stop.h"
#include "session/session.h"
#include "kernel/tcp_socket.h"
#include "fd_table.h"

/*
 * How many copies of the socket (of anything: cookie 0) stand in a queue. What is not there any more is forgotten,
 * but not where the receiver has no descriptor: its queue may live on until garbage collection.
 */
static unsigned in_queue(uint64_t cookie, uint64_t receiver, struct scratch *scratch, bool *partial,
                         struct search_row *holders) {
    bool unreadable = false;
    int there = queues_of(receiver, scratch, &unreadable, holders);
    if (there < 0) {
        *partial = *partial || unreadable;
        return unreadable ? flight_among_last(cookie, receiver, ~0U) : 0;
    }
    flight_forget_older(receiver, (unsigned)there);
    return flight_among_last(cookie, receiver, (unsigned)there);
}

/* All that refer to the queue's socket are descriptors of ours that go. */
static bool goes_with_us(const struct search_row *holders, enum departure departure) {
    if (departure == STAYS || !holders->own || holders->descriptors != holders->own)
        return false;
    for (unsigned i = 0; departure == EXECS && i < holders->own; i++)
        if (i >= holders->found_count || !socket_closes_on_exec(holders->found[i].fd))
            return false;
    return true;
}

/* Each costs a search; of more it is not said how many copies they hold. */
enum { QUEUES_MAX = 16 };

/* Apart: its holders take room on a stack that may be small, where mostly there is nothing in flight. */
__attribute__((noinline)) static unsigned in_queues(uint64_t cookie, enum departure departure, struct scratch *scratch,
                                                    bool *partial, unsigned *purged) {
    unsigned total = 0;
    uint64_t queue = 0;
    for (unsigned i = 0; i < QUEUES_MAX && (queue = flight_next_queue(cookie, queue)); i++) {
        struct search_row holders;
        unsigned copies = in_queue(cookie, queue, scratch, partial, &holders);
        *(goes_with_us(&holders, departure) ? purged : &total) += copies;
    }
    *partial = *partial || (queue && flight_next_queue(cookie, queue));
    return total;
}

static unsigned in_flight(uint64_t cookie, enum departure departure, struct scratch *scratch, bool *partial,
                          unsigned *purged) {
    return flight_any() ? in_queues(cookie, departure, scratch, partial, purged) : 0;
}

bool references_flights_unsure(struct scratch *scratch) {
    bool unreadable;
    unsigned purged = 0, there = queues_all(false, scratch, &unreadable);
    return there > 0 && (flight_met_strangers() || there > in_flight(0, STAYS, scratch, &unreadable, &purged));
}

static enum looked look_at_reference(const struct ledger_reference *reference, uint64_t inode, uint64_t cookie) {
    if (reference->pid < 0)
        return LOOKED_UNREADABLE;
    if (reference->pid != process_id())
        return search_look(reference->pid, reference->fd, inode);
    if (socket_cookie(reference->fd) == cookie)
        return LOOKED_THERE;
    return sandbox_up ? LOOKED_UNREADABLE : LOOKED_NOT_THERE;
}

/* Whether a reference of the ledger's is there. What cannot be looked at is believed as long as its process lives. */
static bool is_there(const struct ledger_reference *reference, uint64_t inode, uint64_t cookie,
                     struct search_row *row) {
    enum looked looked = look_at_reference(reference, inode, cookie);
    if (looked != LOOKED_UNREADABLE)
        return looked == LOOKED_THERE;
    bool lives = reference->pid < 0 || probe(SYS_kill, reference->pid, 0, 0, 0, 0, 0) != -ESRCH;
    row->believed += lives;
    return lives;
}

/* Of a process that is dying the command tells what it had, by what stands there. */
static bool is_needed(const struct ledger_reference *reference) {
    return session_is_open() && reference->pid > 0 && proc_is_ending(reference->pid);
}

static void go_through_ledger(uint64_t inode, uint64_t cookie, struct search_row *row) {
    int self = process_id();
    *row = (struct search_row){.inode = inode, .cookie = cookie};
    for (int own = 0; own <= 1; own++) {
        struct ledger_reference reference;
        for (struct ledger_cursor cursor = {0}; ledger_next(cookie, &cursor, &reference);) {
            if ((reference.pid == self) != own)
                continue;
            if (is_there(&reference, inode, cookie, row))
                search_row_add(row, reference.pid, reference.fd, own);
            else if (!is_needed(&reference))
                ledger_strike(cookie, &reference);
        }
    }
}

bool references_from_ledger(uint64_t inode, uint64_t cookie, struct search_row *row) {
    enum { TIMES = 4 };
    struct ledger_counts counts;
    if (process_table_is_other() || !inode || !ledger_count(cookie, &counts))
        return false;
    for (int time = 0; time < TIMES; time++) {
        uint64_t changes = ledger_changes(cookie);
        go_through_ledger(inode, cookie, row);
        if (ledger_changes(cookie) == changes)
            break;
    }
    return true;
}

void references_count(uint64_t inode, uint64_t cookie, struct scratch *scratch, struct references *references) {
    memset(references, 0, sizeof *references);
    references->known = references->from_ledger = references_from_ledger(inode, cookie, &references->row);
    if (!references->known)
        references_search(inode, cookie, scratch, references);
}

void references_add_unreadable(struct search_row *row, uint64_t cookie) {
    struct ledger_reference it;
    int self = process_id();
    for (int own = 0; own <= 1; own++)
        for (struct ledger_cursor cursor = {0}; ledger_next(cookie, &cursor, &it);)
            if ((it.pid == self) == own && it.pid > 0 && search_look(it.pid, it.fd, row->inode) == LOOKED_UNREADABLE &&
                probe(SYS_kill, it.pid, 0, 0, 0, 0, 0) != -ESRCH)
                search_row_add(row, it.pid, it.fd, own);
}

void references_search(uint64_t inode, uint64_t cookie, struct scratch *scratch, struct references *references) {
    memset(references, 0, sizeof *references);
    references->row.inode = inode;
    references->row.cookie = cookie;
    struct search search = {.rows = &references->row, .count = 1};
    search_descriptors(&search, scratch);
    references->known = inode != 0;
    references->partial = references->unreadable = search.partial;
    if (search.partial)
        references_add_unreadable(&references->row, cookie);
    STOP("references: descriptors counted, copies in flight not");
    references_count_in_flight(cookie, STAYS, scratch, references);
    references->partial = references->partial || references_flights_unsure(scratch);
}

void references_count_in_flight(uint64_t cookie, enum departure departure, struct scratch *scratch,
                                struct references *references) {
    references->purged = 0;
    references->in_flight = in_flight(cookie, departure, scratch, &references->partial, &references->purged);
}

/* A thread of a process that is about to end keeps nothing longer than that does. */
static void leave_out_ending(struct references *references) {
    unsigned kept = 0;
    for (unsigned i = 0; i < references->calls; i++)
        if (ledger_is_ending(references->call[i].pid))
            references->row.leaving++;
        else
            references->call[kept++] = references->call[i];
    references->calls = kept;
}

void references_look_closer(uint64_t cookie, bool guess, struct scratch *scratch, struct references *references) {
    bool unreadable = false;
    references->calls = blocked_threads_of(cookie, scratch, references->call, CALLS_SHOWN);
    leave_out_ending(references);
    if (references->calls || references->row.leaving || !guess)
        return;
    /* Into a queue that only garbage collection will purge. */
    bool sent = flight_any() && flight_next_queue(cookie, 0) != 0;
    if (!references->in_flight && (sent || queues_all(true, scratch, &unreadable) > 0))
        references->in_flight = 1;
    /* Where nothing was found it is a guess. */
    references->partial = references->partial || unreadable || references->in_flight;
}

void references_look_at_told_calls(uint64_t cookie, bool ends, struct references *references) {
    references->calls = blocked_threads_told(cookie, ends, references->call, CALLS_SHOWN);
    leave_out_ending(references);
}

void references_look_at_calls(uint64_t cookie, bool ends, struct scratch *scratch, struct references *references) {
    if (!references->known || references->row.descriptors || (!ends && !references->in_flight))
        return;
    references->calls = blocked_threads_known(cookie, ends, scratch, references->call, CALLS_SHOWN);
    if (!references->calls)
        references->calls = blocked_threads_told(cookie, ends, references->call, CALLS_SHOWN);
    leave_out_ending(references);
}

void references_leave_out(struct references *references, int fd) {
    struct search_row *row = &references->row;
    int self = process_id();
    unsigned i = 0;
    while (i < row->found_count && (!row->found[i].own || row->found[i].fd != fd))
        i++;
    bool found = i < row->found_count;
    if (found)
        row->found[i] = row->found[--row->found_count];
    /* Of many only the first are listed. The ledger has it no more. */
    else if (references->from_ledger || row->found_count == row->descriptors || !row->own ||
             search_look(self, fd, row->inode) != LOOKED_THERE)
        return;
    row->descriptors--;
    row->own--;
}

void references_prove_one(struct references *references) {
    bool all_seen = references->known && !references->unreadable && !references->came_too_late;
    if (references_total(references) || references->calls || all_seen)
        return;
    references->row.descriptors = 1;
    references->known = true;
    references->partial = true;
}

unsigned references_total(const struct references *references) {
    return references->row.descriptors + references->in_flight;
}

struct remaining references_remaining(const struct references *references) {
    return (struct remaining){
        .known = references->known,
        .partial = references->unreadable,
        .descriptors = references->row.descriptors,
        .seen = references->row.descriptors > references->row.believed,
        .in_flight = references->in_flight,
        .call_in_progress = references->calls > 0,
    };
}

void references_name_holders(const struct references *references, struct event *event) {
    const struct search_row *row = &references->row;
    for (unsigned i = 0; i < row->found_count; i++) {
        struct holder holder = {.pid = row->found[i].pid, .fd = row->found[i].fd, .tid = row->found[i].tid};
        if (holder.pid < 0) {
            event_add_holder(event, NULL); /* a child that is being made has no name yet */
            continue;
        }
        proc_comm(holder.pid, holder.tid, holder.comm);
        if (row->found[i].own && table_kind(holder.fd) == SLOT_OTHER)
            table_set_found(holder.fd); /* it came there unseen */
        event_add_holder(event, &holder);
    }
    for (unsigned i = row->found_count; i < row->descriptors; i++)
        event_add_holder(event, NULL);
    for (unsigned i = 0; i < references->calls; i++)
        event_add_holder(event, &references->call[i]);
}

void references_note(const struct references *references, int given_up, struct event *event) {
    if (!references->known)
        return;
    int after = (int)references_total(references);
    int before = after + given_up;
    event->refs_after = (unsigned)after;
    event->refs_before = before > 0 ? (unsigned)before : 0;
    event->refs_partial = references->partial;
    event->has |= HAS_REFS_BEFORE | HAS_REFS_AFTER;
}
