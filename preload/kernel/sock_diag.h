/*
 * What the kernel says of a TCP socket when there is no descriptor any more: an exact inet_diag look-up by
 * addresses and cookie (sock_diag(7)). Async-signal-safe; nobody waits for a lock.
 */
#ifndef CLOSETRACE_SOCK_DIAG_H
#define CLOSETRACE_SOCK_DIAG_H

#include "scratch.h"
#include "tcp_socket.h"

struct diag_answer {
    bool asked; /* false: it cannot be asked here */
    bool found;
    enum tcp_state state;
    uint64_t inode; /* 0: no file refers to it (an orphan, or in an accept queue) */
    uint32_t receive_queue;
    bool fin_unsent; /* bytes wait in the send buffer, and the FIN behind them */
};

/*
 * To be called while the socket is alive (hashed: its state is `state`) and before it is given up: makes the
 * netlink socket if there is none, and finds out once whether look-ups work here at all and in the socket's
 * network namespace. False: they don't, so that a look-up afterwards would prove nothing.
 */
bool diag_prepare(const struct identity *identity, enum tcp_state state, struct scratch *scratch);

/* Of listeners that share a port (SO_REUSEPORT) the kernel shows any: then all of them are gone through. */
void diag_look_up(const struct identity *identity, struct scratch *scratch, struct diag_answer *answer);

/* The other end, if it is on this host: looked up by the addresses reversed. */
void diag_look_up_peer(const struct identity *identity, struct scratch *scratch, struct diag_answer *answer);

/* The inode of the unix socket that the one with that inode is connected to; 0: none, or it cannot be asked. */
uint64_t diag_unix_peer(uint64_t inode, struct scratch *scratch);

/* In a forked child. */
void diag_forked(void);

#endif
