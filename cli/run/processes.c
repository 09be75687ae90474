#define _GNU_SOURCE
#include "processes.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/procfs.h"

/* linux/pidfd.h, since 6.13 and 6.15: how a process that is no child of ours ended. */
struct pidfd_info_with_exit {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_ASK_INFO _IOWR(0xFF, 11, struct pidfd_info_with_exit)
enum { PIDFD_MASK_EXIT = 1 << 3 };

bool processes_begin(struct processes *processes, struct roster *roster, int epoll) {
    memset(processes, 0, sizeof *processes);
    processes->roster = roster;
    processes->epoll = epoll;
    processes->watched = calloc(ROSTER_SIZE, sizeof *processes->watched);
    return processes->watched && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;
}

/* A process's stat in /proc: its name and, of a zombie, how it ended. False: it is gone. */
static bool read_stat(int pid, char name[ROSTER_NAME], int *status) {
    char path[PROC_PATH], text[2048];
    proc_path(path, sizeof path, pid, 0, "/stat");
    if (proc_read(path, text, sizeof text) <= 0)
        return false;
    char *begin = strchr(text, '('), *end = strrchr(text, ')');
    if (!begin || !end)
        return false;
    snprintf(name, ROSTER_NAME, "%.*s", (int)(end - begin - 1), begin + 1);
    const char *last = strrchr(end, ' '); /* exit_code is the last field; 0 where we may not see it */
    *status = end[2] == 'Z' && last ? atoi(last + 1) : -1;
    return true;
}

/* As waitpid() would give it; -1: not known. */
static int status_of(int pid, int pidfd) {
    char name[ROSTER_NAME];
    int status = -1;
    struct pidfd_info_with_exit info = {.mask = PIDFD_MASK_EXIT};
    siginfo_t child = {0};
    if (waitid(P_PID, (id_t)pid, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid == pid)
        return child.si_code == CLD_EXITED ? child.si_status << 8 : child.si_status;
    if (read_stat(pid, name, &status) && status > 0)
        return status;
    if (pidfd >= 0 && ioctl(pidfd, PIDFD_ASK_INFO, &info) == 0 && (info.mask & PIDFD_MASK_EXIT))
        return info.exit_code;
    return -1;
}

static void note_unreached(struct processes *processes, int pid, const char *name) {
    struct unreached **at = &processes->unreached;
    while (*at && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (!*at)
            return;
        snprintf((*at)->name, sizeof(*at)->name, "%s", name);
        (*at)->pid = pid;
    }
    (*at)->count++;
}

static void judge(struct processes *processes, int pid, int pidfd, enum roster_state state, const char *name) {
    if (state == ROSTER_EXEC) {
        note_unreached(processes, pid, name);
    } else if (state == ROSTER_HERE) {
        int status = status_of(pid, pidfd);
        struct death death = {.pid = pid, .status = -1};
        snprintf(death.name, sizeof death.name, "%s", name);
        if (status >= 0 && WIFSIGNALED(status))
            death.signal = WTERMSIG(status);
        else if (status >= 0)
            death.status = WEXITSTATUS(status);
        processes->died(&death, processes->context);
    }
}

static void forget(struct watched *watched) {
    if (watched->pidfd >= 0)
        close(watched->pidfd);
    watched->pid = 0;
}

/* What is known of it before it ends: afterwards it has no name. */
static void name_it(struct watched *watched, const char *said) {
    char name[ROSTER_NAME];
    int status;
    if (said[0])
        memcpy(watched->name, said, ROSTER_NAME);
    else if (read_stat(watched->pid, name, &status))
        memcpy(watched->name, name, ROSTER_NAME);
}

static void watch(struct processes *processes, unsigned place, int pid, const char *name) {
    struct watched *watched = &processes->watched[place];
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = place};
    if (watched->pid == pid) {
        name_it(watched, name);
        return;
    }
    if (watched->pid)
        forget(watched);
    *watched = (struct watched){.pid = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0)};
    bool gone = watched->pidfd < 0 && errno == ESRCH;
    name_it(watched, name);
    if (watched->pidfd >= 0)
        epoll_ctl(processes->epoll, EPOLL_CTL_ADD, watched->pidfd, &event);
    else if (gone)
        processes_ended(processes, place);
}

bool processes_look(struct processes *processes) {
    unsigned long long changes = atomic_load(&processes->roster->changes);
    if (changes == processes->changes_seen)
        return false;
    processes->changes_seen = changes;
    for (unsigned i = 0; i < ROSTER_SIZE; i++) {
        char name[ROSTER_NAME];
        int pid;
        if (roster_at(processes->roster, i, &pid, name) != ROSTER_FREE)
            watch(processes, i, pid, name);
    }
    return true;
}

/* A child that has ended is waited for, so that it is gone. */
static void bury(struct processes *processes, int pid) {
    int status;
    if (waitpid(pid, &status, WNOHANG) == pid && pid == processes->command) {
        processes->command_ended = true;
        processes->command_status = status;
    }
}

void processes_ended(struct processes *processes, unsigned place) {
    struct watched *watched = &processes->watched[place];
    char name[ROSTER_NAME];
    int pid, ended = watched->pid;
    if (!ended)
        return;
    if (roster_at(processes->roster, place, &pid, name) != ROSTER_FREE && pid == ended) {
        name_it(watched, name);
        judge(processes, pid, watched->pidfd, roster_gone(processes->roster, pid), watched->name);
    }
    forget(watched);
    processes->gone(ended, processes->context);
    bury(processes, ended);
}

/* Whether it is one of those that are known. */
static bool is_watched(const struct processes *processes, int pid, unsigned *place) {
    for (*place = 0; *place < ROSTER_SIZE; ++*place)
        if (processes->watched[*place].pid == pid)
            return true;
    return false;
}

bool processes_reap(struct processes *processes) {
    for (;;) {
        siginfo_t child = {0};
        char name[ROSTER_NAME] = "?";
        unsigned place;
        int status;
        if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) != 0)
            return errno != ECHILD;
        if (child.si_pid == 0)
            return true;
        processes_look(processes);
        if (is_watched(processes, child.si_pid, &place)) {
            processes_ended(processes, place);
            continue;
        }
        /* A zombie still, and so it has a name. One that has spoken was judged before its parent left it to us. */
        if (!roster_has_heard(processes->roster, child.si_pid) && read_stat(child.si_pid, name, &status))
            note_unreached(processes, child.si_pid, name);
        bury(processes, child.si_pid);
    }
}
