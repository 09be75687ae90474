#define _GNU_SOURCE
#include "process.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "memory.h"
#include "pure/event.h"
#include "seccomp_guard.h"

static int pid;
static struct counters counters;

/* Not zero, in a page that is wiped in every child that has a memory of its own: MADV_WIPEONFORK, madvise(2). */
static volatile int *ours;

struct thread {
    int tid;
    unsigned vforks; /* vforks of this thread that are under way, nested ones included */
    int child;       /* the borrower that counters are of */
    struct counters counters;
    unsigned named; /* at which turn of names */
    char name[COMM_SIZE];
    const char *end_call;
    const void *end_caller;
    int end_status;
};
static __thread struct thread self;

static bool memory_shared;

enum { PAGE = 4096 };

static char program[64];

/* "/usr/sbin/nginx (deleted)", where it was replaced since. */
static void name_program(char *path) {
    static const char deleted[] = " (deleted)";
    size_t length = strlen(path);
    if (length > sizeof deleted && strcmp(path + length - (sizeof deleted - 1), deleted) == 0)
        path[length - (sizeof deleted - 1)] = '\0';
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    length = strlen(name) < sizeof program ? strlen(name) : sizeof program - 1;
    memcpy(program, name, length);
    program[length] = '\0';
}

static void find_program(void) {
    static char path[4096];
    long length = raw6(SYS_readlink, (long)"/proc/self/exe", (long)path, sizeof path - 1, 0, 0, 0);
    const char *executed = (const char *)getauxval(AT_EXECFN); // NOLINT(performance-no-int-to-ptr)
    if (length <= 0 && executed && strlen(executed) < sizeof path) {
        length = (long)strlen(executed);
        memcpy(path, executed, (size_t)length);
    }
    path[length > 0 ? length : 0] = '\0';
    name_program(path);
}

const char *process_program(void) {
    return program;
}

void process_start(void) {
    find_program();
    pid = (int)raw6(SYS_getpid, 0, 0, 0, 0, 0, 0);
    ours = memory_map(PAGE, false);
    if (!ours)
        return;
    if (raw6(SYS_madvise, (long)ours, PAGE, MADV_WIPEONFORK, 0, 0, 0) < 0) {
        memory_unmap((void *)(uintptr_t)ours, PAGE);
        ours = NULL;
        return;
    }
    *ours = 1;
}

/* 0 where a sandbox does not let us ask. */
static int id(long call) {
    long number = probe(call, 0, 0, 0, 0, 0, 0);
    return number > 0 ? (int)number : 0;
}

bool process_is_borrowed(void) {
    if (__builtin_expect(self.vforks == 0 && !memory_shared, 1))
        return false;
    /* A handler may run in the parent after its child is gone and before process_vfork_end(). */
    return probe(SYS_getpid, 0, 0, 0, 0, 0, 0) != pid;
}

int process_id(void) {
    return process_is_borrowed() ? id(SYS_getpid) : pid;
}

int process_thread_id(void) {
    if (process_is_borrowed())
        return id(SYS_gettid);
    if (self.tid == 0)
        self.tid = id(SYS_gettid);
    return self.tid;
}

struct counters *process_counters(void) {
    if (!process_is_borrowed())
        return &counters;
    int child = process_id();
    if (self.child != child) {
        self.child = child;
        memset(&self.counters, 0, sizeof self.counters);
    }
    return &self.counters;
}

static _Atomic unsigned names = 1; /* 0 is a thread that has not been asked */

void process_names_change(void) {
    atomic_fetch_add(&names, 1);
}

/* A sandbox that does not let us ask leaves the last name, of whichever thread. */
const char *process_thread_name(void) {
    static char last_known[COMM_SIZE];
    unsigned now = atomic_load(&names);
    if (process_is_borrowed())
        now = 0; /* its name may be another than that of the thread whose memory it has */
    if ((self.named != now || !now) && probe(SYS_prctl, PR_GET_NAME, (long)self.name, 0, 0, 0, 0) == 0) {
        self.named = now;
        memcpy(last_known, self.name, COMM_SIZE);
    }
    return self.named ? self.name : last_known;
}

void process_forked(void) {
    memset(&self, 0, sizeof self);
    memset(&counters, 0, sizeof counters);
    pid = id(SYS_getpid);
    if (ours)
        *ours = 1;
}

bool process_fork_unseen(void) {
    if (__builtin_expect(!ours || *ours, 1))
        return false;
    process_forked();
    return true;
}

void process_vfork_begin(void) {
    self.vforks++;
}

void process_vfork_end(void) {
    self.vforks--;
}

void process_shares_memory(void) {
    memory_shared = true;
}

void process_ends_by(const char *call, const void *caller, int status) {
    self.end_call = call;
    self.end_caller = caller;
    self.end_status = status;
}

const char *process_end_call(void) {
    return self.end_call;
}

const void *process_end_caller(void) {
    return self.end_caller;
}

int process_end_status(void) {
    return self.end_status;
}
