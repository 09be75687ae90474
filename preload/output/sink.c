#define _GNU_SOURCE
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>

#include "kernel/own_fds.h"
#include "kernel/process.h"
#include "pure/settings.h"
#include "kernel/seccomp_guard.h"
#include "kernel/scratch.h"

enum { STDERR = 2, PATH_SIZE = 4096, KERNEL_SIGSET = 8 };

/* What tells a file from another: an inode's number is used again, its birth is not (statx(2)). */
struct file_identity {
    uint64_t device, inode, special, born;
};

static bool standard_error_usable;
static struct file_identity standard_error;

static bool to_file;
static bool per_process;         /* the name has a %p */
static char log_path[PATH_SIZE]; /* absolute, %p not replaced */

static struct file_identity identity_of(int fd, const struct stat *status) {
    struct file_identity identity = {status->st_dev, status->st_ino, status->st_rdev, 0};
    struct statx extended = {0};
    if (S_ISREG(status->st_mode) &&
        probe(SYS_statx, fd, (long)"", AT_EMPTY_PATH, STATX_BTIME, (long)&extended, 0) == 0 &&
        (extended.stx_mask & STATX_BTIME))
        identity.born = (uint64_t)extended.stx_btime.tv_sec * 1000000000 + extended.stx_btime.tv_nsec;
    return identity;
}

void sink_start(void) {
    struct stat status;
    if (raw6(SYS_fstat, STDERR, (long)&status, 0, 0, 0, 0) < 0 || S_ISSOCK(status.st_mode))
        return;
    standard_error_usable = true;
    standard_error = identity_of(STDERR, &status);
}

bool sink_is_terminal(void) {
    char settings[64]; /* the kernel's struct termios */
    return standard_error_usable && raw6(SYS_ioctl, STDERR, TCGETS, (long)settings, 0, 0, 0) == 0;
}

/* The signals that a write can bring to the writer. */
static const uint64_t write_signals = 1ULL << (SIGPIPE - 1) | 1ULL << (SIGXFSZ - 1) | 1ULL << (SIGTTOU - 1);

static void swallow(uint64_t pending_before) {
    uint64_t pending = 0;
    struct timespec now = {0};
    probe(SYS_rt_sigpending, (long)&pending, KERNEL_SIGSET, 0, 0, 0, 0);
    uint64_t raised = pending & ~pending_before & write_signals;
    if (raised)
        probe(SYS_rt_sigtimedwait, (long)&raised, 0, (long)&now, KERNEL_SIGSET, 0, 0);
}

typedef long write_call(int fd, const char *text, size_t length);

static long plain_write(int fd, const char *text, size_t length) {
    return probe(SYS_write, fd, (long)text, (long)length, 0, 0, 0);
}

/*
 * To a pipe, which must not block, and whose O_NONBLOCK is not ours to set. Newer kernels take the wish with the call;
 * else the pipe is opened anew for the time of the write.
 */
static long pipe_write(int fd, const char *text, size_t length) {
    static bool unsupported;
    struct iovec part = {(void *)(uintptr_t)text, length};
    if (!unsupported) {
        long result = probe(SYS_pwritev2, fd, (long)&part, 1, -1, -1, RWF_NOWAIT);
        if (result != -EOPNOTSUPP && result != -EINVAL && result != -ENOSYS && result != -EPERM)
            return result;
        unsupported = true;
    }
    long own =
        own_open(SYS_open, (long)(fd == STDERR ? "/proc/self/fd/2" : log_path), O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
    if (own < 0)
        return own;
    long result = plain_write((int)own, text, length);
    probe(SYS_close, own, 0, 0, 0, 0, 0);
    return result;
}

/* A write that may raise a signal: the signal is blocked for its time, and taken off again. */
static long guarded(write_call *call, int fd, const char *text, size_t length) {
    uint64_t old = 0, pending = 0;
    if (probe(SYS_rt_sigprocmask, SIG_BLOCK, (long)&write_signals, (long)&old, KERNEL_SIGSET, 0, 0) < 0)
        return -EPERM;
    probe(SYS_rt_sigpending, (long)&pending, KERNEL_SIGSET, 0, 0, 0, 0);
    long result = call(fd, text, length);
    if (result == -EPIPE || result == -EFBIG)
        swallow(pending);
    probe(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, KERNEL_SIGSET, 0, 0);
    return result;
}

static bool has_room(int fd) {
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    return probe(SYS_poll, (long)&room, 1, 0, 0, 0, 0) == 1 && (room.revents & (POLLOUT | POLLERR)) == POLLOUT;
}

/* Up to where a file may grow. In a sandbox that does not let us ask, what was found before it went up. */
static uint64_t size_limit(void) {
    static uint64_t last = 0;
    struct rlimit limit;
    if (probe(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit, 0, 0) == 0)
        last = limit.rlim_cur;
    return last;
}

/* A line that could only be written in part (a full disk): the next one begins on a line of its own. */
static _Atomic bool torn;

static bool all_written(long result, size_t length) {
    if (result > 0 && (size_t)result < length)
        torn = true;
    return result == (long)length;
}

static bool to_file_of(int fd, const struct stat *status, const char *text, size_t length) {
    uint64_t limit = size_limit();
    if (limit != RLIM_INFINITY && (uint64_t)status->st_size + length > limit)
        return false;
    write_call *call = plain_write;
    if (torn && (limit == RLIM_INFINITY ? call(fd, "\n", 1) : guarded(call, fd, "\n", 1)) == 1)
        torn = false;
    return all_written(limit == RLIM_INFINITY ? call(fd, text, length) : guarded(call, fd, text, length), length);
}

static bool write_line(int fd, const struct stat *status, const char *text, size_t length) {
    if (S_ISREG(status->st_mode))
        return to_file_of(fd, status, text, length);
    if (!has_room(fd))
        return false;
    return all_written(guarded(S_ISFIFO(status->st_mode) ? pipe_write : plain_write, fd, text, length), length);
}

static bool to_standard_error(const char *text, size_t length) {
    struct stat status;
    if (!standard_error_usable || probe(SYS_fstat, STDERR, (long)&status, 0, 0, 0, 0) < 0)
        return false;
    struct file_identity now = identity_of(STDERR, &status);
    return memcmp(&now, &standard_error, sizeof now) == 0 && write_line(STDERR, &status, text, length);
}

static long open_log(int pid) {
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_CREAT;
    OWN_SCRATCH *scratch = scratch_take(); /* not on the stack, which may be a handler's */
    if (!scratch)
        return -ENOMEM;
    long fd = settings_output_path(log_path, pid, scratch->entries, sizeof scratch->entries)
                  ? own_open(SYS_open, (long)scratch->entries, flags, 0666)
                  : -ENAMETOOLONG;
    return fd;
}

/* A file that will be made when there is a line for it: is its directory there, and can it be written? */
static long try_directory(void) {
    char directory[PATH_SIZE];
    char *slash;
    memcpy(directory, log_path, sizeof directory);
    slash = strrchr(directory, '/');
    slash[slash == directory] = '\0';
    return raw6(SYS_access, (long)directory, 02 | 01, 0, 0, 0, 0);
}

static bool make_absolute(const char *output, int *error) {
    size_t length = strlen(output), at = 0;
    if (output[0] != '/') {
        long there = raw6(SYS_getcwd, (long)log_path, PATH_SIZE, 0, 0, 0, 0);
        if (there <= 0) {
            *error = (int)-there;
            return false;
        }
        at = (size_t)there - 1;
        log_path[at++] = '/';
    }
    if (at + length >= PATH_SIZE) {
        *error = ENAMETOOLONG;
        return false;
    }
    memcpy(log_path + at, output, length + 1);
    return true;
}

static bool names_process(const char *output) {
    for (const char *at = output; *at; at++)
        if (*at == '%' && *++at == 'p')
            return true;
    return false;
}

static bool is_socket(int fd) {
    struct stat status;
    return raw6(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) < 0 || S_ISSOCK(status.st_mode);
}

bool sink_to_file(const char *output, int *error) {
    if (!make_absolute(output, error))
        return false;
    to_file = true;
    per_process = names_process(output);
    long result = per_process ? try_directory() : open_log(process_id());
    if (result < 0) {
        *error = (int)-result;
        return false;
    }
    if (!per_process && is_socket((int)result)) {
        raw6(SYS_close, result, 0, 0, 0, 0, 0);
        *error = ENXIO;
        return false;
    }
    if (!per_process)
        own_adopt(OWN_LOG, (int)result);
    return true;
}

void sink_to_session(const char *output) {
    int unused;
    to_file = output && make_absolute(output, &unused);
    per_process = to_file && names_process(output);
}

/* A vfork child has a file of its own to write, and no table of its own to keep it in. */
static bool to_borrowed_file(const char *text, size_t length) {
    struct stat status;
    long fd = open_log(process_id());
    if (fd < 0)
        return false;
    bool written = probe(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 && write_line((int)fd, &status, text, length);
    probe(SYS_close, fd, 0, 0, 0, 0, 0);
    return written;
}

static bool to_log(const char *text, size_t length) {
    struct stat status;
    if (per_process && process_is_borrowed())
        return to_borrowed_file(text, length);
    int fd = own_descriptor_status(OWN_LOG, &status);
    if (fd < 0) {
        if (process_is_borrowed())
            return to_borrowed_file(text, length);
        long opened = open_log(process_id());
        fd = opened < 0 || own_adopt(OWN_LOG, (int)opened) < 0 ? -1 : own_descriptor_status(OWN_LOG, &status);
    }
    return fd >= 0 && write_line(fd, &status, text, length);
}

bool sink_write(const char *line, size_t length) {
    return to_file ? to_log(line, length) : to_standard_error(line, length);
}

void sink_complain(const char *text, size_t length) {
    to_standard_error(text, length);
}

void sink_forked(void) {
    if (per_process)
        own_drop(OWN_LOG);
}
