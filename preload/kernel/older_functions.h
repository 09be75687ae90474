/*
 * Functions that programs (lessons, tests) call and an older libc has not: glibc 2.31 lacks these. Tests' programs are
 * compiled with it before all else (-include in the Makefile).
 */
#ifndef CLOSETRACE_OLDER_FUNCTIONS_H
#define CLOSETRACE_OLDER_FUNCTIONS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <features.h>

#include "older.h"

#if __GLIBC_PREREQ(2, 36)
#include <sys/pidfd.h>
#else
#include <unistd.h>

static inline int pidfd_open(int pid, unsigned flags) {
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

static inline int pidfd_getfd(int pidfd, int fd, unsigned flags) {
    return (int)syscall(SYS_pidfd_getfd, pidfd, fd, flags);
}
#endif

#if !__GLIBC_PREREQ(2, 34)
#include <spawn.h>
#include <unistd.h>

static inline pid_t _Fork(void) {
    return fork();
}

static inline int close_range(unsigned first, unsigned last, int flags) {
    return (int)syscall(SYS_close_range, first, last, flags);
}

static inline void closefrom(int lowest) {
    close_range((unsigned)lowest, ~0U, 0);
}

static inline int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int lowest) {
    enum { HIGHEST = 255 };
    int error = 0;
    for (int fd = lowest; !error && fd <= HIGHEST; fd++)
        error = posix_spawn_file_actions_addclose(actions, fd);
    return error;
}

static inline int execveat(int directory, const char *path, char *const argv[], char *const environment[], int flags) {
    return (int)syscall(SYS_execveat, directory, path, argv, environment, flags);
}
#endif

#if !__GLIBC_PREREQ(2, 32)
#include "pure/names.c" // NOLINT(bugprone-suspicious-include): one program, one source
#define strerrorname_np errno_name
#endif

#endif
