#define _GNU_SOURCE
#include "interest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/procfs.h"
#include "kernel/thread_call.h"
#include "passes.h"

static bool is_it(uint64_t number, void *context) {
    const int *fd = context;
    return number == (uint64_t)*fd;
}

static enum interest of_threads(int pid, int fd, struct scratch *scratch) {
    struct folder threads = {0};
    struct thread_call call;
    enum interest interest = INTEREST_NONE;
    char path[PROC_PATH];
    int tid;
    proc_path(path, sizeof path, pid, 0, "/task");
    if (!folder_open(&threads, AT_FDCWD, path))
        return INTEREST_UNKNOWN;
    while (interest != INTEREST_WAITS && folder_next(&threads, &tid)) {
        if (thread_call_of(pid, tid, scratch, &call) != THREAD_IN_CALL)
            interest = INTEREST_UNKNOWN;
        else if (thread_call_keeps(&call, pid, is_it, &fd))
            interest = INTEREST_WAITS;
    }
    folder_close(&threads);
    free(threads.buffer);
    return interest;
}

/* "tfd:       21 events: ..." of an epoll set; "flags:  02000002" of any descriptor: a number of that base. */
static bool info_has(int pid, int fd, const char *key, int base, unsigned long value, unsigned long mask) {
    char path[PROC_PATH], line[256];
    const size_t length = strlen(key);
    bool found = false;
    proc_descriptor_path(path, sizeof path, pid, "/fdinfo/", fd);
    FILE *info = fopen(path, "re");
    while (info && !found && fgets(line, sizeof line, info))
        found = strncmp(line, key, length) == 0 && (strtoul(line + length, NULL, base) & mask) == value;
    if (info)
        fclose(info);
    return found;
}

static enum interest of_sets(int pid, int fd) {
    struct folder descriptors = {0};
    enum interest interest = INTEREST_NONE;
    char path[PROC_PATH], link[PROC_LINK];
    int other;
    proc_path(path, sizeof path, pid, 0, "/fd");
    if (!folder_open(&descriptors, AT_FDCWD, path))
        return INTEREST_UNKNOWN;
    for (const char *name; interest != INTEREST_WAITS && (name = folder_next(&descriptors, &other));) {
        const ssize_t length = readlinkat(descriptors.fd, name, link, sizeof link - 1);
        link[length > 0 ? length : 0] = '\0';
        if (strcmp(link, "anon_inode:[io_uring]") == 0)
            interest = INTEREST_UNKNOWN;
        else if (strcmp(link, "anon_inode:[eventpoll]") == 0 &&
                 info_has(pid, other, "tfd:", 10, (unsigned long)fd, ~0UL))
            interest = INTEREST_WAITS;
    }
    folder_close(&descriptors);
    free(descriptors.buffer);
    return interest;
}

enum interest interest_of(int pid, int fd) {
    struct scratch *scratch = scratch_take();
    if (!scratch)
        return INTEREST_UNKNOWN;
    const enum interest threads = of_threads(pid, fd, scratch);
    scratch_give(scratch);
    if (threads == INTEREST_WAITS)
        return threads;
    const enum interest sets = of_sets(pid, fd);
    return sets == INTEREST_NONE ? threads : sets;
}

bool closes_on_exec(int pid, int fd) {
    return info_has(pid, fd, "flags:", 8, O_CLOEXEC, O_CLOEXEC);
}

static bool program_of(int pid, struct stat *status) {
    char path[PROC_PATH];
    proc_path(path, sizeof path, pid, 0, "/exe");
    return stat(path, status) == 0;
}

bool same_program(int pid, int other) {
    struct stat one, two;
    return program_of(pid, &one) && program_of(other, &two) && one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

/* As it stands in its memory: false where there is none. */
static bool read_command_line(int pid, char text[COMMAND_LINE_SIZE]) {
    char path[PROC_PATH];
    proc_path(path, sizeof path, pid, 0, "/cmdline");
    long length = proc_read(path, text, COMMAND_LINE_SIZE);
    while (length > 0 && (text[length - 1] == '\0' || text[length - 1] == ' '))
        length--;
    for (long i = 0; i < length; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    text[length > 0 ? length : 0] = '\0';
    if (length >= COMMAND_LINE_SIZE - 2)
        memcpy(text + length - 3, "...", 3);
    return length > 0;
}

/* "postgres: walwriter", "nginx: worker process": what a program has put there for ps(1). */
static bool is_title(const char *text) {
    const size_t word = strcspn(text, " ");
    return word > 1 && text[word - 1] == ':';
}

/* nginx's says in its title what it was started with. */
static bool has_command_line(char text[COMMAND_LINE_SIZE]) {
    static const char master[] = ": master process ";
    const char *found = strstr(text, master);
    if (found)
        memmove(text, found + sizeof master - 1, strlen(found + sizeof master - 1) + 1);
    return !is_title(text);
}

/* Who bears a title has one who started it and bears none: its parent, or that one's, as long as they run one program.
 */
const char *command_line(int pid, char text[COMMAND_LINE_SIZE]) {
    enum { GENERATIONS = 4 };
    char path[PROC_PATH];
    for (int i = 0, at = pid; i < GENERATIONS && at > 1 && same_program(at, pid); i++, at = process_parent(at))
        if (read_command_line(at, text) && has_command_line(text))
            return text;
    proc_path(path, sizeof path, pid, 0, "/exe");
    const ssize_t length = readlink(path, text, COMMAND_LINE_SIZE - 1);
    text[length > 0 ? length : 0] = '\0';
    return length > 0 ? text : "COMMAND";
}
