#include "passing_fds.h"

#include <string.h>
#include <sys/uio.h>

#include "duplicating.h"
#include "kernel/process.h"
#include "kernel/seccomp_guard.h"
#include "kernel/sock_diag.h"
#include "kernel/stop.h"
#include "output/event_socket.h"
#include "output/log.h"
#include "refs/fd_table.h"
#include "refs/fds_in_flight.h"
#include "refs/ledger.h"
#include "refs/references.h"

void received_descriptor(int fd, const struct call *call) {
    struct identity identity;
    table_set_unknown(fd);
    if (table_find(fd, false, &identity))
        reference_emit(OP_RECV_FD, fd, fd, 1, 0, &identity, call);
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

static void note_ends_of(int fd) {
    struct identity identity;
    if (!table_maybe_tcp(fd) || !table_find(fd, true, &identity))
        return;
    struct ends ends = {.local = identity.local,
                        .remote = identity.remote,
                        .namespace = identity.namespace,
                        .role = (uint8_t)identity.role};
    flight_note_ends(identity.cookie, &ends);
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
    OWN_SCRATCH *scratch = sending && inode ? scratch_take() : NULL;
    if (!scratch)
        return sending ? 0 : inode;
    peer = diag_unix_peer(inode, scratch);
    return peer;
}

/* The references to one socket before the message is sent. */
struct sent_count {
    uint64_t cookie;
    uint32_t references;
    bool known, partial;
};

static struct sent_count *counts_of(const struct sending *sending) {
    return (struct sent_count *)(void *)sending->counted->processes;
}

static struct sent_count *counted_before(const struct sending *sending, uint64_t cookie) {
    for (unsigned i = 0; i < sending->count; i++)
        if (counts_of(sending)[i].cookie == cookie)
            return &counts_of(sending)[i];
    return NULL;
}

static void count_socket(int fd, uint64_t cookie, struct sending *sending) {
    enum { MOST = sizeof sending->counted->processes / sizeof(struct sent_count) };
    struct references references;
    OWN_SCRATCH *scratch = sending->count < MOST && !counted_before(sending, cookie) ? scratch_take() : NULL;
    if (!scratch)
        return;
    references_count(socket_inode(fd), cookie, scratch, &references);
    counts_of(sending)[sending->count++] =
        (struct sent_count){cookie, references_total(&references), references.known, references.partial};
}

/* A copy of what the message carries beside its bytes, in the workspace: the kernel reads it for us. */
static bool copy_control(const struct msghdr *message, struct msghdr *copy, struct scratch *scratch) {
    struct iovec ours = {copy, sizeof *copy}, theirs = {(void *)(uintptr_t)message, sizeof *copy};
    if (probe(SYS_process_vm_readv, process_id(), (long)&ours, 1, (long)&theirs, 1, 0) != sizeof *copy ||
        !copy->msg_control || copy->msg_controllen < sizeof(struct cmsghdr) ||
        copy->msg_controllen > sizeof scratch->entries)
        return false;
    ours = (struct iovec){scratch->entries, copy->msg_controllen};
    theirs = (struct iovec){copy->msg_control, copy->msg_controllen};
    if (probe(SYS_process_vm_readv, process_id(), (long)&ours, 1, (long)&theirs, 1, 0) != (long)ours.iov_len)
        return false;
    copy->msg_control = scratch->entries;
    return true;
}

void sending_message(const struct msghdr *message, struct sending *sending) {
    struct msghdr copy;
    if (!sending->counted && log_wants(TRACE_REFS))
        sending->counted = scratch_take();
    if (!sending->counted || !copy_control(message, &copy, sending->counted))
        return;
    int fd;
    for (struct rights rights = rights_of(&copy); rights_next(&rights, &fd);) {
        uint64_t cookie = cookie_at(fd);
        if (cookie != FLIGHT_OTHER)
            count_socket(fd, cookie, sending);
    }
    STOP("sending: counted, not sent");
}

void sending_ends(struct sending *sending) {
    if (sending->counted)
        scratch_give(sending->counted);
}

/* Copies are told of one after the other: each adds one. */
static void emit_sent(int fd, struct sent_count *count, const struct identity *identity, const struct call *call) {
    OWN_SCRATCH *scratch = log_wants_of(call, TRACE_REFS) ? log_scratch() : NULL;
    if (!scratch)
        return;
    struct call ended = call_ended(call);
    struct event *event = log_event(scratch, OP_SEND_FD, &ended);
    event_set_socket(event, fd, identity);
    event_set_result(event, 0, 0);
    if (count->known) {
        event->has |= HAS_REFS_BEFORE | HAS_REFS_AFTER;
        event->refs_before = count->references++;
        event->refs_after = count->references;
        event->refs_partial = count->partial;
    }
    log_emit(scratch);
}

/* What is known of the descriptors before anything else is asked. Whether one of them is a connection's. */
static bool find_connections(const struct msghdr *message, enum event_op op) {
    bool any = false;
    int fd;
    for (struct rights rights = rights_of(message); rights_next(&rights, &fd);) {
        /* One that is sent may have come unseen, and the ledger must answer for its socket no more. */
        if (op == OP_RECV_FD || table_kind(fd) == SLOT_OTHER)
            table_set_found(fd);
        any = cookie_at(fd) != FLIGHT_OTHER || any;
    }
    return any;
}

/*
 * The kernel has taken, or given, all at once: first all are counted, then each is told of. What is no connection
 * matters only as a neighbour in a queue that a connection is in.
 */
static void count_rights(int channel, const struct msghdr *message, enum event_op op, bool peeked) {
    if (!find_connections(message, op) && !flight_holds_tcp(0))
        return;
    uint64_t receiver = receiver_at(channel, op == OP_SEND_FD);
    int fd;
    for (struct rights rights = rights_of(message); rights_next(&rights, &fd);) {
        if (op == OP_SEND_FD) {
            ledger_escaped(cookie_at(fd)); /* who receives or peeks at it may have no hooks */
            note_ends_of(fd);
            flight_sent(cookie_at(fd), receiver);
        } else if (!peeked)
            flight_received(cookie_at(fd), receiver);
    }
}

static void tell_of_rights(const struct msghdr *message, enum event_op op, bool peeked, const struct call *call,
                           const struct sending *sending) {
    int fd, taken = op == OP_SEND_FD || peeked ? 1 : 0;
    for (struct rights rights = rights_of(message); rights_next(&rights, &fd);) {
        struct identity identity;
        if (!table_maybe_tcp(fd) || !table_find(fd, true, &identity))
            continue;
        unsigned later = taken ? copies_after(rights, identity.cookie) : 0;
        struct sent_count *count = sending && sending->counted ? counted_before(sending, identity.cookie) : NULL;
        if (count)
            emit_sent(fd, count, &identity, call);
        else
            reference_emit(op, fd, op == OP_SEND_FD ? 0 : fd, taken, later, &identity, call);
    }
}

unsigned rights_received(const struct msghdr *message, uint64_t cookie) {
    unsigned received = 0;
    struct rights rights = rights_of(message);
    for (int fd; rights_next(&rights, &fd);)
        received += socket_cookie(fd) == cookie;
    return received;
}

void sent_message(int channel, const struct msghdr *message, const struct call *call, const struct sending *sending) {
    STOP("sending: sent, not told");
    count_rights(channel, message, OP_SEND_FD, false);
    tell_of_rights(message, OP_SEND_FD, false, call, sending);
}

void received_rights(int channel, const struct msghdr *message, int flags) {
    count_rights(channel, message, OP_RECV_FD, flags & MSG_PEEK);
}

void received_message(const struct msghdr *message, int flags, const struct call *call) {
    tell_of_rights(message, OP_RECV_FD, flags & MSG_PEEK, call, NULL);
}
