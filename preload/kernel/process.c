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
#include "thread.h"

static int pid;
static struct counters counters;

/* Not zero, in a page that is wiped in every child that has a memory of its own: MADV_WIPEONFORK, madvise(2). */
static volatile int *ours;

struct thread {
    int tid;
    unsigned vforks; /* vforks of this thread that are under way, nested ones included */
    unsigned named;  /* at which turn of names */
    char name[COMM_SIZE];
    const char *end_call;
    const void *end_caller;
    int end_status;
    bool own_table; /* of descriptors */
};
THREAD_OWN(struct thread, self)

/*
 * Processes that have our memory for a while, and what is counted for them: the last so many. A place is taken by its
 * turn; whoever is thrown out, because so many came after it, counts from the beginning.
 */
enum { BORROWERS = 64 };
static struct borrower {
    _Atomic int pid;
    struct counters counters;
} borrowers[BORROWERS];
static atomic_uint borrowers_turn;

static bool memory_shared;
atomic_uint process_sharers;

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

/*
 * Of a thread that libc has not made nothing is known: it is asked each time (where a sandbox does not let us, it is
 * taken for the keeper of what is parked). A handler may run in the parent after its
 * child is gone and before process_vfork_end().
 */
bool process_ask_borrowed(void) {
    const struct thread *thread = self();
    if (thread && thread->vforks == 0 && !memory_shared)
        return false;
    long answer = probe(SYS_getpid, 0, 0, 0, 0, 0, 0);
    return answer < 0 ? thread != NULL : answer != pid;
}

static _Atomic uint32_t ours_are_odd;
_Atomic uint32_t *process_odd_tables = &ours_are_odd;
atomic_bool process_any_private;
static atomic_bool table_shared;

bool process_ask_private(void) {
    const struct thread *thread = atomic_load_explicit(&process_any_private, memory_order_relaxed) ? self() : NULL;
    return thread && thread->own_table;
}

bool process_table_is_odd(void) {
    return atomic_load_explicit(&table_shared, memory_order_relaxed) || process_ask_private();
}

void process_table_private(void) {
    struct thread *thread = self();
    if (!thread)
        return;
    thread->own_table = true;
    atomic_store(&process_any_private, true);
    atomic_store(process_odd_tables, 1);
}

void process_table_shared(bool shared) {
    atomic_store(&table_shared, shared);
    if (shared)
        atomic_store(process_odd_tables, 1);
}

bool process_table_forked(void) {
    const bool was = process_ask_private();
    struct thread *thread = self();
    if (thread)
        thread->own_table = false;
    atomic_store(&process_any_private, false);
    return was;
}

bool process_tables_same(int one, int other) {
    enum { FILES = 2 }; /* KCMP_FILES of linux/kcmp.h */
    return one == other || probe(SYS_kcmp, one, other, FILES, 0, 0, 0) == 0;
}

int process_id(void) {
    return process_is_borrowed() ? id(SYS_getpid) : pid;
}

int process_thread_id(void) {
    struct thread *thread = process_is_borrowed() ? NULL : self();
    if (!thread)
        return id(SYS_gettid);
    if (thread->tid == 0)
        thread->tid = id(SYS_gettid);
    return thread->tid;
}

static struct counters *counters_of_borrower(int child) {
    for (int i = 0; i < BORROWERS; i++)
        if (atomic_load(&borrowers[i].pid) == child)
            return &borrowers[i].counters;
    struct borrower *borrower = &borrowers[atomic_fetch_add(&borrowers_turn, 1) % BORROWERS];
    memset(&borrower->counters, 0, sizeof borrower->counters);
    atomic_store(&borrower->pid, child);
    return &borrower->counters;
}

struct counters *process_counters(void) {
    return process_is_borrowed() ? counters_of_borrower(process_id()) : &counters;
}

static _Atomic unsigned names = 1; /* 0 is a thread that has not been asked */

void process_names_change(void) {
    atomic_fetch_add(&names, 1);
}

static bool ask_name(char name[COMM_SIZE]) {
    return probe(SYS_prctl, PR_GET_NAME, (long)name, 0, 0, 0, 0) == 0;
}

/* A borrower's may be another than that of the thread whose memory it has. */
static bool has_name(struct thread *thread) {
    unsigned now = atomic_load(&names);
    if (thread->named != now && ask_name(thread->name))
        thread->named = now;
    return thread->named;
}

/* A sandbox that does not let us ask leaves the last name, of whichever thread. */
void process_thread_name(char name[COMM_SIZE]) {
    static char last_known[COMM_SIZE];
    struct thread *thread = process_is_borrowed() ? NULL : self();
    const char *known = thread && has_name(thread) ? thread->name : NULL;
    if (known)
        memcpy(name, known, COMM_SIZE);
    else if (!ask_name(name))
        memcpy(name, last_known, COMM_SIZE);
    if (memcmp(last_known, name, COMM_SIZE) != 0)
        memcpy(last_known, name, COMM_SIZE);
}

void process_forked(void) {
    struct thread *thread = self();
    if (thread)
        memset(thread, 0, sizeof *thread);
    atomic_store(&process_sharers, memory_shared);
    memset(&counters, 0, sizeof counters);
    memset(borrowers, 0, sizeof borrowers);
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
    struct thread *thread = self();
    if (!thread)
        return;
    thread->vforks++;
    atomic_fetch_add(&process_sharers, 1);
}

/* The child's id may be another's soon. */
void process_vfork_end(int child) {
    struct thread *thread = self();
    for (int i = 0; child > 0 && i < BORROWERS; i++)
        if (atomic_load(&borrowers[i].pid) == child)
            atomic_store(&borrowers[i].pid, 0);
    if (!thread)
        return;
    thread->vforks--;
    atomic_fetch_sub(&process_sharers, 1);
}

void process_shares_memory(void) {
    memory_shared = true;
    atomic_fetch_add(&process_sharers, 1);
}

void process_ends_by(const char *call, const void *caller, int status) {
    struct thread *thread = self();
    if (!thread)
        return;
    thread->end_call = call;
    thread->end_caller = caller;
    thread->end_status = status;
}

const char *process_end_call(void) {
    const struct thread *thread = self();
    return thread ? thread->end_call : NULL;
}

const void *process_end_caller(void) {
    const struct thread *thread = self();
    return thread ? thread->end_caller : NULL;
}

int process_end_status(void) {
    const struct thread *thread = self();
    return thread ? thread->end_status : 0;
}
