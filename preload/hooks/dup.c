/* Descriptors duplicated, and closed by being duplicated over. */
#define _GNU_SOURCE
#include "calls/closing.h"
#include "calls/purging.h"
#include "hook.h"
#include "made.h"
#include "calls/duplicating.h"
#include "calls/opening.h"
#include "calls/passing_fds.h"
#include "faults/fault.h"

static long real_dup(long number, const long arguments[6]) {
    (void)number;
    return REAL(dup)((int)arguments[0]);
}

static long real_fcntl(long number, const long arguments[6]) {
    (void)number;
    return REAL(fcntl)((int)arguments[0], (int)arguments[1], arguments[2]);
}

static long real_dup2(long number, const long arguments[6]) {
    (void)number;
    return REAL(dup2)((int)arguments[0], (int)arguments[1]);
}

static long real_dup3(long number, const long arguments[6]) {
    (void)number;
    return REAL(dup3)((int)arguments[0], (int)arguments[1], (int)arguments[2]);
}

/* dup(), and fcntl() with F_DUPFD. */
long made_duplicate(const struct made *made) {
    long instead;
    const bool tcp = table_maybe_tcp(made_fd(made));
    struct call call = tcp ? call_entering(made->name, made->caller) : (struct call){0};
    if (opening_is_off(RULE_DUP, made_fd(made), &call, &instead))
        return instead;
    long result = make_call(made);
    if (result >= 0)
        duplicated(made_fd(made), (int)result, tcp, &call);
    return fault_result(&call, result);
}

HOOKED int dup(int fd) {
    const long arguments[] = {fd};
    return table_on ? (int)made_duplicate(&(struct made){"dup", CALLER, real_dup, 0, arguments}) : REAL(dup)(fd);
}

/* dup2() and dup3(): what new_fd was is closed, if the call succeeds. Inline: each frame counts on a small stack. */
__attribute__((always_inline)) static inline long replace(const struct made *made) {
    struct closing closing;
    struct purge purge = {.list = NULL};
    int fd = made_fd(made), new_fd = (int)made->arguments[1];
    long instead;
    struct call call = call_entering(made->name, made->caller);
    const bool tcp = table_maybe_tcp(fd);
    if (opening_is_off(RULE_DUP, fd, &call, &instead))
        return instead;
    make_way(new_fd);
    bool closes =
        fd != new_fd && table_maybe_tcp(new_fd) && closing_entering_aside(&closing, new_fd, made->name, made->caller);
    if (fd != new_fd && !closes)
        purge_entering(&purge, new_fd, true, made->name, made->caller);
    long result = make_call(made);
    if (closes && result >= 0)
        closing_exiting(&closing, result, 0);
    else if (closes)
        closing_cancelled(&closing);
    purge_exiting(&purge, NULL);
    if (result >= 0 && fd != new_fd)
        duplicated(fd, new_fd, tcp, &call);
    return fault_result(&call, result);
}

long made_replace(const struct made *made) {
    return replace(made);
}

HOOKED int dup2(int fd, int new_fd) {
    const long arguments[] = {fd, new_fd};
    return table_on ? (int)replace(&(struct made){"dup2", CALLER, real_dup2, 0, arguments}) : REAL(dup2)(fd, new_fd);
}
TWIN_HOOK(__dup2, dup2);

HOOKED int dup3(int fd, int new_fd, int flags) {
    const long arguments[] = {fd, new_fd, flags};
    return table_on ? (int)replace(&(struct made){"dup3", CALLER, real_dup3, 0, arguments})
                    : REAL(dup3)(fd, new_fd, flags);
}

HOOKED int fcntl(int fd, int command, ...) {
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    const long arguments[] = {fd, command, (long)argument};
    if (!table_on || (command != F_DUPFD && command != F_DUPFD_CLOEXEC))
        return REAL(fcntl)(fd, command, argument);
    return (int)made_duplicate(&(struct made){"fcntl", CALLER, real_fcntl, 0, arguments});
}
TWIN_HOOK(__fcntl, fcntl);
TWIN_HOOK(fcntl64, fcntl);

HOOKED int pidfd_getfd(int pidfd, int fd, unsigned flags) {
    int result = REAL(pidfd_getfd)(pidfd, fd, flags);
    if (result >= 0 && table_on) {
        struct call call = call_entering("pidfd_getfd", CALLER);
        received_descriptor(result, &call);
    }
    return result;
}
