#define _GNU_SOURCE
#include "epoll_sets.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>

#include "kernel/own_fds.h"
#include "kernel/process.h"
#include "kernel/seccomp_guard.h"
#include "refs/proc_search.h"

static bool is_epoll_set(int fd) {
    static const char wanted[] = "anon_inode:[eventpoll]";
    char path[PROC_PATH], link[PROC_LINK];
    proc_descriptor_path(path, sizeof path, process_id(), "/fd/", fd);
    long length = probe(SYS_readlink, (long)path, (long)link, sizeof link, 0, 0, 0);
    // cppcheck-suppress uninitvar // the kernel has filled it in
    return length == sizeof wanted - 1 && memcmp(link, wanted, sizeof wanted - 1) == 0;
}

static void forget_in(int set, int fd, struct scratch *scratch) {
    struct epoll_event unused = {0};
    (void)scratch;
    probe(SYS_epoll_ctl, set, EPOLL_CTL_DEL, fd, (long)&unused, 0, 0);
}

/* The hexadecimal number behind label in the line; false: there is none. */
static bool number_after(const char *line, const char *label, uint64_t *number) {
    const char *at = text_behind(line, label);
    *number = 0;
    if (!at)
        return false;
    while (*at == ' ')
        at++;
    const char *start = at;
    for (;; at++) {
        if (*at >= '0' && *at <= '9')
            *number = *number * 16 + (uint64_t)(*at - '0');
        else if (*at >= 'a' && *at <= 'f')
            *number = *number * 16 + (uint64_t)(*at - 'a' + 10);
        else
            return at > start;
    }
}

/* "tfd:        5 events:       1d data: ffffffff00000005  pos:0 ino:1a2b sdev:8", proc(5) */
static void rearm_line(int set, int fd, const char *line) {
    uint64_t target = 0, events, data;
    static const char prefix[] = "tfd:";
    if (strncmp(line, prefix, sizeof prefix - 1) != 0)
        return;
    for (line += sizeof prefix - 1; *line == ' ';)
        line++;
    if (!parse_number(line, &target) || target != (uint64_t)fd || !number_after(line, "events:", &events) ||
        !number_after(line, "data:", &data) || !(events & EPOLLET))
        return;
    struct epoll_event event = {.events = (uint32_t)events, .data.u64 = data};
    probe(SYS_epoll_ctl, set, EPOLL_CTL_MOD, fd, (long)&event, 0, 0);
}

static void rearm_in(int set, int fd, struct scratch *scratch) {
    enum { LINE = 160 };
    char path[PROC_PATH], line[LINE] = "";
    size_t length = 0;
    proc_descriptor_path(path, sizeof path, process_id(), "/fdinfo/", set);
    long info = own_open(SYS_open, (long)path, O_RDONLY | O_CLOEXEC, 0);
    if (info < 0)
        return;
    for (long got; (got = probe(SYS_read, info, (long)scratch->text, sizeof scratch->text, 0, 0, 0)) > 0;) {
        for (long i = 0; i < got; i++) {
            if (scratch->text[i] != '\n') {
                if (length < LINE - 1)
                    line[length++] = scratch->text[i];
                continue;
            }
            line[length] = '\0';
            length = 0;
            rearm_line(set, fd, line);
        }
    }
    probe(SYS_close, info, 0, 0, 0, 0, 0);
}

static void in_each_set(int fd, void (*what)(int set, int fd, struct scratch *scratch)) {
    struct listing listing;
    OWN_SCRATCH *scratch = scratch_take();
    if (!scratch)
        return;
    if (search_own_begin(&listing, scratch)) {
        for (int set; (set = search_own_next(&listing)) >= 0;)
            if (set != fd && is_epoll_set(set))
                what(set, fd, scratch);
        search_own_end(&listing);
    }
}

void epoll_sets_forget(int fd) {
    in_each_set(fd, forget_in);
}

void epoll_sets_rearm(int fd) {
    in_each_set(fd, rearm_in);
}
