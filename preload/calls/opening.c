#include "opening.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "refs/end_claims.h"
#include "closing.h"
#include "kernel/sock_diag.h"
#include "refs/fds_in_flight.h"
#include "refs/ledger.h"
#include "kernel/process.h"
#include "refs/references.h"
#include "kernel/seccomp_guard.h"
#include "session/session.h"
#include "leaving.h"
#include "shutting_down.h"
#include "refs/fd_table.h"

/* The connection has its listener's namespace, and is bound as it is: nothing to ask again. */
static bool identify_accepted(int listener, int fd, const struct sockaddr *peer, socklen_t length,
                              struct identity *identity) {
    struct identity parent;
    memset(identity, 0, sizeof *identity);
    identity->cookie = socket_cookie(fd);
    if (!identity->cookie || !table_find(listener, false, &parent))
        return false;
    ledger_expect(identity->cookie);
    session_expect_event();
    session_expect_to_know(identity->cookie);
    identity->namespace = parent.namespace;
    identity->interface = parent.interface;
    identity->role = ROLE_SERVER;
    socket_local_name(fd, identity);
    if (!peer || !address_from_sockaddr(&identity->remote, peer, length))
        socket_remote_name(fd, identity);
    return true;
}

static void emit_open(enum event_op op, int fd, long result, int error, const struct identity *identity,
                      const struct call *call) {
    struct scratch *scratch = log_wants_of(call, TRACE_OPEN) ? scratch_take() : NULL;
    if (!scratch)
        return;
    struct call ended = call_ended(call);
    struct event *event = log_event(scratch, op, &ended);
    event->has |= HAS_FD | HAS_RET;
    event->fd = fd;
    event->ret = result;
    if (result == -1) {
        event->has |= HAS_ERRNO;
        event->error = error;
    }
    event_set_socket(event, identity);
    log_emit(scratch);
    scratch_give(scratch);
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

/* The kernel has not read the address yet: it may be a bad pointer. */
static bool copy_address(const struct sockaddr *address, socklen_t length, struct address *copy) {
    struct sockaddr_storage storage = {0};
    struct iovec ours = {&storage, sizeof storage};
    struct iovec theirs = {(void *)(uintptr_t)address, length < sizeof storage ? length : sizeof storage};
    if (probe(SYS_process_vm_readv, process_id(), (long)&ours, 1, (long)&theirs, 1, 0) <= 0)
        return false;
    address_from_sockaddr(copy, (const struct sockaddr *)&storage, length);
    return true;
}

bool opening_meets(enum rule_family family, int fd, const struct sockaddr *address, socklen_t length, struct call *call,
                   long *result) {
    struct identity identity;
    struct fault_subject subject = {
        .family = family, .call = call, .fd = fd, .how = -1, .without = family == RULE_ACCEPT ? 1U << PART_THEN : 0};
    int saved = errno;
    if (fd >= 0 && !table_find(fd, true, &identity))
        return false;
    if (fd < 0 && leaving_count() == 0)
        return false;
    if (fd >= 0)
        subject.identity = &identity;
    if (address && copy_address(address, length, &identity.remote))
        identity.role = ROLE_CLIENT;
    errno = saved;
    return fault_takes(&subject, result);
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

void accepted(int listener, int fd, const struct sockaddr *peer, socklen_t length, const struct call *call) {
    int saved = errno;
    struct identity identity;
    if (!table_maybe_tcp(listener)) {
        table_set_other(fd);
    } else if (identify_accepted(listener, fd, peer, length, &identity)) {
        ledger_born(identity.cookie);
        table_set(fd, &identity);
        emit_open(OP_ACCEPT, listener, fd, 0, &identity, call);
        end_accepted(fd, &identity, call);
    } else {
        table_set_unknown(fd);
    }
    errno = saved;
}

static bool is_under_way(long result, int error) {
    return result == 0 || error == EINPROGRESS || error == EINTR || error == EALREADY || error == EISCONN;
}

void connected(int fd, const struct sockaddr *address, socklen_t length, long result, int error,
               const struct call *call) {
    int saved = errno;
    struct identity identity;
    if (table_find(fd, false, &identity)) {
        if (is_under_way(result, error)) {
            socket_names(fd, &identity);
            /* In SYN_SENT it has no peer's name yet. The kernel has read the address, so it can be read. */
            if (identity.remote.family == ADDRESS_UNSET && address)
                address_from_sockaddr(&identity.remote, address, length);
            identity.role = ROLE_CLIENT;
            table_set(fd, &identity);
            claims_begin(identity.cookie);
        }
        struct call told = *call;
        if (result != 0 && fault_has(call, PART_THEN))
            fault_failed(&told, fault_no_success);
        emit_open(OP_CONNECT, fd, result, error, &identity, &told);
        if (result == 0 && fault_has(call, PART_THEN))
            shutting_then(call->rule, fd, call);
    }
    errno = saved;
}

/*
 * taken: how many references the call added. later: how many more it added of which events are still to come, and
 * which are counted already.
 */
static void emit_reference(enum event_op op, int fd, long result, int taken, unsigned later,
                           const struct identity *identity, const struct call *call) {
    struct references references;
    struct scratch *scratch = log_wants_of(call, TRACE_REFS) ? scratch_take() : NULL;
    if (!scratch)
        return;
    int open_fd = op == OP_SEND_FD ? fd : (int)result;
    references_count(socket_inode(open_fd), identity->cookie, scratch, &references);
    struct call ended = call_ended(call);
    struct event *event = log_event(scratch, op, &ended);
    event->has |= HAS_FD | HAS_RET;
    event->fd = fd;
    event->ret = result;
    event_set_socket(event, identity);
    references_note(&references, -taken, event);
    event->refs_before -= later < event->refs_before ? later : event->refs_before;
    event->refs_after -= later < event->refs_after ? later : event->refs_after;
    log_emit(scratch);
    scratch_give(scratch);
}

void duplicated(int fd, int new_fd, const struct call *call) {
    int saved = errno;
    struct identity identity;
    if (!table_maybe_tcp(fd) || !table_find(fd, true, &identity)) {
        table_set_other(new_fd);
    } else {
        table_set(new_fd, &identity);
        if (table_seen(fd) & SEEN_USE)
            table_mark_used(new_fd);
        emit_reference(OP_DUP, fd, new_fd, 1, 0, &identity, call);
    }
    errno = saved;
}

void received_descriptor(int fd, const struct call *call) {
    int saved = errno;
    struct identity identity;
    table_set_unknown(fd);
    if (table_find(fd, false, &identity))
        emit_reference(OP_RECV_FD, fd, fd, 1, 0, &identity, call);
    errno = saved;
}

/* The descriptors of a message's SCM_RIGHTS, one after the other. */
struct rights {
    struct msghdr *message;
    struct cmsghdr *header;
    size_t at;
};

static bool rights_next(struct rights *rights, int *fd) {
    for (;; rights->header = CMSG_NXTHDR(rights->message, rights->header), rights->at = 0) {
        struct cmsghdr *header = rights->header;
        if (!header)
            return false;
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
            CMSG_LEN((rights->at + 1) * sizeof *fd) > header->cmsg_len)
            continue;
        memcpy(fd, CMSG_DATA(header) + rights->at++ * sizeof *fd, sizeof *fd);
        return true;
    }
}

static struct rights rights_of(const struct msghdr *message) {
    struct msghdr *all = (struct msghdr *)(uintptr_t)message;
    return (struct rights){.message = all, .header = all->msg_controllen ? CMSG_FIRSTHDR(all) : NULL};
}

static uint64_t cookie_at(int fd) {
    struct identity identity;
    return table_maybe_tcp(fd) && table_find(fd, true, &identity) ? identity.cookie : FLIGHT_OTHER;
}

/* How many of the descriptors that follow are copies of the same socket. */
static unsigned copies_after(struct rights rights, uint64_t cookie) {
    unsigned copies = 0;
    for (int fd; rights_next(&rights, &fd);)
        copies += cookie_at(fd) == cookie;
    return copies;
}

/* The inode of the unix socket in whose queue a message waits: the channel's own, or its peer's. 0: not known. */
static uint64_t receiver_at(int channel, bool sending) {
    uint64_t inode = socket_inode(channel), peer = 0;
    struct scratch *scratch = sending && inode ? scratch_take() : NULL;
    if (!scratch)
        return sending ? 0 : inode;
    peer = diag_unix_peer(inode, scratch);
    scratch_give(scratch);
    return peer;
}

/* The kernel has taken, or given, all at once: first all are counted, then each is told of. */
static void tell_of_rights(int channel, const struct msghdr *message, enum event_op op, bool peeked,
                           const struct call *call) {
    uint64_t receiver = rights_of(message).header ? receiver_at(channel, op == OP_SEND_FD) : 0;
    int fd, taken = op == OP_SEND_FD || peeked ? 1 : 0;
    for (struct rights rights = rights_of(message); rights_next(&rights, &fd);) {
        /* One that is sent may have come unseen, and the ledger must answer for its socket no more. */
        if (op == OP_RECV_FD || table_kind(fd) == SLOT_OTHER)
            table_set_found(fd);
        if (op == OP_SEND_FD) {
            ledger_escaped(cookie_at(fd)); /* who receives or peeks at it may have no hooks */
            flight_sent(cookie_at(fd), receiver);
        } else if (!peeked)
            flight_received(cookie_at(fd), receiver);
    }
    for (struct rights rights = rights_of(message); rights_next(&rights, &fd);) {
        struct identity identity;
        if (!table_maybe_tcp(fd) || !table_find(fd, true, &identity))
            continue;
        unsigned later = taken ? copies_after(rights, identity.cookie) : 0;
        emit_reference(op, fd, op == OP_SEND_FD ? 0 : fd, taken, later, &identity, call);
    }
}

void sent_message(int channel, const struct msghdr *message, const struct call *call) {
    int saved = errno;
    tell_of_rights(channel, message, OP_SEND_FD, false, call);
    errno = saved;
}

void received_message(int channel, const struct msghdr *message, int flags, const struct call *call) {
    int saved = errno;
    tell_of_rights(channel, message, OP_RECV_FD, flags & MSG_PEEK, call);
    errno = saved;
}

unsigned forking(void) {
    int saved = errno;
    unsigned shared = log_wants(TRACE_REFS) && table_end() ? leaving_count() : 0;
    errno = saved;
    return shared;
}

void forked(unsigned shared, int child, const struct call *call) {
    int saved = errno;
    struct scratch *scratch = (shared && log_wants(TRACE_REFS)) || call->rule ? scratch_take() : NULL;
    if (scratch) {
        struct call ended = call_ended(call);
        struct event *event = log_event(scratch, OP_FORK, &ended);
        event->has |= HAS_SHARED;
        event->shared = shared;
        if (child > 0) {
            event->has |= HAS_CHILD | HAS_RET;
            event->child = child;
            event->ret = child;
        }
        log_emit(scratch);
        scratch_give(scratch);
    }
    errno = saved;
}
