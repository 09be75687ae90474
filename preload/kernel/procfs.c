#define _GNU_SOURCE
#include "procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "own_fds.h"
#include "pure/line.h"
#include "seccomp_guard.h"

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
long listing_open(struct listing *listing, const char *path, char *buffer) {
    *listing = (struct listing){.fd = (int)open_directory(path), .buffer = buffer};
    return listing->fd;
}

void listing_close(struct listing *listing) {
    probe(SYS_close, listing->fd, 0, 0, 0, 0, 0);
}

bool parse_number(const char *text, uint64_t *number) {
    *number = 0;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        *number = *number * 10 + (unsigned)(*text - '0');
    return true;
}

const char *text_behind(const char *text, const char *label) {
    const char *at = strstr(text, label);
    return at ? at + strlen(label) : NULL;
}

/* The next number, or -1 at the end. */
int listing_next(struct listing *listing) {
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

/* "/proc/PID/WHAT", or "/proc/PID/task/TID/WHAT" where tid is not 0. */
void proc_path(char *path, size_t size, int pid, int tid, const char *what) {
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

void proc_descriptor_path(char *path, size_t size, int pid, const char *folder, int fd) {
    struct line line;
    line_init(&line, path, size);
    line_text(&line, "/proc/");
    line_unsigned(&line, (unsigned)pid);
    line_text(&line, folder);
    line_unsigned(&line, (unsigned)fd);
    line_char(&line, '\0');
}

long proc_read(const char *path, char *buffer, size_t size) {
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
bool proc_hides(int pid) {
    char path[PROC_PATH], comm[COMM_SIZE];
    if (probe(SYS_kill, pid, 0, 0, 0, 0, 0) == -ESRCH)
        return false;
    proc_path(path, sizeof path, pid, 0, "/comm"); /* everybody may read it, a zombie's too */
    return proc_read(path, comm, sizeof comm) <= 0;
}

void proc_comm(int pid, int tid, char comm[COMM_SIZE]) {
    char path[PROC_PATH];
    proc_path(path, sizeof path, pid, tid, "/comm");
    long length = proc_read(path, comm, COMM_SIZE);
    if (length <= 0)
        comm[0] = '\0';
    else if (comm[length - 1] == '\n')
        comm[length - 1] = '\0';
}

/* The inode in what a link says, "socket:[12345]", or 0. */
uint64_t proc_inode_in(char link[PROC_LINK], long length) {
    static const char prefix[] = "socket:[";
    uint64_t inode;
    if (length < (long)sizeof prefix || length >= PROC_LINK || memcmp(link, prefix, sizeof prefix - 1) != 0)
        return 0;
    link[length] = '\0';
    return parse_number(link + sizeof prefix - 1, &inode) ? inode : 0;
}

/* A process that ends holds nothing any more; one that does so while it is read is ENOENT from there on. */
bool proc_says_gone(long error) {
    return error == -ENOENT || error == -ESRCH;
}

/*
 * A number of /proc/PID/stat; the second field is a name that may hold anything but ends in ')'. Above 0: it is there;
 * below: why it cannot be read.
 */
static long stat_field(int pid, int field, uint64_t *number) {
    char path[PROC_PATH], text[256];
    proc_path(path, sizeof path, pid, 0, "/stat");
    long length = proc_read(path, text, sizeof text);
    const char *at = length > 0 ? strrchr(text, ')') : NULL;
    for (int i = 2; i < field && at; i++)
        at = strchr(at + 1, ' ');
    return at && parse_number(at + 1, number) ? 1 : length < 0 ? length : 0;
}

bool proc_is_ending(int pid) {
    enum { FLAGS = 9, PF_EXITING = 4 };
    uint64_t flags = 0;
    long there = stat_field(pid, FLAGS, &flags);
    return there < 0 ? proc_says_gone(there) : (flags & PF_EXITING) != 0;
}

bool proc_started_at(int pid, uint64_t *ticks) {
    enum { STARTTIME = 22 };
    return stat_field(pid, STARTTIME, ticks) > 0;
}

/* The parent's id: the fourth field of /proc/PID/stat, behind a name that may hold anything but ends in ')'. */
static int parent_of(int pid, struct scratch *scratch) {
    char path[PROC_PATH];
    uint64_t parent;
    proc_path(path, sizeof path, pid, 0, "/stat");
    if (proc_read(path, scratch->text, 256) <= 0)
        return -1;
    const char *name_end = strrchr(scratch->text, ')');
    return name_end && strlen(name_end) > 4 && parse_number(name_end + 4, &parent) ? (int)parent : -1;
}

/* Parent, child or sibling: who may have had the socket from us, or we from them. */
bool proc_is_relative(int pid, int self, struct scratch *scratch) {
    int our_parent = (int)probe(SYS_getppid, 0, 0, 0, 0, 0, 0);
    int parent = pid == self ? 0 : parent_of(pid, scratch);
    return pid == our_parent || parent == self || (parent == our_parent && parent > 0);
}
