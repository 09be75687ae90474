/* Descriptors duplicated, and closed by being duplicated over. */
#define _GNU_SOURCE
#include "closing.h"
#include "door.h"
#include "opening.h"
#include "own.h"

DOOR int dup(int fd) {
    if (!table_on)
        return REAL(dup)(fd);
    struct call call = table_maybe_tcp(fd) ? call_begin("dup", CALLER) : (struct call){0};
    int result = REAL(dup)(fd);
    if (result >= 0)
        duplicated(fd, result, &call);
    return result;
}

/* dup2 and dup3: what new_fd was is closed, if the call succeeds. */
struct replacing {
    struct call call;
    struct closing closing;
    bool closes;
};

static void replacing_begin(struct replacing *replacing, int fd, int new_fd, const char *name, const void *caller) {
    if (own_is(new_fd))
        own_make_way(new_fd);
    replacing->call = call_begin(name, caller);
    replacing->closes =
        fd != new_fd && table_maybe_tcp(new_fd) && closing_begin(&replacing->closing, new_fd, name, caller);
}

static void replacing_end(struct replacing *replacing, int fd, int new_fd, int result) {
    if (replacing->closes && result >= 0)
        closing_end(&replacing->closing, result, errno);
    else if (replacing->closes)
        closing_cancelled(&replacing->closing);
    if (result >= 0 && fd != new_fd)
        duplicated(fd, new_fd, &replacing->call);
}

DOOR int dup2(int fd, int new_fd) {
    struct replacing replacing;
    if (!table_on)
        return REAL(dup2)(fd, new_fd);
    replacing_begin(&replacing, fd, new_fd, "dup2", CALLER);
    int result = REAL(dup2)(fd, new_fd);
    replacing_end(&replacing, fd, new_fd, result);
    return result;
}
TWIN_DOOR(__dup2, dup2);

DOOR int dup3(int fd, int new_fd, int flags) {
    struct replacing replacing;
    if (!table_on)
        return REAL(dup3)(fd, new_fd, flags);
    replacing_begin(&replacing, fd, new_fd, "dup3", CALLER);
    int result = REAL(dup3)(fd, new_fd, flags);
    replacing_end(&replacing, fd, new_fd, result);
    return result;
}

DOOR int fcntl(int fd, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (!table_on || (command != F_DUPFD && command != F_DUPFD_CLOEXEC))
        return REAL(fcntl)(fd, command, argument);
    struct call call = table_maybe_tcp(fd) ? call_begin("fcntl", CALLER) : (struct call){0};
    int result = REAL(fcntl)(fd, command, argument);
    if (result >= 0)
        duplicated(fd, result, &call);
    return result;
}
TWIN_DOOR(__fcntl, fcntl);
TWIN_DOOR(fcntl64, fcntl);

DOOR int pidfd_getfd(int pidfd, int fd, unsigned flags) {
    int result = REAL(pidfd_getfd)(pidfd, fd, flags);
    if (result >= 0 && table_on) {
        struct call call = call_begin("pidfd_getfd", CALLER);
        received_descriptor(result, &call);
    }
    return result;
}
