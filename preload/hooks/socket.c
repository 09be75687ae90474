/* Sockets made, connected, accepted. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "hook.h"
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

HOOKED int connect(int fd, const struct sockaddr *address, socklen_t length) {
    struct ending_call ending;
    long instead;
    if (!table_maybe_tcp(fd))
        return REAL(connect)(fd, address, length);
    struct call call = call_entering("connect", CALLER);
    if (fault_armed(RULE_CONNECT) && opening_meets(RULE_CONNECT, fd, address, length, &call, &instead))
        return (int)instead;
    if (connect_disconnects(address, length) && disconnect_entering(&ending, fd, &call)) {
        int result = REAL(connect)(fd, address, length);
        disconnect_exiting(&ending, result, error_of(result));
        return opening_result(&call, result);
    }
    int result = REAL(connect)(fd, address, length);
    connected(fd, address, length, result, error_of(result), &call);
    return opening_result(&call, result);
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

HOOKED int accept(int fd, struct sockaddr *address, socklen_t *length) {
    long instead;
    if (!table_on)
        return REAL(accept)(fd, address, length);
    struct call call = call_entering("accept", CALLER);
    if (opening_is_off(RULE_ACCEPT, fd, &call, &instead))
        return (int)instead;
    socklen_t room = room_for_name(address, length);
    bool tcp = table_maybe_tcp(fd);
    int result = REAL(accept)(fd, address, length);
    if (result >= 0)
        accepted_name(tcp, fd, result, room, address, length, &call);
    release_check("accept", CALLER, result, false);
    return opening_result(&call, result);
}

HOOKED int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags) {
    long instead;
    if (!table_on)
        return REAL(accept4)(fd, address, length, flags);
    struct call call = call_entering("accept4", CALLER);
    if (opening_is_off(RULE_ACCEPT, fd, &call, &instead))
        return (int)instead;
    socklen_t room = room_for_name(address, length);
    bool tcp = table_maybe_tcp(fd);
    int result = REAL(accept4)(fd, address, length, flags);
    if (result >= 0)
        accepted_name(tcp, fd, result, room, address, length, &call);
    release_check("accept4", CALLER, result, false);
    return opening_result(&call, result);
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
