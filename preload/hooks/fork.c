/* Children: each has a reference to every socket that it inherits. */
#define _GNU_SOURCE
#include <sys/wait.h>

#include "after_fork.h"
#include "calls/closing.h"
#include "hook.h"
#include "made.h"
#include "calls/forking.h"
#include "calls/opening.h"
#include "faults/fault.h"
#include "kernel/process.h"
#include "refs/odd_tables.h"
#include "session/session.h"
#include "calls/leaving.h"

HOOKED pid_t fork(void) {
    if (!table_on)
        return REAL(fork)();
    long instead;
    struct call call = call_entering("fork", CALLER);
    if (opening_is_off(RULE_FORK, -1, &call, &instead))
        return (pid_t)instead;
    unsigned shared = forking();
    pid_t child = REAL(fork)(); /* after_fork_making(), after_fork_started(): libc runs them */
    if (child != 0)
        after_fork_made(child);
    if (child > 0)
        forked(shared, child, &call);
    return child == 0 ? child : opening_result(&call, child);
}
TWIN_HOOK(__fork, fork);

static long real__Fork(long number, const long arguments[6]) {
    (void)number, (void)arguments;
    return REAL(_Fork)();
}

long made_fork(const struct made *made) {
    long instead;
    struct call call = call_entering(made->name, made->caller);
    if (opening_is_off(RULE_FORK, -1, &call, &instead))
        return instead;
    unsigned shared = forking();
    after_fork_making();
    long child = make_call(made);
    if (child == 0) {
        after_fork_started();
        return child;
    }
    after_fork_made((int)child);
    if (child > 0)
        forked(shared, (int)child, &call);
    return fault_result(&call, child);
}

/* Async-signal-safe: it runs no fork handlers. */
HOOKED pid_t _Fork(void) {
    const long none[6] = {0};
    return table_on ? (pid_t)made_fork(&(struct made){"_Fork", CALLER, real__Fork, 0, none}) : REAL(_Fork)();
}

HOOKED int clone(int (*function)(void *), void *stack, int flags, void *argument, ...) {
    va_list arguments;
    va_start(arguments, argument);
    pid_t *parent_tid = va_arg(arguments, pid_t *);
    void *tls = va_arg(arguments, void *);
    pid_t *child_tid = va_arg(arguments, pid_t *);
    va_end(arguments);
    if (flags & CLONE_SETTLS)
        thread_expect_stranger();
    if (!table_on || (flags & CLONE_THREAD))
        return REAL(clone)(function, stack, flags, argument, parent_tid, tls, child_tid);
    long instead;
    struct call call = call_entering("clone", CALLER);
    if (opening_is_off(RULE_FORK, -1, &call, &instead))
        return (int)instead;
    unsigned shared = forking();
    if (flags & CLONE_FILES)
        odd_table_shares();
    bool borrows = (flags & CLONE_VM) && (flags & CLONE_VFORK);
    if (borrows)
        process_vfork_begin();
    else if (flags & CLONE_VM)
        process_shares_memory();
    int child = REAL(clone)(function, stack, flags, argument, parent_tid, tls, child_tid);
    if (borrows)
        process_vfork_end(child);
    if (child > 0)
        forked(shared, child, &call);
    return opening_result(&call, child);
}
TWIN_HOOK(__clone, clone);

HOOKED int unshare(int flags) {
    int result = REAL(unshare)(flags);
    if (result == 0 && (flags & CLONE_FILES) && table_on)
        odd_table_unshared();
    return result;
}

/* vfork: the arch folder's vfork.S calls these. Nothing may be kept on the stack in between, so it is kept per thread.
 */
struct vforking {
    struct call call;
    unsigned shared;
};
THREAD_OWN(struct vforking, vforking)

__attribute__((visibility("hidden"))) int vfork_before(const void *caller);
__attribute__((visibility("hidden"))) void vfork_after(int child);

/* Not 0: a fault takes the call's place, with errno. */
int vfork_before(const void *caller) {
    long instead;
    struct vforking *this = table_on && !process_is_borrowed() ? vforking() : NULL;
    if (this) {
        this->call = call_entering("vfork", caller);
        if (opening_is_off(RULE_FORK, -1, &this->call, &instead))
            return -1;
        this->shared = forking();
    }
    process_vfork_begin();
    return 0;
}

/* In the parent: the child has gone on to exec or exit, or was never made (child below 0: -errno). */
void vfork_after(int child) {
    process_vfork_end(child);
    struct vforking *this = table_on && !process_is_borrowed() ? vforking() : NULL;
    if (child < 0)
        error_set(-child);
    else if (this)
        forked(this->shared, child, &this->call);
    if (this)
        fault_result(&this->call, child);
}

/* A child that has started its program by now: what it was left is read from the kernel. */
static int spawned(int result, const pid_t *child, const char *path, char *const environment[],
                   const struct call *call) {
    if (result == 0 && table_on && child)
        session_spawned(*child, path, environment);
    if (result == 0 && table_on && child)
        forked(leaving_shared_with(*child), *child, call);
    fault_result(call, result);
    return result;
}

/* posix_spawn() returns its error, and leaves errno alone. */
static bool spawning_is_off(struct call *call, int *error) {
    long instead;
    int saved = error_now();
    if (!opening_is_off(RULE_FORK, -1, call, &instead))
        return false;
    *error = error_now();
    error_set(saved);
    return true;
}

#define SPAWN(name, path, real_call)                \
    pid_t id = 0;                                   \
    struct call call = call_entering(name, CALLER); \
    pid_t *child_id = child ? child : &id;          \
    int error;                                      \
    if (spawning_is_off(&call, &error))             \
        return error;                               \
    return spawned(real_call, child_id, path, environment, &call)

HOOKED int posix_spawn(pid_t *child, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const argv[], char *const environment[]) {
    SPAWN("posix_spawn", path, REAL(posix_spawn)(child_id, path, actions, attributes, argv, environment));
}

HOOKED int posix_spawnp(pid_t *child, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[], char *const environment[]) {
    SPAWN("posix_spawnp", file, REAL(posix_spawnp)(child_id, file, actions, attributes, argv, environment));
}

/* The older versions try a shell where the file is no program. */
HOOKED int posix_spawn_2_2_5(pid_t *child, const char *path, const posix_spawn_file_actions_t *actions,
                             const posix_spawnattr_t *attributes, char *const argv[], char *const environment[]);
HOOKED int posix_spawn_2_2_5(pid_t *child, const char *path, const posix_spawn_file_actions_t *actions,
                             const posix_spawnattr_t *attributes, char *const argv[], char *const environment[]) {
    SPAWN("posix_spawn", path, REAL(posix_spawn_2_2_5)(child_id, path, actions, attributes, argv, environment));
}
__asm__(".symver posix_spawn_2_2_5, posix_spawn@GLIBC_2.2.5");

HOOKED int posix_spawnp_2_2_5(pid_t *child, const char *file, const posix_spawn_file_actions_t *actions,
                              const posix_spawnattr_t *attributes, char *const argv[], char *const environment[]);
HOOKED int posix_spawnp_2_2_5(pid_t *child, const char *file, const posix_spawn_file_actions_t *actions,
                              const posix_spawnattr_t *attributes, char *const argv[], char *const environment[]) {
    SPAWN("posix_spawnp", file, REAL(posix_spawnp_2_2_5)(child_id, file, actions, attributes, argv, environment));
}
__asm__(".symver posix_spawnp_2_2_5, posix_spawnp@GLIBC_2.2.5");

/*
 * libc makes the shell's process inside, and does not tell its id. It is left what is not close-on-exec. False: a fault
 * takes the call's place.
 */
static bool shell_entering(struct call *call, const char *name, const void *caller) {
    long instead;
    *call = (struct call){0};
    if (!table_on)
        return true;
    *call = call_entering(name, caller);
    if (opening_is_off(RULE_FORK, -1, call, &instead))
        return false;
    forked(leaving_left_across_exec(), -1, call);
    return true;
}

HOOKED int system(const char *command) {
    struct call call = {0};
    if (command && !shell_entering(&call, "system", CALLER))
        return -1;
    int result = REAL(system)(command);
    return opening_result(&call, result);
}

HOOKED FILE *popen(const char *command, const char *mode) {
    struct call call;
    if (!shell_entering(&call, "popen", CALLER))
        return NULL;
    FILE *result = REAL(popen)(command, mode);
    fault_result(&call, 0);
    return result;
}
TWIN_HOOK(_IO_popen, popen);

/*
 * daemon() forks inside libc, and the parent ends inside it: libc's fork handler tells of that
 * (after_fork.c). In the child 0, 1 and 2 become /dev/null, unless noclose.
 */
HOOKED int daemon(int nochdir, int noclose) {
    struct closing closings[3];
    bool closes[3];
    if (!table_on)
        return REAL(daemon)(nochdir, noclose);
    long instead;
    struct call call = call_entering("daemon", CALLER);
    if (opening_is_off(RULE_FORK, -1, &call, &instead))
        return (int)instead;
    after_fork_daemonizing(CALLER);
    for (int i = 0; i < 3; i++)
        closes[i] = !noclose && table_maybe_tcp(i) && closing_entering_aside(&closings[i], i, "daemon", CALLER);
    int result = REAL(daemon)(nochdir, noclose);
    for (int i = 0; i < 3; i++) {
        if (closes[i] && result == 0)
            closing_exiting(&closings[i], result, 0);
        else if (closes[i])
            closing_cancelled(&closings[i]);
    }
    after_fork_daemonized();
    if (result != 0)
        after_fork_made(-1);
    return opening_result(&call, result);
}

HOOKED int forkpty(int *terminal, char *name, const struct termios *settings, const struct winsize *size) {
    if (!table_on)
        return REAL(forkpty)(terminal, name, settings, size);
    long instead;
    struct call call = call_entering("forkpty", CALLER);
    if (opening_is_off(RULE_FORK, -1, &call, &instead))
        return (int)instead;
    unsigned shared = forking();
    int child = REAL(forkpty)(terminal, name, settings, size);
    if (child != 0)
        after_fork_made(child);
    if (child > 0)
        forked(shared, child, &call);
    return child == 0 ? child : opening_result(&call, child);
}
