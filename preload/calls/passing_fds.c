#include "passing_fds.h"

#include <string.h>

#include "duplicating.h"
#include "kernel/sock_diag.h"
#include "refs/fd_table.h"
#include "refs/fds_in_flight.h"
#include "refs/ledger.h"

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
            note_ends_of(fd);
            flight_sent(cookie_at(fd), receiver);
        } else if (!peeked)
            flight_received(cookie_at(fd), receiver);
    }
    for (struct rights rights = rights_of(message); rights_next(&rights, &fd);) {
        struct identity identity;
        if (!table_maybe_tcp(fd) || !table_find(fd, true, &identity))
            continue;
        unsigned later = taken ? copies_after(rights, identity.cookie) : 0;
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

void sent_message(int channel, const struct msghdr *message, const struct call *call) {
    tell_of_rights(channel, message, OP_SEND_FD, false, call);
}

void received_message(int channel, const struct msghdr *message, int flags, const struct call *call) {
    tell_of_rights(channel, message, OP_RECV_FD, flags & MSG_PEEK, call);
}
