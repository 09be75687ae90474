#include "connecting.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "faults/fault.h"
#include "kernel/process.h"
#include "kernel/seccomp_guard.h"
#include "kernel/thread.h"
#include "output/event_socket.h"
#include "output/log.h"
#include "refs/end_claims.h"
#include "refs/fd_table.h"
#include "refs/ledger.h"
#include "session/session.h"
#include "shutting_down.h"

/* The connection has its listener's namespace, and is bound as it is: nothing to ask again. */
static bool identify_accepted(int listener, int fd, const struct sockaddr *peer, socklen_t length,
                              struct identity *identity) {
    struct identity parent;
    memset(identity, 0, sizeof *identity);
    identity->cookie = socket_cookie(fd);
    if (!identity->cookie || !table_maybe_tcp(listener) || !table_find(listener, false, &parent))
        return false;
    ledger_expect(identity->cookie);
    session_expect_event();
    session_expect_to_know(identity->cookie);
    identity->namespace = parent.namespace;
    identity->interface = parent.interface;
    identity->role = ROLE_SERVER;
    identity->mptcp = parent.mptcp && socket_is_mptcp(fd); /* a peer that knows no MPTCP makes it one of TCP */
    socket_local_name(fd, identity);
    if (!peer || !address_from_sockaddr(&identity->remote, peer, length))
        socket_remote_name(fd, identity);
    return true;
}

static void emit_open(enum event_op op, int fd, long result, int error, const struct identity *identity,
                      const struct call *call) {
    OWN_SCRATCH *scratch = log_wants_of(call, TRACE_OPEN) ? log_scratch() : NULL;
    if (!scratch)
        return;
    struct call ended = call_ended(call);
    struct event *event = log_event(scratch, op, &ended);
    event_set_socket(event, fd, identity);
    event_set_result(event, result, error);
    enum event_why death = op == OP_CONNECT && result == -1 ? verdict_death(error, false) : WHY_UNSET;
    if (death)
        event_set_verdict(event, &(struct verdict){.fin = FIN_NONE, .why = death, .verified = true});
    log_emit(scratch);
}

void socket_made(int fd, int domain, int type) {
    enum { KIND_OF_TYPE = 0xf };
    if (!table_on)
        return;
    if ((domain == AF_INET || domain == AF_INET6) && (type & KIND_OF_TYPE) == SOCK_STREAM)
        table_set_made(fd);
    else
        table_set_other(fd);
}

void address_in_use(int fd, const struct sockaddr *address, socklen_t length, int error, const char *name,
                    const void *caller) {
    struct identity identity;
    if (error != EADDRINUSE || !table_maybe_tcp(fd))
        return;
    struct call call = call_entering(name, caller);
    if (table_find(fd, false, &identity)) {
        if (!address || !address_from_sockaddr(&identity.local, address, length))
            socket_local_name(fd, &identity);
        emit_open(OP_BIND, fd, -1, error, &identity, &call);
    }
    error_set(error);
}

bool connect_disconnects(const struct sockaddr *address, socklen_t length) {
    sa_family_t family;
    struct iovec ours = {&family, sizeof family};
    struct iovec theirs = {(void *)(uintptr_t)address, sizeof family};
    if (!address || length < sizeof family)
        return false;
    /* A bad pointer is for the kernel to refuse, not for us to trip over. */
    return probe(SYS_process_vm_readv, process_id(), (long)&ours, 1, (long)&theirs, 1, 0) == sizeof family &&
           family == AF_UNSPEC;
}

/* then= of an accept is about the connection that came of it. */
static void end_accepted(int fd, const struct identity *identity, const struct call *call) {
    struct call of_connection = *call;
    struct fault_subject subject = {.family = RULE_ACCEPT,
                                    .call = &of_connection,
                                    .fd = fd,
                                    .how = -1,
                                    .identity = identity,
                                    .with = 1U << PART_THEN};
    if (fault_armed(RULE_ACCEPT) && fault_meets(&subject)) {
        shutting_then(of_connection.rule, fd, &of_connection);
        fault_result(&of_connection, 0);
    }
}

/* Its listener has gone, while the call was waiting on it. */
static bool identify_orphaned(int fd, struct identity *identity) {
    if (socket_kind(fd) != SOCKET_TCP || !socket_identify(fd, identity))
        return false;
    identity->role = ROLE_SERVER;
    return true;
}

void accepted(bool tcp, int listener, int fd, const struct sockaddr *peer, socklen_t length, const struct call *call) {
    struct identity identity;
    if (!tcp) {
        table_set_other(fd);
    } else if (identify_accepted(listener, fd, peer, length, &identity) || identify_orphaned(fd, &identity)) {
        ledger_born(identity.cookie);
        table_set(fd, &identity);
        emit_open(OP_ACCEPT, listener, fd, 0, &identity, call);
        end_accepted(fd, &identity, call);
    } else {
        table_set_unknown(fd);
    }
}

static bool connect_is_under_way(long result, int error) {
    return result == 0 || verdict_connect_goes_on(error) || error == EISCONN;
}

/* The kernel had, when it said so. */
static bool has_read_address(int error) {
    return error != EFAULT && error != EINVAL && error != EBADF && error != ENOTSOCK;
}

/* Not where it was connected, or being so, already. */
static bool connect_begins(long result, int error) {
    return result == 0 || (verdict_connect_goes_on(error) && error != EALREADY);
}

void connected(int fd, const struct sockaddr *address, socklen_t length, long result, int error,
               const struct call *call) {
    struct identity identity;
    if (table_find(fd, false, &identity)) {
        if (connect_is_under_way(result, error)) {
            socket_names(fd, &identity);
            /* In SYN_SENT it has no peer's name yet. The kernel has read the address, so it can be read. */
            if (identity.remote.family == ADDRESS_UNSET && address)
                address_from_sockaddr(&identity.remote, address, length);
            identity.role = ROLE_CLIENT;
            table_set(fd, &identity);
            if (connect_begins(result, error)) {
                session_know_anew(&identity);
                claims_begin(identity.cookie);
            }
        }
        if (result == -1 && has_read_address(error) && address && identity.remote.family == ADDRESS_UNSET) {
            address_from_sockaddr(&identity.remote, address, length);
            identity.role = ROLE_CLIENT;
        }
        struct call told = *call;
        if (result != 0 && fault_has(call, PART_THEN))
            fault_failed(&told, fault_no_success);
        emit_open(OP_CONNECT, fd, result, error, &identity, &told);
        if (result == 0 && fault_has(call, PART_THEN))
            shutting_then(call->rule, fd, call);
    }
}
