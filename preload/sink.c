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
#include <termios.h>

#include "own.h"
#include "process.h"
#include "pure/settings.h"
#include "sandbox.h"

enum { STDERR = 2, PATH_SIZE = 4096, KERNEL_SIGSET = 8 };

static struct {
    bool usable;
    uint64_t device, inode, special;
} standard_error;

static bool to_file;
static bool per_process;     /* the name has a %p */
static char name[PATH_SIZE]; /* absolute, %p not replaced */

void sink_start(void) {
    struct stat status;
    if (raw6(SYS_fstat, STDERR, (long)&status, 0, 0, 0, 0) < 0 || S_ISSOCK(status.st_mode))
        return;
    standard_error.usable = true;
    standard_error.device = status.st_dev;
    standard_error.inode = status.st_ino;
    standard_error.special = status.st_rdev;
}

bool sink_is_terminal(void) {
    char settings[64]; /* the kernel's struct termios */
    return standard_error.usable && raw6(SYS_ioctl, STDERR, TCGETS, (long)settings, 0, 0, 0) == 0;
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

/* A write that may raise a signal: the signal is blocked for its time, and taken off again. */
static long guarded_write(int fd, const char *text, size_t length) {
    uint64_t old = 0, pending = 0;
    if (probe(SYS_rt_sigprocmask, SIG_BLOCK, (long)&write_signals, (long)&old, KERNEL_SIGSET, 0, 0) < 0)
        return -EPERM;
    probe(SYS_rt_sigpending, (long)&pending, KERNEL_SIGSET, 0, 0, 0, 0);
    long result = probe(SYS_write, fd, (long)text, (long)length, 0, 0, 0);
    if (result == -EPIPE || result == -EFBIG)
        swallow(pending);
    probe(SYS_rt_sigprocmask, SIG_SETMASK, (long)&old, 0, KERNEL_SIGSET, 0, 0);
    return result;
}

static bool has_room(int fd) {
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    return probe(SYS_poll, (long)&room, 1, 0, 0, 0, 0) == 1 && (room.revents & (POLLOUT | POLLERR)) == POLLOUT;
}

/* In a sandbox that does not let us ask, what was found before it went up. */
static bool is_size_limited(void) {
    static bool limited = true;
    struct rlimit limit;
    if (probe(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit, 0, 0) == 0)
        limited = limit.rlim_cur != RLIM_INFINITY;
    return limited;
}

static bool write_line(int fd, const struct stat *status, const char *text, size_t length) {
    if (S_ISREG(status->st_mode) && !is_size_limited())
        return probe(SYS_write, fd, (long)text, (long)length, 0, 0, 0) == (long)length;
    if (!S_ISREG(status->st_mode) && !has_room(fd))
        return false;
    return guarded_write(fd, text, length) == (long)length;
}

static bool to_standard_error(const char *text, size_t length) {
    struct stat status;
    if (!standard_error.usable || probe(SYS_fstat, STDERR, (long)&status, 0, 0, 0, 0) < 0)
        return false;
    if (status.st_dev != standard_error.device || status.st_ino != standard_error.inode ||
        status.st_rdev != standard_error.special)
        return false;
    return write_line(STDERR, &status, text, length);
}

static long open_log(int pid, bool make) {
    char path[PATH_SIZE];
    if (!settings_output_path(name, pid, path, sizeof path))
        return -ENAMETOOLONG;
    int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (make ? O_CREAT : 0);
    return own_open(SYS_open, (long)path, flags, 0666);
}

/* A file that will be made when there is a line for it: is its directory there, and can it be written? */
static long try_directory(void) {
    char directory[PATH_SIZE];
    char *slash;
    memcpy(directory, name, sizeof directory);
    slash = strrchr(directory, '/');
    slash[slash == directory] = '\0';
    return raw6(SYS_access, (long)directory, 02 | 01, 0, 0, 0, 0);
}

static bool make_absolute(const char *output, int *error) {
    size_t length = strlen(output), at = 0;
    if (output[0] != '/') {
        long there = raw6(SYS_getcwd, (long)name, PATH_SIZE, 0, 0, 0, 0);
        if (there <= 0) {
            *error = (int)-there;
            return false;
        }
        at = (size_t)there - 1;
        name[at++] = '/';
    }
    if (at + length >= PATH_SIZE) {
        *error = ENAMETOOLONG;
        return false;
    }
    memcpy(name + at, output, length + 1);
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
    long result = per_process ? try_directory() : open_log(process_id(), true);
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

/* A vfork child has a file of its own to write, and no table of its own to keep it in. */
static bool to_borrowed_file(const char *text, size_t length) {
    struct stat status;
    long fd = open_log(process_id(), true);
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
        long opened = open_log(process_id(), true);
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
