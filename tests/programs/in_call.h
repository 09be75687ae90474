/* Threads inside a system call. */
#ifndef TESTS_PROGRAMS_IN_CALL_H
#define TESTS_PROGRAMS_IN_CALL_H

#include "pair.h"

/* The thread's system call number as the kernel tells it, or -1 while it is none (or the thread runs). */
LOCAL_HELPER long syscall_of(int tid) {
    char path[64], text[32];
    snprintf(path, sizeof path, "/proc/%d/syscall", tid);
    int fd = MUST(open(path, O_RDONLY | O_CLOEXEC));
    ssize_t length = read(fd, text, sizeof text - 1);
    MUST(close(fd));
    if (length <= 0)
        return -1;
    text[length] = '\0';
    char *end;
    long number = strtol(text, &end, 10);
    return end == text ? -1 : number;
}

#endif
