/* Sockets made, connected, accepted. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "hook.h"
#include "made.h"
#include "calls/shutting_down.h"
#include "calls/connecting.h"
#include "calls/late_release.h"
#include "calls/opening.h"
#include "calls/transferring.h"
#include "faults/fault.h"
#include "kernel/seccomp_guard.h"

HOOKED int socket(int domain, int type, int protocol) {
    int result = REAL(socket)(domain, type, protocol);
    if (result >= 0)
        socket_made(result, domain, type);
    return result;
}

HOOKED int socketpair(int domain, int type, int protocol, int fds[2]) {
    int result = REAL(socketpair)(domain, type, protocol, fds);
    if (result == 0 && table_on) {
        table_set_other(fds[0]);
        table_set_other(fds[1]);
    }
    return result;
}

HOOKED int bind(int fd, const struct sockaddr *address, socklen_t length) {
    int result = REAL(bind)(fd, address, length);
    if (result == -1)
        address_in_use(fd, address, length, error_of(result), "bind", CALLER);
    return result;
}

HOOKED int listen(int fd, int backlog) {
    int result = REAL(listen)(fd, backlog);
    if (result == -1)
        address_in_use(fd, NULL, 0, error_of(result), "listen", CALLER);
    return result;
}

static const struct sockaddr *address_argument(const struct made *made) {
    return (const struct sockaddr *)made->arguments[1]; // NOLINT(performance-no-int-to-ptr)
}

static long real_connect(long number, const long arguments[6]) {
    const struct sockaddr *address = (const void *)arguments[1]; // NOLINT(performance-no-int-to-ptr)
    (void)number;
    return REAL(connect)((int)arguments[0], address, (socklen_t)arguments[2]);
}

/* Apart: other connects need not have the room, on a stack that may be small. False: it is none. */
__attribute__((noinline)) static bool made_disconnect(const struct made *made, int fd, struct call *call,
                                                      long *result) {
    struct ending_call ending;
    if (!disconnect_entering(&ending, fd, call))
        return false;
    *result = make_call(made);
    disconnect_exiting(&ending, (int)*result, error_of(*result));
    return true;
}

long made_connect(const struct made *made) {
    const int fd = made_fd(made);
    const struct sockaddr *address = address_argument(made);
    const socklen_t length = (socklen_t)made->arguments[2];
    long result;
    if (!table_maybe_tcp(fd))
        return make_call(made);
    struct call call = call_entering(made->name, made->caller);
    if (fault_armed(RULE_CONNECT) && opening_meets(RULE_CONNECT, fd, address, length, &call, &result))
        return result;
    if (connect_disconnects(address, length) && made_disconnect(made, fd, &call, &result))
        return fault_result(&call, result);
    result = make_call(made);
    connected(fd, address, length, result, error_of(result), &call);
    return fault_result(&call, result);
}

HOOKED int connect(int fd, const struct sockaddr *address, socklen_t length) {
    const long arguments[] = {fd, (long)address, length};
    return (int)made_connect(&(struct made){"connect", CALLER, real_connect, 0, arguments});
}
TWIN_HOOK(__connect, connect);

/*
 * Of a name that the kernel is to write: how much room there is for it, or 0 for not known. Whether the pointer is good
 * is for the kernel to find out; one into our caller's frame is.
 */
static inline socklen_t room_for_name(const struct sockaddr *address, const socklen_t *length) {
    enum { FRAMES = 4096 };
    bool is_on_stack = (uintptr_t)length - (uintptr_t)__builtin_frame_address(0) < FRAMES;
    return address && is_on_stack ? *length : 0;
}

/* What was written there is whole. */
static inline void accepted_name(bool tcp, int listener, int fd, socklen_t room, const struct sockaddr *address,
                                 const socklen_t *length, const struct call *call) {
    bool whole = room > 0 && *length <= room;
    accepted(tcp, listener, fd, whole ? address : NULL, whole ? *length : 0, call);
}

static long real_accept(long number, const long arguments[6]) {
    (void)number;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    return REAL(accept)((int)arguments[0], (struct sockaddr *)arguments[1], (socklen_t *)arguments[2]);
}

static long real_accept4(long number, const long arguments[6]) {
    (void)number;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    return REAL(accept4)((int)arguments[0], (struct sockaddr *)arguments[1], (socklen_t *)arguments[2],
                         (int)arguments[3]);
}

long made_accept(const struct made *made) {
    const int fd = made_fd(made);
    const socklen_t *length = (const socklen_t *)made->arguments[2]; // NOLINT(performance-no-int-to-ptr)
    long instead;
    struct call call = call_entering(made->name, made->caller);
    if (opening_is_off(RULE_ACCEPT, fd, &call, &instead))
        return instead;
    socklen_t room = room_for_name(address_argument(made), length);
    bool tcp = table_maybe_tcp(fd);
    long result = make_call(made);
    if (result >= 0)
        accepted_name(tcp, fd, (int)result, room, address_argument(made), length, &call);
    release_check(made->name, made->caller, result, false);
    return fault_result(&call, result);
}

HOOKED int accept(int fd, struct sockaddr *address, socklen_t *length) {
    const long arguments[] = {fd, (long)address, (long)length};
    return table_on ? (int)made_accept(&(struct made){"accept", CALLER, real_accept, 0, arguments})
                    : REAL(accept)(fd, address, length);
}

HOOKED int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    const long arguments[] = {fd, (long)address, (long)length, flags};
    return table_on ? (int)made_accept(&(struct made){"accept4", CALLER, real_accept4, 0, arguments})
                    : REAL(accept4)(fd, address, length, flags);
}

/* How a connect that went on in the background has ended is asked for so; the error is taken off by it. */
HOOKED int getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    struct traffic traffic;
    int result = REAL(getsockopt)(fd, level, name, value, size);
    if (level != SOL_SOCKET || name != SO_ERROR || result != 0 || *size != sizeof(int) || *(int *)value == 0 ||
        !table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, "getsockopt", CALLER))
        return result;
    transfer_took_error(&traffic, result, *(int *)value);
    return result;
}

HOOKED int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    socket_option_set(level, name);
    return REAL(setsockopt)(fd, level, name, value, size);
}
