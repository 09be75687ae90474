#define _GNU_SOURCE
#include "search.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/select.h>

#include "own.h"
#include "process.h"
#include "release.h"
#include "pure/line.h"
#include "sandbox.h"
#include "table.h"

/* struct linux_dirent64 of getdents64(2) */
struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

static long open_directory(const char *path) {
    return own_open(SYS_open, (long)path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): getdents64 writes into it */
static long listing_open(struct listing *listing, const char *path, char *buffer) {
    *listing = (struct listing){.fd = (int)open_directory(path), .buffer = buffer};
    return listing->fd;
}

static void listing_close(struct listing *listing) {
    probe(SYS_close, listing->fd, 0, 0, 0, 0, 0);
}

static bool parse_number(const char *text, uint64_t *number) {
    *number = 0;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        *number = *number * 10 + (unsigned)(*text - '0');
    return true;
}

/* The next number, or -1 at the end. */
static int listing_next(struct listing *listing) {
    enum { BUFFER = 4096 };
    for (;;) {
        if (listing->at >= listing->filled) {
            listing->filled = probe(SYS_getdents64, listing->fd, (long)listing->buffer, BUFFER, 0, 0, 0);
            listing->at = 0;
            if (listing->filled <= 0)
                return -1;
        }
        const struct entry *entry = (const void *)(listing->buffer + listing->at);
        listing->at += entry->length;
        uint64_t number;
        if (parse_number(entry->name, &number))
            return (int)number;
    }
}

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

/* "/proc/PID/WHAT", or "/proc/PID/task/TID/WHAT" where tid is not 0. */
static void proc_path(char *path, size_t size, int pid, int tid, const char *what) {
    struct line line;
    line_init(&line, path, size);
    line_text(&line, "/proc/");
    line_unsigned(&line, (unsigned)pid);
    if (tid) {
        line_text(&line, "/task/");
        line_unsigned(&line, (unsigned)tid);
    }
    line_text(&line, what);
    line_char(&line, '\0');
}

enum { PATH = 64 };

static long read_file(const char *path, char *buffer, size_t size) {
    long fd = own_open(SYS_open, (long)path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    long length = probe(SYS_read, fd, (long)buffer, (long)size - 1, 0, 0, 0);
    probe(SYS_close, fd, 0, 0, 0, 0, 0);
    if (length >= 0)
        buffer[length] = '\0';
    return length;
}

/* Whether there is a /proc to look at: not in a chroot without one, nor in a sandbox. */
static bool is_proc_there(void) {
    char link[16];
    return probe(SYS_readlink, (long)"/proc/self", (long)link, sizeof link, 0, 0, 0) > 0;
}

void search_comm(int pid, int tid, char comm[COMM_SIZE]) {
    char path[PATH];
    proc_path(path, sizeof path, pid, tid, "/comm");
    long length = read_file(path, comm, COMM_SIZE);
    if (length <= 0)
        comm[0] = '\0';
    else if (comm[length - 1] == '\n')
        comm[length - 1] = '\0';
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
void search_row_add(struct search_row *row, int pid, int fd, bool own) {
    row->descriptors++;
    row->own += own;
    if (row->found_count < FOUND_SHOWN)
        row->found[row->found_count++] = (struct found_descriptor){pid, fd};
}

enum { LINK = 64 };

/* The inode in what a link says, "socket:[12345]", or 0. */
static uint64_t inode_in(char link[LINK], long length) {
    static const char prefix[] = "socket:[";
    uint64_t inode;
    if (length < (long)sizeof prefix || length >= LINK || memcmp(link, prefix, sizeof prefix - 1) != 0)
        return 0;
    link[length] = '\0';
    return parse_number(link + sizeof prefix - 1, &inode) ? inode : 0;
}

static uint64_t socket_of_link(int directory, int fd) {
    char name[16], link[LINK] = "";
    struct line line;
    line_init(&line, name, sizeof name);
    line_unsigned(&line, (unsigned)fd);
    line_char(&line, '\0');
    return inode_in(link, probe(SYS_readlinkat, directory, (long)name, (long)link, LINK - 1, 0, 0));
}

static void descriptor_path(char *path, size_t size, int pid, const char *folder, int fd) {
    struct line line;
    line_init(&line, path, size);
    line_text(&line, "/proc/");
    line_unsigned(&line, (unsigned)pid);
    line_text(&line, folder);
    line_unsigned(&line, (unsigned)fd);
    line_char(&line, '\0');
}

enum looked search_look(int pid, int fd, uint64_t inode) {
    char path[PATH], link[LINK] = "";
    descriptor_path(path, sizeof path, pid, "/fd/", fd);
    long length = probe(SYS_readlink, (long)path, (long)link, LINK - 1, 0, 0, 0);
    if (length == -EACCES || length == -EPERM)
        return LOOKED_UNREADABLE;
    if (length < 0 && probe(SYS_kill, pid, 0, 0, 0, 0, 0) != -ESRCH && !is_proc_there())
        return LOOKED_UNREADABLE;
    return inode_in(link, length) == inode ? LOOKED_THERE : LOOKED_NOT_THERE;
}

/* A process that ends holds nothing any more; one that does so while it is read is ENOENT from there on. */
static bool says_gone(long error) {
    return error == -ENOENT || error == -ESRCH;
}

static void search_process(struct search *search, int pid, bool own, struct scratch *scratch) {
    char path[PATH];
    struct listing listing;
    /* The process's own folder is empty when its first thread has ended: then ours has the descriptors. */
    proc_path(path, sizeof path, pid, own ? process_thread_id() : 0, "/fd");
    long opened = listing_open(&listing, path, scratch->entries);
    if (opened < 0) {
        search->partial = search->partial || !says_gone(opened);
        return;
    }
    for (int fd; (fd = listing_next(&listing)) >= 0;) {
        uint64_t inode = socket_of_link(listing.fd, fd);
        struct search_row *row = inode ? row_of(search, inode) : NULL;
        if (row)
            search_row_add(row, pid, fd, own);
    }
    search->partial = search->partial || (listing.filled < 0 && !says_gone(listing.filled));
    listing_close(&listing);
}

static void search_prepare(struct search *search) {
    search->partial = false;
    search->possible = false;
    for (size_t i = 0; search->index && i < search->count; i++)
        search->index[slot_for(search, search->rows[i].inode)] = (uint32_t)i + 1;
}

void search_descriptors_of(struct search *search, int pid, struct scratch *scratch) {
    search_prepare(search);
    search_process(search, pid, pid == process_id(), scratch);
    search->possible = !search->partial;
}

void search_descriptors(struct search *search, struct scratch *scratch) {
    search_prepare(search);
    struct listing processes;
    if (listing_open(&processes, "/proc", scratch->processes) < 0) {
        search->partial = true;
        return;
    }
    search->possible = true;
    int self = process_id();
    for (int pid; (pid = listing_next(&processes)) >= 0;)
        if (pid != self)
            search_process(search, pid, false, scratch);
    listing_close(&processes);
    search_process(search, self, true, scratch);
}

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
    char path[PATH], link[8];
    descriptor_path(path, sizeof path, pid, "/fd/", fd);
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

/* "NUMBER 0xARG0 0xARG1 ...": /proc/PID/task/TID/syscall; "running" where it is in none. */
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

static const char *call_of_thread(const struct wanted *wanted, int tid, struct scratch *scratch) {
    char path[PATH];
    uint64_t number, arguments[4];
    proc_path(path, sizeof path, wanted->pid, tid, "/syscall");
    if (read_file(path, scratch->text, 256) <= 0 || !parse_call(scratch->text, &number, arguments))
        return NULL;
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
    int but; /* none of that process's */
};

static bool is_listed(const struct threads *threads, int tid) {
    for (unsigned i = 0; i < threads->count; i++)
        if (threads->list[i].tid == tid)
            return true;
    return false;
}

static void search_threads(const struct wanted *wanted, struct scratch *scratch, struct threads *threads) {
    char path[PATH];
    struct listing listing;
    int self = process_thread_id();
    proc_path(path, sizeof path, wanted->pid, 0, "/task");
    if (listing_open(&listing, path, scratch->entries) < 0)
        return;
    for (int tid; threads->count < threads->max && (tid = listing_next(&listing)) >= 0;) {
        const char *call = tid == self ? NULL : call_of_thread(wanted, tid, scratch);
        if (!call || is_listed(threads, tid) || release_is_other(tid, wanted->cookie))
            continue;
        struct holder *holder = &threads->list[threads->count++];
        *holder = (struct holder){.pid = wanted->pid, .fd = -1, .tid = tid, .call = call};
        search_comm(wanted->pid, tid, holder->comm);
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

/* The parent's id: the fourth field of /proc/PID/stat, behind a name that may hold anything but ends in ')'. */
static int parent_of(int pid, struct scratch *scratch) {
    char path[PATH];
    uint64_t parent;
    proc_path(path, sizeof path, pid, 0, "/stat");
    if (read_file(path, scratch->text, 256) <= 0)
        return -1;
    const char *name_end = strrchr(scratch->text, ')');
    return name_end && strlen(name_end) > 4 && parse_number(name_end + 4, &parent) ? (int)parent : -1;
}

/* Parent, child or sibling: who may have had the socket from us, or we from them. */
static bool is_relative(int pid, int self, struct scratch *scratch) {
    int our_parent = (int)probe(SYS_getppid, 0, 0, 0, 0, 0, 0);
    int parent = pid == self ? 0 : parent_of(pid, scratch);
    return pid == our_parent || parent == self || (parent == our_parent && parent > 0);
}

unsigned search_known_calls(uint64_t cookie, bool ends, struct scratch *scratch, struct holder *list, unsigned max) {
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
        if (pid == self || is_relative(pid, self, scratch))
            search_threads(&wanted, scratch, threads);
    }
    listing_close(&processes);
}

unsigned search_calls_in_progress(uint64_t cookie, struct scratch *scratch, struct holder *list, unsigned max) {
    struct threads threads = {.list = list, .max = max};
    search_where_closed(cookie, false, scratch, &threads);
    if (!threads.count)
        search_where_closed(cookie, true, scratch, &threads);
    if (!threads.count)
        search_among_relatives(cookie, scratch, &threads);
    return threads.count;
}

/* The number behind "scm_fds:" in a unix socket's fdinfo (unix_show_fdinfo), or 0. */
static unsigned scm_fds(const char *fdinfo) {
    const char *at = strstr(fdinfo, "scm_fds:");
    uint64_t number = 0;
    if (!at)
        return 0;
    at += strlen("scm_fds:");
    while (*at == ' ' || *at == '\t')
        at++;
    return parse_number(at, &number) ? (unsigned)number : 0;
}

/* Queues with copies in them, each counted once, however many descriptors it has. */
struct queues {
    uint64_t seen[64];
    unsigned count;
};

static bool is_new(struct queues *queues, int pid, int fd) {
    char path[PATH], link[LINK] = "";
    descriptor_path(path, sizeof path, pid, "/fd/", fd);
    uint64_t inode = inode_in(link, probe(SYS_readlink, (long)path, (long)link, LINK - 1, 0, 0, 0));
    for (unsigned i = 0; inode && i < queues->count; i++)
        if (queues->seen[i] == inode)
            return false;
    if (queues->count < sizeof queues->seen / sizeof *queues->seen)
        queues->seen[queues->count++] = inode;
    return true;
}

static unsigned in_flight_of(int pid, struct queues *queues, struct scratch *scratch, bool *partial) {
    char path[PATH];
    struct listing descriptors;
    unsigned count = 0, copies;
    proc_path(path, sizeof path, pid, 0, "/fdinfo");
    long opened = listing_open(&descriptors, path, scratch->entries);
    if (opened < 0) {
        *partial = *partial || !says_gone(opened);
        return 0;
    }
    for (int fd; (fd = listing_next(&descriptors)) >= 0;) {
        descriptor_path(path, sizeof path, pid, "/fdinfo/", fd);
        if (read_file(path, scratch->text, 512) > 0 && (copies = scm_fds(scratch->text)) && is_new(queues, pid, fd))
            count += copies;
    }
    listing_close(&descriptors);
    return count;
}

/* What /proc/PID/ns/net says: "net:[4026531840]". */
static void network_of(int pid, char link[LINK]) {
    char path[PATH];
    proc_path(path, sizeof path, pid, 0, "/ns/net");
    long length = probe(SYS_readlink, (long)path, (long)link, LINK - 1, 0, 0, 0);
    link[length > 0 ? length : 0] = '\0';
}

/* One that may not be looked at may be. */
static bool is_in_network(int pid, const char *network) {
    char theirs[LINK] = "";
    network_of(pid, theirs);
    return !theirs[0] || strcmp(theirs, network) == 0;
}

unsigned search_in_flight(bool among_relatives, struct scratch *scratch, bool *partial) {
    struct listing processes;
    struct queues queues = {.count = 0};
    unsigned count = 0;
    *partial = false;
    if (listing_open(&processes, "/proc", scratch->processes) < 0) {
        *partial = true;
        return 0;
    }
    int self = process_id();
    char ours[LINK] = "";
    network_of(self, ours);
    for (int pid; (pid = listing_next(&processes)) >= 0;)
        if (pid == self || (among_relatives ? is_relative(pid, self, scratch) : is_in_network(pid, ours)))
            count += in_flight_of(pid, &queues, scratch, partial);
    listing_close(&processes);
    return count;
}

int search_queue(uint64_t inode, struct scratch *scratch, bool *unreadable) {
    struct search_row row = {.inode = inode};
    struct search search = {.rows = &row, .count = 1};
    char path[PATH];
    search_descriptors(&search, scratch);
    *unreadable = search.partial;
    if (row.found_count == 0)
        return -1;
    descriptor_path(path, sizeof path, row.found[0].pid, "/fdinfo/", row.found[0].fd);
    return read_file(path, scratch->text, 512) > 0 ? (int)scm_fds(scratch->text) : -1;
}
