#define _GNU_SOURCE
#include "blocked_threads.h"

#include <poll.h>
#include <string.h>
#include <sys/select.h>

#include "kernel/process.h"
#include "kernel/procfs.h"
#include "pending_releases.h"
#include "kernel/seccomp_guard.h"
#include "fd_table.h"

/* The calls in which a thread keeps the file of the descriptor that is its first argument. */
static const char *call_on_descriptor(uint64_t number) {
    switch (number) {
    case SYS_read:
        return "read";
    case SYS_readv:
        return "readv";
    case SYS_write:
        return "write";
    case SYS_writev:
        return "writev";
    case SYS_recvfrom:
        return "recvfrom";
    case SYS_recvmsg:
        return "recvmsg";
    case SYS_recvmmsg:
        return "recvmmsg";
    case SYS_sendto:
        return "sendto";
    case SYS_sendmsg:
        return "sendmsg";
    case SYS_sendmmsg:
        return "sendmmsg";
    case SYS_sendfile:
        return "sendfile";
    case SYS_splice:
        return "splice";
    case SYS_accept:
        return "accept";
    case SYS_accept4:
        return "accept4";
    case SYS_connect:
        return "connect";
    default:
        return NULL;
    }
}

static const char *call_on_set(uint64_t number) {
    switch (number) {
    case SYS_poll:
        return "poll";
    case SYS_ppoll:
        return "ppoll";
    case SYS_select:
        return "select";
    case SYS_pselect6:
        return "pselect6";
    default:
        return NULL;
    }
}

/* A copy of another thread's or process's memory; false if it cannot be had. */
static bool copy_from(int pid, uint64_t from, void *to, size_t size) {
    struct {
        uint64_t base, length;
    } local = {(uintptr_t)to, size}, remote = {from, size};
    return probe(SYS_process_vm_readv, pid, (long)&local, 1, (long)&remote, 1, 0) == (long)size;
}

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

static bool in_poll_set(const struct wanted *wanted, uint64_t set, uint64_t count) {
    for (uint64_t i = 0; i < count && i < 4096; i++) {
        struct pollfd entry = {0};
        if (!copy_from(wanted->pid, set + i * sizeof entry, &entry, sizeof entry))
            return false;
        if (entry.fd >= 0 && is_wanted(wanted, (uint64_t)entry.fd))
            return true;
    }
    return false;
}

static bool in_select_sets(const struct wanted *wanted, const uint64_t arguments[4]) {
    for (uint64_t at = 0; at < arguments[0] && at < FD_SETSIZE; at += 64) {
        uint64_t bits = 0, word;
        for (int set = 1; set <= 3; set++)
            if (arguments[set] && copy_from(wanted->pid, arguments[set] + at / 8, &word, sizeof word))
                bits |= word;
        for (uint64_t bit = 0; bit < 64 && at + bit < arguments[0]; bit++)
            if (bits >> bit & 1 && is_wanted(wanted, at + bit))
                return true;
    }
    return false;
}

/* "NUMBER 0xARG0 0xARG1 ...": /proc/PID/task/TID/syscall; "running" where it is in none, or at work inside it. */
static bool parse_call(const char *text, uint64_t *number, uint64_t arguments[4]) {
    if (!parse_number(text, number))
        return false;
    for (int i = 0; i < 4; i++) {
        while (*text && *text != 'x')
            text++;
        if (!*text++)
            return false;
        arguments[i] = 0;
        for (;; text++) {
            unsigned digit;
            if (*text >= '0' && *text <= '9')
                digit = (unsigned)(*text - '0');
            else if (*text >= 'a' && *text <= 'f')
                digit = (unsigned)(*text - 'a') + 10;
            else
                break;
            arguments[i] = arguments[i] << 4 | digit;
        }
    }
    return true;
}

/* running: set where that cannot be seen, because the thread is at work. */
static const char *call_of_thread(const struct wanted *wanted, int tid, struct scratch *scratch, bool *running) {
    char path[PROC_PATH];
    uint64_t number, arguments[4];
    proc_path(path, sizeof path, wanted->pid, tid, "/syscall");
    if (proc_read(path, scratch->text, 256) <= 0)
        return NULL;
    if (!parse_call(scratch->text, &number, arguments)) {
        *running = *running || scratch->text[0] == 'r';
        return NULL;
    }
    const char *call = call_on_descriptor(number);
    if (call) /* splice() may have it at its other end */
        return is_wanted(wanted, arguments[0]) || (number == SYS_splice && is_wanted(wanted, arguments[2])) ? call
                                                                                                            : NULL;
    call = call_on_set(number);
    if (call && (number == SYS_poll || number == SYS_ppoll))
        return in_poll_set(wanted, arguments[0], arguments[1]) ? call : NULL;
    return call && in_select_sets(wanted, arguments) ? call : NULL;
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

static void search_threads(const struct wanted *wanted, struct scratch *scratch, struct threads *threads) {
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

/*
 * On the numbers that were its own. again: where such a number has come to be another descriptor's since, the thread
 * may be inside a call on that.
 */
static void search_where_closed(uint64_t cookie, bool again, struct scratch *scratch, struct threads *threads) {
    struct release_place place = {0};
    int self = process_id();
    while (threads->count < threads->max && release_next_place(cookie, &place)) {
        if (place.pid == threads->but)
            continue;
        struct wanted wanted = {.pid = place.pid, .fd = place.fd, .cookie = cookie};
        /* What dup2() has put there in closing it is no connection that a thread could be inside of. */
        bool replaced = place.pid == self && table_kind(place.fd) != SLOT_TCP;
        bool used_again =
            (is_open_in(place.pid, place.fd) && !replaced) || release_closed_at(place.pid, place.fd) != cookie;
        if (used_again == again)
            search_threads(&wanted, scratch, threads);
    }
}

unsigned blocked_threads_known(uint64_t cookie, bool ends, struct scratch *scratch, struct holder *list, unsigned max) {
    struct threads threads = {.list = list, .max = max, .but = ends ? process_id() : 0};
    search_where_closed(cookie, false, scratch, &threads);
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
