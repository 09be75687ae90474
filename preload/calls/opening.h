/*
 * The call paths of the calls that make connections and references: connect, accept, dup, descriptors received and
 * sent, fork. The table learns, the event is logged. errno is kept.
 */
#ifndef CLOSETRACE_OPENING_H
#define CLOSETRACE_OPENING_H

#include <sys/socket.h>

#include "faults/fault.h"
#include "refs/fd_table.h"

/* After socket() made fd. */
void socket_made(int fd, int domain, int type);

/* Whether connect() with that address is a disconnect: AF_UNSPEC, connect(2). The address may be a bad pointer. */
bool connect_disconnects(const struct sockaddr *address, socklen_t length);

/*
 * Before the call: holds the rules of the family against it, and may wait or end the process. True: a rule takes the
 * call's place; *result is what the program sees, with errno. Where it does not, opening_result() comes last of all.
 * fd: of a fork -1; address: of a connect, else NULL. opening_is_off() costs a load and a compare where there is no
 * rule.
 */
bool opening_meets(enum rule_family family, int fd, const struct sockaddr *address, socklen_t length, struct call *call,
                   long *result);
static inline bool opening_is_off(enum rule_family family, int fd, struct call *call, long *result) {
    return fault_armed(family) && (fd < 0 || table_maybe_tcp(fd)) && opening_meets(family, fd, NULL, 0, call, result);
}
static inline int opening_result(const struct call *call, int result) {
    return (int)fault_result(call, result);
}

/* After accept() on listener made fd; the peer's name as the kernel gave it to the program, or NULL. */
void accepted(int listener, int fd, const struct sockaddr *peer, socklen_t length, const struct call *call);

/* After connect() on fd to that address (NULL: not known); error is its errno where result is -1. */
void connected(int fd, const struct sockaddr *address, socklen_t length, long result, int error,
               const struct call *call);

/* new_fd refers to what fd refers to (whatever that is). */
void duplicated(int fd, int new_fd, const struct call *call);

/* A descriptor came in by pidfd_getfd(). */
void received_descriptor(int fd, const struct call *call);

/*
 * The message that was sent or received over channel, with whatever descriptors it carries. flags: recvmsg()'s; one
 * that was only peeked at (MSG_PEEK) is still under way, and its descriptors have come all the same.
 */
void sent_message(int channel, const struct msghdr *message, const struct call *call);
void received_message(int channel, const struct msghdr *message, int flags, const struct call *call);

/* How many TCP sockets a child that is forked now shares. 0 where nobody wants to know. */
unsigned forking(void);
/* In the parent: the child is there (child -1: its id is not known). */
void forked(unsigned shared, int child, const struct call *call);

#endif
