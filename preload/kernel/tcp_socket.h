/*
 * What the kernel says of a TCP socket while there is a descriptor for it: who it is, and how it stands.
 * Every function asks by probes (seccomp_guard.h), and is async-signal-safe.
 */
#ifndef CLOSETRACE_TCP_SOCKET_H
#define CLOSETRACE_TCP_SOCKET_H

#include <stdatomic.h>

#include "pure/event.h"
#include "pure/verdict.h"

/* What does not change as long as the connection lives. */
struct identity {
    uint64_t cookie;    /* SO_COOKIE: the same in every process, never used again */
    uint64_t namespace; /* SO_NETNS_COOKIE: of the network namespace it was made in; 0: not known */
    uint32_t interface; /* index of the interface it is bound to, or 0 */
    struct address local, remote;
    enum event_role role;
    bool mptcp; /* MPTCP: told as TCP, but inet_diag does not find it by its addresses */
};

/*
 * Whether SO_LINGER, TCP_LINGER2 or TCP_REPAIR may have been set, by any process of the session or a stranger: only
 * then, and on sockets that came from elsewhere, are they asked for at each close. Never NULL.
 */
extern _Atomic uint32_t *socket_odd_options;

/* An option is about to be set. */
void socket_option_set(int level, int name);

/* How it stands at one moment. */
struct standing {
    bool known; /* false: the kernel could not be asked */
    struct before before;
    uint64_t unsent; /* bytes in the send buffer that were never sent */
    uint64_t sent, received, unacked;
    uint64_t idle_us;          /* since the last byte was sent or received */
    uint64_t after_last_us;    /* from the peer's last segment to our last bytes; 0: there was one after them */
    bool used;                 /* by this process */
    enum event_last last;      /* which way the last bytes went that this process moved through the descriptor */
    uint64_t asked;            /* what its last write there was offered, where it took less; else 0 */
    enum tcp_state peer_state; /* of its peer, if that was asked for, is on this host and has a descriptor */
};

enum socket_kind { SOCKET_GONE, SOCKET_OTHER, SOCKET_TCP };

/* Whether fd is a TCP socket, or one of MPTCP; -1 in *error where it could not be asked (then SOCKET_GONE). */
enum socket_kind socket_kind(int fd);

/* The cookie, or 0 (not a socket; not to be asked). */
uint64_t socket_cookie(int fd);

/* Of a socket that is taken for one of TCP: whether it is one of MPTCP. */
bool socket_is_mptcp(int fd);

/* Asks for everything in *identity but the role, which becomes ROLE_UNKNOWN. False if it cannot be asked. */
bool socket_identify(int fd, struct identity *identity);

/* Local and remote address again: after connect(). Or one of them. */
void socket_names(int fd, struct identity *identity);
void socket_local_name(int fd, struct identity *identity);
void socket_remote_name(int fd, struct identity *identity);

/*
 * How it stands now. for_close: also what only a close depends on (the receive queue, SO_LINGER).
 * role: a client's SYN is counted in the bytes acknowledged.
 */
bool socket_stand(int fd, enum event_role role, bool for_close, struct standing *standing);

/* Its state alone; STATE_CLOSE where it cannot be asked. */
enum tcp_state socket_state(int fd);

/* In that state the peer's FIN has come, or nothing will come any more. */
bool socket_peer_has_closed(enum tcp_state state);

/* Nothing will come any more on a connection that is parked, or it was to be kept until its peer closes. */
bool socket_hold_is_over(enum tcp_state state, bool until_peer_closes);

/* connect() with AF_UNSPEC: an RST, however many refer to the connection. False: the kernel refuses. */
bool socket_disconnect(int fd);

/* Whether an error waits for the next call: which, only that is told, and it is taken off then. */
bool socket_has_error(int fd);

/* Whether the descriptor is closed by an exec. */
bool socket_closes_on_exec(int fd);

/* Its inode number, by which /proc names it; 0: could not be asked, or is no socket. */
uint64_t socket_inode(int fd);

#endif
