/* Descriptors duplicated, and closed by being duplicated over. */
#define _GNU_SOURCE
#include "calls/closing.h"
#include "calls/purging.h"
#include "hook.h"
#include "calls/duplicating.h"
#include "calls/opening.h"
#include "calls/passing_fds.h"
#include "faults/fault.h"

HOOKED int dup(int fd) {
    if (!table_on)
        return REAL(dup)(fd);
    long instead;
    const bool tcp = table_maybe_tcp(fd);
    struct call call = tcp ? call_entering("dup", CALLER) : (struct call){0};
    if (opening_is_off(RULE_DUP, fd, &call, &instead))
        return (int)instead;
    int result = REAL(dup)(fd);
    if (result >= 0)
        duplicated(fd, result, tcp, &call);
    return opening_result(&call, result);
}

/* dup2 and dup3: what new_fd was is closed, if the call succeeds. */
struct replacing {
    struct call call;
    struct closing closing;
    struct purge purge;
    bool closes;
    bool tcp; /* what is duplicated may be */
};

/* False: a fault takes the call's place, *result is what the program sees. */
static bool replacing_entering(struct replacing *replacing, int fd, int new_fd, const char *name, const void *caller,
                               int *result) {
    long instead;
    replacing->call = call_entering(name, caller);
    replacing->tcp = table_maybe_tcp(fd);
    if (opening_is_off(RULE_DUP, fd, &replacing->call, &instead)) {
        *result = (int)instead;
        return false;
    }
    make_way(new_fd);
    replacing->closes =
        fd != new_fd && table_maybe_tcp(new_fd) && closing_entering_aside(&replacing->closing, new_fd, name, caller);
    replacing->purge.list = NULL;
    if (fd != new_fd && !replacing->closes)
        purge_entering(&replacing->purge, new_fd, true, name, caller);
    return true;
}

static int replacing_exiting(struct replacing *replacing, int fd, int new_fd, int result) {
    if (replacing->closes && result >= 0)
        closing_exiting(&replacing->closing, result, 0);
    else if (replacing->closes)
        closing_cancelled(&replacing->closing);
    purge_exiting(&replacing->purge, NULL);
    if (result >= 0 && fd != new_fd)
        duplicated(fd, new_fd, replacing->tcp, &replacing->call);
    return opening_result(&replacing->call, result);
}

HOOKED int dup2(int fd, int new_fd) {
    struct replacing replacing;
    int result;
    if (!table_on)
        return REAL(dup2)(fd, new_fd);
    if (!replacing_entering(&replacing, fd, new_fd, "dup2", CALLER, &result))
        return result;
    result = REAL(dup2)(fd, new_fd);
    return replacing_exiting(&replacing, fd, new_fd, result);
}
TWIN_HOOK(__dup2, dup2);

HOOKED int dup3(int fd, int new_fd, int flags) {
    struct replacing replacing;
    int result;
    if (!table_on)
        return REAL(dup3)(fd, new_fd, flags);
    if (!replacing_entering(&replacing, fd, new_fd, "dup3", CALLER, &result))
        return result;
    result = REAL(dup3)(fd, new_fd, flags);
    return replacing_exiting(&replacing, fd, new_fd, result);
}

HOOKED int fcntl(int fd, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (!table_on || (command != F_DUPFD && command != F_DUPFD_CLOEXEC))
        return REAL(fcntl)(fd, command, argument);
    long instead;
    const bool tcp = table_maybe_tcp(fd);
    struct call call = tcp ? call_entering("fcntl", CALLER) : (struct call){0};
    if (opening_is_off(RULE_DUP, fd, &call, &instead))
        return (int)instead;
    int result = REAL(fcntl)(fd, command, argument);
    if (result >= 0)
        duplicated(fd, result, tcp, &call);
    return opening_result(&call, result);
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
