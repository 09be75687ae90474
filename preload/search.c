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
    if (length < 0 && raw6(SYS_kill, pid, 0, 0, 0, 0, 0) != -ESRCH && !is_proc_there())
        return LOOKED_UNREADABLE;
    return inode_in(link, length) == inode ? LOOKED_THERE : LOOKED_NOT_THERE;
}

static void search_process(struct search *search, int pid, bool own, struct scratch *scratch) {
    char path[PATH];
    struct listing listing;
    proc_path(path, sizeof path, pid, 0, "/fd");
    long opened = listing_open(&listing, path, scratch->entries);
    if (opened < 0) {
        search->partial = search->partial || (opened != -ENOENT && opened != -ESRCH);
        return;
    }
    for (int fd; (fd = listing_next(&listing)) >= 0;) {
        uint64_t inode = socket_of_link(listing.fd, fd);
        struct search_row *row = inode ? row_of(search, inode) : NULL;
        if (row)
            search_row_add(row, pid, fd, own);
    }
    search->partial = search->partial || listing.filled < 0;
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

static bool in_poll_set(int pid, uint64_t set, uint64_t count, int fd) {
    for (uint64_t i = 0; i < count && i < 4096; i++) {
        struct pollfd entry = {0};
        if (!copy_from(pid, set + i * sizeof entry, &entry, sizeof entry))
            return false;
        if (entry.fd == fd)
            return true;
    }
    return false;
}

static bool in_select_sets(int pid, const uint64_t arguments[4], int fd) {
    if ((uint64_t)fd >= arguments[0])
        return false;
    for (int set = 1; set <= 3; set++) {
        uint64_t word = 0;
        if (arguments[set] && copy_from(pid, arguments[set] + (unsigned)fd / 64 * 8, &word, sizeof word) &&
            word >> ((unsigned)fd % 64) & 1)
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

static bool is_open_in(int pid, int fd) {
    char path[PATH], link[8];
    descriptor_path(path, sizeof path, pid, "/fd/", fd);
    return probe(SYS_readlink, (long)path, (long)link, sizeof link, 0, 0, 0) >= 0;
}

static const char *call_of_thread(int pid, int tid, int fd, struct scratch *scratch) {
    char path[PATH];
    uint64_t number, arguments[4];
    proc_path(path, sizeof path, pid, tid, "/syscall");
    if (read_file(path, scratch->text, 256) <= 0 || !parse_call(scratch->text, &number, arguments))
        return NULL;
    const char *call = call_on_descriptor(number);
    if (call) {
        bool it =
            fd >= 0 ? arguments[0] == (uint64_t)fd : arguments[0] < 1U << 20 && !is_open_in(pid, (int)arguments[0]);
        /* splice() may have it at its other end */
        return it || (fd >= 0 && number == SYS_splice && arguments[2] == (uint64_t)fd) ? call : NULL;
    }
    call = call_on_set(number);
    if (!call || fd < 0)
        return NULL;
    if (number == SYS_poll || number == SYS_ppoll)
        return in_poll_set(pid, arguments[0], arguments[1], fd) ? call : NULL;
    return in_select_sets(pid, arguments, fd) ? call : NULL;
}

static unsigned search_threads(int pid, int fd, uint64_t cookie, struct scratch *scratch, struct holder *list,
                               unsigned max) {
    char path[PATH];
    struct listing threads;
    int self = process_thread_id();
    unsigned found = 0;
    proc_path(path, sizeof path, pid, 0, "/task");
    if (listing_open(&threads, path, scratch->entries) < 0)
        return 0;
    for (int tid; found < max && (tid = listing_next(&threads)) >= 0;) {
        const char *call = tid == self ? NULL : call_of_thread(pid, tid, fd, scratch);
        if (!call || release_is_other(tid, cookie))
            continue;
        list[found] = (struct holder){.pid = pid, .fd = -1, .tid = tid, .call = call};
        search_comm(pid, tid, list[found].comm);
        found++;
    }
    listing_close(&threads);
    return found;
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

unsigned search_calls_in_progress(int fd, uint64_t cookie, struct scratch *scratch, struct holder *list, unsigned max) {
    int self = process_id();
    unsigned found = fd >= 0 ? search_threads(self, fd, cookie, scratch, list, max) : 0;
    struct listing processes;
    if (found || listing_open(&processes, "/proc", scratch->processes) < 0)
        return found;
    for (int pid; found < max && (pid = listing_next(&processes)) >= 0;)
        if (pid == self || is_relative(pid, self, scratch))
            found += search_threads(pid, -1, cookie, scratch, list + found, max - found);
    listing_close(&processes);
    return found;
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

static unsigned in_flight_of(int pid, struct scratch *scratch, bool *partial) {
    char path[PATH];
    struct listing descriptors;
    unsigned count = 0;
    proc_path(path, sizeof path, pid, 0, "/fdinfo");
    long opened = listing_open(&descriptors, path, scratch->entries);
    if (opened < 0) {
        *partial = *partial || (opened != -ENOENT && opened != -ESRCH);
        return 0;
    }
    for (int fd; (fd = listing_next(&descriptors)) >= 0;) {
        descriptor_path(path, sizeof path, pid, "/fdinfo/", fd);
        if (read_file(path, scratch->text, 512) > 0)
            count += scm_fds(scratch->text);
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
            count += in_flight_of(pid, scratch, partial);
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
