#define _GNU_SOURCE
#include "blocked_threads.h"

#include <string.h>

#include "kernel/process.h"
#include "kernel/procfs.h"
#include "calls_under_way.h"
#include "pending_releases.h"
#include "kernel/seccomp_guard.h"
#include "kernel/thread_call.h"
#include "fd_table.h"

/* Which numbers are looked for. */
struct wanted {
    int pid;
    int fd; /* below 0: any that is not open any more, and was nobody else's as far as is known */
    uint64_t cookie;
};

static bool is_open_in(int pid, int fd) {
    char path[PROC_PATH], link[8];
    proc_descriptor_path(path, sizeof path, pid, "/fd/", fd);
    return probe(SYS_readlink, (long)path, (long)link, sizeof link, 0, 0, 0) >= 0;
}

static bool is_wanted(const struct wanted *wanted, uint64_t number) {
    enum { HIGHEST = 1 << 20 };
    if (wanted->fd >= 0 || number >= HIGHEST)
        return wanted->fd >= 0 && number == (uint64_t)wanted->fd;
    uint64_t last = release_closed_at(wanted->pid, (int)number);
    return (last == 0 || last == wanted->cookie) && !is_open_in(wanted->pid, (int)number);
}

static bool wants(uint64_t number, void *context) {
    return is_wanted(context, number);
}

/*
 * running: set where that cannot be seen, because the thread is at work, and has not told. One of ours that is in no
 * call has none to tell of.
 */
static const char *call_of_thread(struct wanted *wanted, int tid, struct scratch *scratch, bool *running) {
    bool tells = false;
    struct thread_call call;
    const enum thread_seen seen = thread_call_of(wanted->pid, tid, scratch, &call);
    if (seen == THREAD_IN_CALL)
        return thread_call_keeps(&call, wanted->pid, wants, wanted);
    if (seen != THREAD_RUNS)
        return NULL;
    const char *name = call_under_way_of(wanted->pid, tid, wanted->cookie, wants, wanted, &tells);
    *running = *running || !tells;
    return name;
}

/* Threads that were found. */
struct threads {
    struct holder *list;
    unsigned count, max;
    int but;      /* none of that process's */
    bool running; /* of some it could not be seen in which call they are */
};

static bool is_listed(const struct threads *threads, int tid) {
    for (unsigned i = 0; i < threads->count; i++)
        if (threads->list[i].tid == tid)
            return true;
    return false;
}

static void search_threads(struct wanted *wanted, struct scratch *scratch, struct threads *threads) {
    char path[PROC_PATH];
    struct listing listing;
    int self = process_thread_id();
    proc_path(path, sizeof path, wanted->pid, 0, "/task");
    if (listing_open(&listing, path, scratch->entries) < 0)
        return;
    for (int tid; threads->count < threads->max && (tid = listing_next(&listing)) >= 0;) {
        const char *call = tid == self ? NULL : call_of_thread(wanted, tid, scratch, &threads->running);
        if (!call || is_listed(threads, tid) || release_is_other(tid, wanted->cookie))
            continue;
        struct holder *holder = &threads->list[threads->count++];
        *holder = (struct holder){.pid = wanted->pid, .fd = -1, .tid = tid, .call = call};
        proc_comm(wanted->pid, tid, holder->comm);
    }
    listing_close(&listing);
}

/* What dup2() has put there in closing it is no connection that a thread could be inside of. */
static bool is_used_again(const struct release_place *place, uint64_t cookie) {
    bool replaced = place->pid == process_id() && table_kind(place->fd) != SLOT_TCP;
    return (is_open_in(place->pid, place->fd) && !replaced) || release_closed_at(place->pid, place->fd) != cookie;
}

/*
 * On the numbers that were its own. again: where such a number has come to be another descriptor's since, the thread
 * may be inside a call on that.
 */
static void search_where_closed(uint64_t cookie, bool again, struct scratch *scratch, struct threads *threads) {
    struct release_place place = {0};
    while (threads->count < threads->max && release_next_place(cookie, &place)) {
        if (place.pid == threads->but)
            continue;
        struct wanted wanted = {.pid = place.pid, .fd = place.fd, .cookie = cookie};
        if (is_used_again(&place, cookie) == again)
            search_threads(&wanted, scratch, threads);
    }
}

unsigned blocked_threads_known(uint64_t cookie, bool ends, struct scratch *scratch, struct holder *list, unsigned max) {
    struct threads threads = {.list = list, .max = max, .but = ends ? process_id() : 0};
    search_where_closed(cookie, false, scratch, &threads);
    return threads.count;
}

static void add_told(const struct holder *holder, uint64_t cookie, struct threads *threads) {
    bool is_self = holder->tid == process_thread_id();
    if (is_self || holder->pid == threads->but || is_listed(threads, holder->tid) ||
        release_is_other(holder->tid, cookie))
        return;
    threads->list[threads->count] = *holder;
    proc_comm(holder->pid, holder->tid, threads->list[threads->count++].comm);
}

unsigned blocked_threads_told(uint64_t cookie, bool ends, struct holder *list, unsigned max) {
    struct threads threads = {.list = list, .max = max, .but = ends ? process_id() : 0};
    struct release_place place = {0};
    struct holder holder;
    for (unsigned at = 0; threads.count < max && call_under_way_next(cookie, &at, &holder);)
        add_told(&holder, cookie, &threads);
    while (threads.count < max && release_next_place(cookie, &place))
        for (unsigned at = 0; threads.count < max && call_under_way_next_on_set(place.pid, place.fd, &at, &holder);)
            if (!is_used_again(&place, cookie)) /* else it may be inside a call on what has come there since */
                add_told(&holder, cookie, &threads);
    return threads.count;
}

static void search_among_relatives(uint64_t cookie, struct scratch *scratch, struct threads *threads) {
    int self = process_id();
    struct listing processes;
    if (listing_open(&processes, "/proc", scratch->processes) < 0)
        return;
    for (int pid; threads->count < threads->max && (pid = listing_next(&processes)) >= 0;) {
        struct wanted wanted = {.pid = pid, .fd = -1, .cookie = cookie};
        if (pid == self || proc_is_relative(pid, self, scratch))
            search_threads(&wanted, scratch, threads);
    }
    listing_close(&processes);
}

/*
 * A thread that data, or an acknowledgement, wakes is at work inside its call until it sleeps again, which may take
 * some while where the processors are busy: others are let go first.
 */
static void search_until_seen(uint64_t cookie, struct scratch *scratch, struct threads *threads) {
    enum { TIMES = 16 };
    for (int i = 0; i < TIMES; i++) {
        threads->running = false;
        search_where_closed(cookie, false, scratch, threads);
        if (threads->count || !threads->running)
            return;
        probe(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    }
}

unsigned blocked_threads_of(uint64_t cookie, struct scratch *scratch, struct holder *list, unsigned max) {
    struct threads threads = {.list = list, .max = max};
    search_until_seen(cookie, scratch, &threads);
    if (!threads.count)
        search_where_closed(cookie, true, scratch, &threads);
    if (!threads.count)
        search_among_relatives(cookie, scratch, &threads);
    return threads.count;
}

static bool wants_none(uint64_t number, void *context) {
    (void)number;
    (void)context;
    return false;
}

bool blocked_thread_has_returned(int pid, int tid, struct scratch *scratch) {
    struct thread_call call;
    bool tells = false;
    enum thread_seen seen = thread_call_of(pid, tid, scratch, &call);
    if (seen == THREAD_RUNS)
        call_under_way_of(pid, tid, 0, wants_none, NULL, &tells);
    return seen != THREAD_IN_CALL && !tells;
}
