#define _GNU_SOURCE
#include "proc_search.h"

#include <errno.h>
#include <string.h>

#include "kernel/process.h"
#include "kernel/procfs.h"
#include "pure/line.h"
#include "kernel/seccomp_guard.h"
#include "ledger.h"

bool search_own_begin(struct listing *listing, struct scratch *scratch) {
    return listing_open(listing, "/proc/self/fd", scratch->entries) >= 0;
}

int search_own_next(struct listing *listing) {
    int fd = listing_next(listing);
    return fd >= 0 && fd == listing->fd ? listing_next(listing) : fd;
}

void search_own_end(struct listing *listing) {
    listing_close(listing);
}

static size_t slot_for(const struct search *search, uint64_t inode) {
    size_t slot = (size_t)(inode * 0x9E3779B97F4A7C15ULL >> 20) & (2 * search->capacity - 1);
    while (search->index[slot] && search->rows[search->index[slot] - 1].inode != inode)
        slot = (slot + 1) & (2 * search->capacity - 1);
    return slot;
}

static struct search_row *row_of(const struct search *search, uint64_t inode) {
    if (search->index) {
        uint32_t place = search->index[slot_for(search, inode)];
        return place ? &search->rows[place - 1] : NULL;
    }
    for (size_t i = 0; i < search->count; i++)
        if (search->rows[i].inode == inode)
            return &search->rows[i];
    return NULL;
}

/* Others' descriptors come before our own: they are what a reader wants to know. */
void search_row_name(struct search_row *row, int pid, int fd, bool own) {
    row->descriptors++;
    row->own += own;
    if (row->found_count < FOUND_SHOWN)
        row->found[row->found_count++] = (struct found_descriptor){.pid = pid, .fd = fd, .own = own};
}

void search_row_add(struct search_row *row, int pid, int fd, bool own) {
    if (!own && row->cookie && ledger_is_leaving(row->cookie, pid, fd))
        row->leaving++;
    else
        search_row_name(row, pid, fd, own);
}

static uint64_t socket_of_link(int directory, int fd) {
    char name[16], link[PROC_LINK] = "";
    struct line line;
    line_init(&line, name, sizeof name);
    line_unsigned(&line, (unsigned)fd);
    line_char(&line, '\0');
    return proc_inode_in(link, probe(SYS_readlinkat, directory, (long)name, (long)link, PROC_LINK - 1, 0, 0));
}

enum looked search_look(int pid, int fd, uint64_t inode) {
    char path[PROC_PATH], link[PROC_LINK] = "";
    proc_descriptor_path(path, sizeof path, pid, "/fd/", fd);
    long length = probe(SYS_readlink, (long)path, (long)link, PROC_LINK - 1, 0, 0, 0);
    if (length == -EACCES || length == -EPERM)
        return LOOKED_UNREADABLE;
    if (length < 0 && proc_hides(pid))
        return LOOKED_UNREADABLE;
    return proc_inode_in(link, length) == inode ? LOOKED_THERE : LOOKED_NOT_THERE;
}

/* tid: of a thread with a table of its own, else 0. Whether any of them was found there. */
static bool search_table(struct search *search, int pid, int tid, bool own, struct scratch *scratch) {
    char path[PROC_PATH];
    struct listing listing;
    bool found = false;
    /* The process's own folder is empty when its first thread has ended: then ours has the descriptors. */
    proc_path(path, sizeof path, pid, own ? process_thread_id() : tid, "/fd");
    long opened = listing_open(&listing, path, scratch->entries);
    if (opened < 0) {
        search->partial = search->partial || !proc_says_gone(opened);
        return false;
    }
    for (int fd; (fd = listing_next(&listing)) >= 0;) {
        uint64_t inode = socket_of_link(listing.fd, fd);
        struct search_row *row = inode ? row_of(search, inode) : NULL;
        if (!row)
            continue;
        search_row_add(row, pid, fd, own);
        if (row->found_count > 0 && row->found[row->found_count - 1].fd == fd)
            row->found[row->found_count - 1].tid = tid;
        found = true;
    }
    search->partial = search->partial || (listing.filled < 0 && !proc_says_gone(listing.filled));
    listing_close(&listing);
    return found;
}

/* Tables in which some of what is searched for was found: by a thread that has it. */
struct tables {
    int threads[16];
    unsigned count;
};

static bool is_among(const struct tables *tables, int thread) {
    for (unsigned i = 0; i < tables->count; i++)
        if (process_tables_same(tables->threads[i], thread))
            return true;
    return false;
}

static void search_once(struct search *search, struct tables *tables, int pid, int tid, struct scratch *scratch) {
    const int thread = tid ? tid : pid;
    if (process_tables_same(process_thread_id(), thread)) {
        if (pid != process_id())
            search->partner = pid;
    } else if (!is_among(tables, thread) && search_table(search, pid, tid, false, scratch) &&
               tables->count < sizeof tables->threads / sizeof *tables->threads) {
        tables->threads[tables->count++] = thread;
    }
}

/* Each table of the process's threads once, but ours. */
static void search_tables_of(struct search *search, struct tables *tables, int pid, struct scratch *scratch) {
    char path[PROC_PATH];
    struct listing threads;
    search_once(search, tables, pid, 0, scratch);
    proc_path(path, sizeof path, pid, 0, "/task");
    if (listing_open(&threads, path, scratch->line) < 0)
        return;
    for (int tid; (tid = listing_next(&threads)) >= 0;)
        if (tid != pid && !process_tables_same(pid, tid))
            search_once(search, tables, pid, tid, scratch);
    listing_close(&threads);
}

static void search_prepare(struct search *search) {
    search->partial = false;
    search->possible = false;
    search->partner = 0;
    for (size_t i = 0; search->index && i < search->count; i++)
        search->index[slot_for(search, search->rows[i].inode)] = (uint32_t)i + 1;
}

void search_descriptors_of(struct search *search, int pid, struct scratch *scratch) {
    search_prepare(search);
    search_table(search, pid, 0, pid == process_id(), scratch);
    search->possible = !search->partial;
}

/* Apart: mostly no table is odd, and the stack may be small. */
__attribute__((noinline)) static void search_by_table(struct search *search, struct listing *processes,
                                                      struct scratch *scratch) {
    struct tables tables = {.count = 0};
    for (int pid; (pid = listing_next(processes)) >= 0;)
        search_tables_of(search, &tables, pid, scratch);
}

void search_descriptors(struct search *search, struct scratch *scratch) {
    search_prepare(search);
    struct listing processes;
    if (listing_open(&processes, "/proc", scratch->processes) < 0) {
        search->partial = true;
        return;
    }
    search->possible = true;
    search->partial = proc_hides(1); /* and others, likely */
    int self = process_id();
    if (atomic_load(process_odd_tables) != 0)
        search_by_table(search, &processes, scratch);
    for (int pid; (pid = listing_next(&processes)) >= 0;)
        if (pid != self)
            search_table(search, pid, 0, false, scratch);
    listing_close(&processes);
    search_table(search, self, 0, true, scratch);
}
