#define _GNU_SOURCE
#include "processes.h"

#include "kernel/older.h"
#include "reach.h"

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
#include <time.h>
#include <unistd.h>

#include "descendant.h"
#include "kernel/procfs.h"

/* linux/pidfd.h, since 6.13 and 6.15: how a process that is no child of ours ended. */
struct pidfd_info_with_exit {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_ASK_INFO _IOWR(0xFF, 11, struct pidfd_info_with_exit)
enum { PIDFD_MASK_EXIT = 1 << 3 };

enum { PID_LIMIT = 1 << 22 }; /* the kernel's, proc_sys_kernel(5) */

bool processes_begin(struct processes *processes, struct roster *roster, int epoll) {
    memset(processes, 0, sizeof *processes);
    processes->roster = roster;
    processes->epoll = epoll;
    processes->watched = calloc(ROSTER_SIZE, sizeof *processes->watched);
    processes->heard = calloc(1, PID_LIMIT / 8);
    return processes->watched && processes->heard && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;
}

void processes_heard(struct processes *processes, int pid) {
    if (pid > 0 && pid < PID_LIMIT)
        processes->heard[pid / 8] |= (unsigned char)(1 << pid % 8);
}

static bool was_heard(const struct processes *processes, int pid) {
    return pid > 0 && pid < PID_LIMIT && processes->heard[pid / 8] >> pid % 8 & 1;
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct stat_of_process {
    char name[ROSTER_NAME];
    int status;        /* of a zombie, as waitpid() would give it; 0 where we may not see it; -1: it is none */
    bool never_execed; /* it is what its parent was: forked */
};

/* /proc/PID/stat. False: it is gone. */
static bool read_stat(int pid, struct stat_of_process *stat) {
    enum { PF_FORKNOEXEC = 0x40 };
    char path[PROC_PATH], text[2048];
    unsigned flags = 0;
    proc_path(path, sizeof path, pid, 0, "/stat");
    if (proc_read(path, text, sizeof text) <= 0)
        return false;
    const char *begin = strchr(text, '('), *end = strrchr(text, ')');
    if (!begin || !end)
        return false;
    snprintf(stat->name, ROSTER_NAME, "%.*s", (int)(end - begin - 1), begin + 1);
    const char *last = strrchr(end, ' '); /* exit_code is the last field */
    stat->status = end[2] == 'Z' && last ? atoi(last + 1) : -1;
    stat->never_execed = sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) == 1 && (flags & PF_FORKNOEXEC) != 0;
    return true;
}

/* As waitpid() would give it; -1: not known. */
static int status_of(int pid, int pidfd) {
    struct stat_of_process stat;
    struct pidfd_info_with_exit info = {.mask = PIDFD_MASK_EXIT};
    siginfo_t child = {0};
    if (waitid(P_PID, (id_t)pid, &child, WEXITED | WNOHANG | WNOWAIT) == 0 && child.si_pid == pid)
        return child.si_code == CLD_EXITED ? child.si_status << 8 : child.si_status;
    if (read_stat(pid, &stat) && stat.status > 0)
        return stat.status;
    if (pidfd >= 0 && ioctl(pidfd, PIDFD_ASK_INFO, &info) == 0 && (info.mask & PIDFD_MASK_EXIT))
        return info.exit_code;
    return -1;
}

static struct unreached *note_unreached(struct processes *processes, int pid, enum event_reach reach,
                                        const char *name) {
    if (processes->unreached_count == UNREACHED_MAX) {
        processes->unreached_more++;
        return NULL;
    }
    struct unreached *unreached = &processes->unreached[processes->unreached_count++];
    unreached->pid = pid;
    unreached->reach = reach;
    snprintf(unreached->name, sizeof unreached->name, "%s", name);
    return unreached;
}

void processes_unreached(struct processes *processes, int pid, enum event_reach reach, const char *name) {
    struct unreached *unreached = note_unreached(processes, pid, reach, name);
    if (unreached)
        unreached->passed_by = true;
}

static void note_death(struct processes *processes, int pid, int status, const char *name) {
    struct death death = {.pid = pid, .status = -1};
    snprintf(death.name, sizeof death.name, "%s", name);
    if (status >= 0 && WIFSIGNALED(status))
        death.signal = WTERMSIG(status);
    else if (status >= 0)
        death.status = WEXITSTATUS(status);
    processes->died(&death, processes->context);
}

/*
 * A new program that was to be heard of and was not. One that a signal ended soon may have had the library, and no time
 * to say so.
 */
static bool ran_without(const struct processes *processes, const struct watched *watched, int status) {
    enum { TIME_TO_SPEAK_MS = 1000 };
    const bool had_time = watched->exec_ms && now_ms() - watched->exec_ms > TIME_TO_SPEAK_MS;
    return !was_heard(processes, watched->pid) && (had_time || status < 0 || !WIFSIGNALED(status));
}

static void judge(struct processes *processes, const struct watched *watched, enum roster_state state) {
    const int status = status_of(watched->pid, watched->pidfd);
    if (state == ROSTER_HERE)
        note_death(processes, watched->pid, status, watched->name);
    else if (state == ROSTER_EXEC_BARE || (state == ROSTER_EXEC && ran_without(processes, watched, status)))
        note_unreached(processes, watched->pid, state == ROSTER_EXEC_BARE ? REACH_ENVIRONMENT : watched->reach,
                       watched->name);
}

static void forget(struct watched *watched) {
    if (watched->pidfd >= 0)
        close(watched->pidfd);
    watched->pid = 0;
}

/* What is known of it before it ends: afterwards it has no name. */
static void look_at(struct watched *watched, enum roster_state state, const char *said) {
    struct stat_of_process stat;
    if (said[0])
        memcpy(watched->name, said, ROSTER_NAME);
    else if (read_stat(watched->pid, &stat))
        memcpy(watched->name, stat.name, ROSTER_NAME);
    if (state != ROSTER_EXEC)
        watched->exec_ms = 0;
    else if (!watched->exec_ms) {
        watched->exec_ms = now_ms();
        watched->reach = reach_of_process(watched->pid);
    }
}

/* False: it is not one of ours, whoever has written it there. */
static bool watch(struct processes *processes, unsigned place, int pid, enum roster_state state, const char *name) {
    struct watched *watched = &processes->watched[place];
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = place};
    if (watched->pid)
        forget(watched);
    *watched = (struct watched){.pid = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0)};
    const bool gone = watched->pidfd < 0 && errno == ESRCH;
    if (!gone && !is_descendant(pid) && !proc_hides(pid)) {
        forget(watched);
        return false;
    }
    look_at(watched, state, name);
    if (state == ROSTER_HERE)
        processes->here(pid, processes->context);
    if (watched->pidfd >= 0)
        epoll_ctl(processes->epoll, EPOLL_CTL_ADD, watched->pidfd, &event);
    else if (gone)
        processes_ended(processes, place);
    return true;
}

/* So that nobody can keep us at it, only so many new ones at a time; the others are looked at next. */
bool processes_look(struct processes *processes) {
    enum { NEW_MAX = 256 };
    unsigned long long changes = atomic_load(&processes->roster->changes);
    if (changes == processes->changes_seen && processes->next == 0)
        return false;
    if (processes->next == 0)
        processes->changes_seen = changes;
    for (unsigned new = 0; processes->next < ROSTER_SIZE &&new < NEW_MAX; processes->next++) {
        char name[ROSTER_NAME];
        int pid;
        const enum roster_state state = roster_at(processes->roster, processes->next, &pid, name);
        struct watched *watched = &processes->watched[processes->next];
        if (state == ROSTER_FREE)
            continue;
        if (watched->pid == pid) {
            const bool is_new = watched->exec_ms && state == ROSTER_HERE;
            look_at(watched, state, name);
            if (is_new)
                processes->here(pid, processes->context);
        } else if (++new && !watch(processes, processes->next, pid, state, name))
            roster_gone(processes->roster, pid);
    }
    processes->next %= ROSTER_SIZE;
    return true;
}

bool processes_have_more(const struct processes *processes) {
    return processes->next > 0 || atomic_load(&processes->roster->changes) != processes->changes_seen;
}

/* A child that has ended is waited for, so that it is gone. */
static void bury(struct processes *processes, int pid) {
    int status;
    if (pid < PID_LIMIT)
        processes->heard[pid / 8] &= (unsigned char)~(1 << pid % 8);
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
    const enum roster_state state = roster_at(processes->roster, place, &pid, name);
    if (state != ROSTER_FREE && pid == ended) {
        look_at(watched, state, name);
        judge(processes, watched, roster_gone(processes->roster, pid));
    }
    forget(watched);
    processes->gone(ended, processes->context);
    bury(processes, ended);
}

/* Whether it is one of those that are known, or stands in the roster by now. */
static bool is_known(struct processes *processes, int pid, unsigned *place) {
    char name[ROSTER_NAME];
    enum roster_state state;
    for (*place = 0; *place < ROSTER_SIZE; ++*place)
        if (processes->watched[*place].pid == pid)
            return true;
    return roster_find(processes->roster, pid, place) &&
           (state = roster_at(processes->roster, *place, &pid, name)) != ROSTER_FREE &&
           watch(processes, *place, pid, state, name);
}

/* In a process id namespace of its own it may have spoken under another id. */
static bool has_other_id(int pid) {
    char path[PROC_PATH], text[4096];
    proc_path(path, sizeof path, pid, 0, "/status");
    if (proc_read(path, text, sizeof text) <= 0)
        return false;
    const char *ids = strstr(text, "\nNSpid:");
    return ids && strcspn(ids + 1, "\n") > strlen("NSpid:") + 1 + strcspn(ids + strlen("\nNSpid:\t"), "\t\n");
}

/*
 * A child whom nobody announced, a zombie still, and so it has a name. One that has spoken was judged before its parent
 * left it to us. One that was forked and never became another program has of the library what its parent has; and of
 * one that was killed nobody knows how far it came.
 */
static void judge_unknown(struct processes *processes, const siginfo_t *child) {
    struct stat_of_process stat;
    const int pid = child->si_pid;
    if (!processes->supervised && child->si_code == CLD_EXITED && !roster_has_heard(processes->roster, pid) &&
        !was_heard(processes, pid) && read_stat(pid, &stat) && !stat.never_execed && !has_other_id(pid))
        note_unreached(processes, pid, REACH_UNSET, stat.name);
}

bool processes_reap(struct processes *processes) {
    for (;;) {
        siginfo_t child = {0};
        unsigned place;
        if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) != 0)
            return errno != ECHILD;
        if (child.si_pid == 0)
            return true;
        processes_look(processes);
        if (is_known(processes, child.si_pid, &place)) {
            processes_ended(processes, place);
            continue;
        }
        judge_unknown(processes, &child);
        bury(processes, child.si_pid);
    }
}
