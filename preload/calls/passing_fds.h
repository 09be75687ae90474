/*
 * The call paths of descriptors that go from process to process: over a unix socket (SCM_RIGHTS), by pidfd_getfd().
 * Table, ledger and the copies in flight learn, the event is logged. errno is kept.
 */
#ifndef CLOSETRACE_PASSING_FDS_H
#define CLOSETRACE_PASSING_FDS_H

#include <sys/socket.h>

#include "output/call.h"

/* A descriptor came in by pidfd_getfd(). */
void received_descriptor(int fd, const struct call *call);

/*
 * Before a message is sent, that may carry descriptors: the references to their sockets are counted. Afterwards a copy
 * may be in the queue, at the receiver, or between the two, and would be counted twice or not at all. The message may
 * be a bad pointer. counted: NULL where there is nothing to count; sending_ends() gives it back.
 */
struct sending {
    struct scratch *counted;
    unsigned count;
};
void sending_message(const struct msghdr *message, struct sending *sending);
void sending_ends(struct sending *sending);
#define OWN_SENDING __attribute__((cleanup(sending_ends))) struct sending

/*
 * The message that was sent or received over channel, with whatever descriptors it carries. flags: recvmsg()'s; one
 * that was only peeked at (MSG_PEEK) is still under way, and its descriptors have come all the same.
 */
void sent_message(int channel, const struct msghdr *message, const struct call *call, const struct sending *sending);
/* First they are descriptors, and copies no more; when what was dropped beside them has been told of, they are told of.
 */
void received_rights(int channel, const struct msghdr *message, int flags);
void received_message(const struct msghdr *message, int flags, const struct call *call);

/* How many descriptors of the connection have come with the message. */
unsigned rights_received(const struct msghdr *message, uint64_t cookie);

#endif
