/*
 * One event: what one call did to one TCP connection.
 *
 * The library fills it on its stack, the renderers (render.h) turn it into a line. Text and JSON are two
 * renderings of this structure and nothing else. It owns nothing: the strings it points to are literals, or live
 * as long as the call that is being described.
 */
#ifndef CLOSETRACE_EVENT_H
#define CLOSETRACE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"

enum event_op {
    OP_START,
    OP_CONNECT,
    OP_ACCEPT,
    OP_BIND, /* failed: the address is in use */
    OP_DUP,
    OP_FORK,
    OP_EXEC,
    OP_SEND_FD,
    OP_RECV_FD,
    OP_CLOSE,
    OP_SHUTDOWN,
    OP_RELEASE,
    OP_EXIT,
    OP_EOF,
    OP_RESET,
    OP_WRITE,
    OP_READ,
    OP_STATE,  /* how it stands, seen without a call */
    OP_NOW,    /* the same, of what closetrace now looks at */
    OP_UNSEEN, /* a process whose calls are not in the trace */
    OP_RULE,
    OP_FINDING,
    OP_END,
    OP_COUNT
};

/* What became of the sending direction. FIN_UNSET: this event does not end one. */
enum event_fin { FIN_UNSET, FIN_SENT, FIN_QUEUED, FIN_WITHHELD, FIN_ALREADY, FIN_RESET, FIN_NONE, FIN_COUNT };

enum event_why {
    WHY_UNSET,
    WHY_LAST_REFERENCE,
    WHY_SHUTDOWN,
    WHY_REFERENCES,
    WHY_CALL_IN_PROGRESS,
    WHY_UNREAD_DATA,
    WHY_LINGER_ZERO,
    WHY_AFTER_SHUTDOWN,
    WHY_NOT_CONNECTED,
    WHY_LISTENING,
    WHY_PEER_RESET,
    WHY_IN_FLIGHT,
    WHY_HIDDEN,
    WHY_PARKED,
    WHY_RECEIVE_SIDE,
    WHY_DISCONNECT,
    WHY_LINGER2,
    WHY_AFTER_CLOSE,
    WHY_TIMED_OUT,
    WHY_DESTROYED,
    WHY_OVER,
    WHY_REFUSED,
    WHY_COUNT
};

/* How a program's calls come into the trace; or why they do not. */
enum event_reach {
    REACH_UNSET,
    REACH_PRELOAD,
    REACH_SUPERVISED,
    REACH_STATIC,
    REACH_GO,
    REACH_OTHER_LIBC,
    REACH_SET_UID,
    REACH_ENVIRONMENT,
    REACH_ARCHITECTURE,
    REACH_COUNT
};

enum event_role { ROLE_UNSET, ROLE_CLIENT, ROLE_SERVER, ROLE_UNKNOWN, ROLE_COUNT };

/* What the kernel does with the SIGPIPE of a refused write. SIGPIPE_UNSET: none was due. */
enum event_sigpipe {
    SIGPIPE_UNSET,
    SIGPIPE_IGNORED,
    SIGPIPE_HANDLED,
    SIGPIPE_FATAL,
    SIGPIPE_BLOCKED,
    SIGPIPE_SUPPRESSED, /* the program asked for none: MSG_NOSIGNAL */
    SIGPIPE_COUNT
};

/* Whether the process itself had read from the connection or written to it. */
enum event_used { USED_UNSET, USED_NO, USED_YES };

/* Which way the last bytes went that the process itself moved through the connection. */
enum event_last { LAST_UNSET, LAST_READ, LAST_WRITE, LAST_COUNT };

/* The numbers of enum in net/tcp_states.h, which TCP_INFO and inet_diag report; 0 is "not known". */
enum tcp_state {
    STATE_UNSET,
    STATE_ESTABLISHED,
    STATE_SYN_SENT,
    STATE_SYN_RECV,
    STATE_FIN_WAIT1,
    STATE_FIN_WAIT2,
    STATE_TIME_WAIT,
    STATE_CLOSE,
    STATE_CLOSE_WAIT,
    STATE_LAST_ACK,
    STATE_LISTEN,
    STATE_CLOSING,
    STATE_NEW_SYN_RECV,
    STATE_COUNT
};

enum { COMM_SIZE = 16, HOLDERS_SHOWN = 16, CALLER_MODULE_SIZE = 64 };

/* Who refers to a socket: a descriptor (fd >= 0), or a thread inside a call on it (fd < 0: tid and call). */
struct holder {
    int pid;
    int fd;
    int tid;
    const char *call;
    char comm[COMM_SIZE];
};

/* Which of the fields below that have no value of their own for "does not apply" are there. */
enum event_has {
    HAS_FD = 1 << 0,
    HAS_RET = 1 << 1,
    HAS_ERRNO = 1 << 2,
    HAS_REFS_BEFORE = 1 << 3,
    HAS_REFS_AFTER = 1 << 4,
    HAS_UNREAD = 1 << 5,
    HAS_UNSENT = 1 << 6,
    HAS_TRAFFIC = 1 << 7, /* sent, received, unacked */
    HAS_HOW = 1 << 8,
    HAS_CHILD = 1 << 9,
    HAS_SHARED = 1 << 10,
    HAS_PENDING = 1 << 11,
    HAS_SOCKET = 1 << 12, /* cookie, and with it local, remote, role where they are known */
    HAS_STATUS = 1 << 13, /* exit */
    HAS_DURATION = 1 << 14,
    HAS_IDLE = 1 << 15,
    HAS_LOST = 1 << 16, /* of a release; an end has it always */
    HAS_IN_STATE = 1 << 17,
    HAS_BACKLOG = 1 << 18,
    HAS_EXPIRES = 1 << 19,
    HAS_ASKED = 1 << 20,
    HAS_AFTER_FIN = 1 << 21,
    HAS_ASKED_AFTER = 1 << 22,
};

struct event {
    enum event_op op;
    unsigned has;         /* enum event_has */
    uint64_t time_us;     /* since the Epoch, when the program made the call */
    uint64_t duration_us; /* how long the call took */
    int pid, tid;
    char comm[COMM_SIZE];
    const char *call; /* libc's function as the program named it; "return" from main; a signal's name */
    int fd;
    long ret;
    int error;  /* errno */
    int status; /* of an exit */
    int how;    /* SHUT_RD, SHUT_WR, SHUT_RDWR */

    uint64_t cookie;
    struct address local, remote;
    enum event_role role;

    unsigned refs_before, refs_after;
    bool refs_partial;      /* the counts are lower bounds: somebody's descriptors could not be read */
    unsigned holder_count;  /* in all */
    unsigned holders_named; /* the first of them, in holders: at most HOLDERS_SHOWN */
    struct holder holders[HOLDERS_SHOWN];

    enum event_fin fin;
    enum event_why why;
    bool verified;
    bool possible;        /* of a finding: the trace cannot tell */
    enum event_fin would; /* what a close of every descriptor would do now */
    unsigned pending;     /* connections in a listener's accept queue that this call resets, or would */
    unsigned backlog;     /* how many that queue takes */
    enum tcp_state state_before, state_after;
    uint64_t unread, unsent;
    uint64_t sent, received, unacked;
    uint64_t idle_us;        /* how long no data had been sent or received, just before */
    uint64_t in_state_us;    /* how long it has been in this state, at least */
    uint64_t after_fin_us;   /* of a reset: for how long the peer's FIN had been here when the last bytes were sent */
    uint64_t asked_after_us; /* how long after the call's return the kernel answered, where that is long */
    uint64_t expires_us;     /* of an orphan: until the kernel tries again, or forgets it */
    enum event_sigpipe sigpipe;
    enum event_used used;
    enum event_last last;
    enum tcp_state peer_state; /* of the peer's end just before, if it is on this host and has a descriptor */

    int child;
    unsigned shared;

    char caller_module[CALLER_MODULE_SIZE]; /* empty: not known */
    uint64_t caller_offset;
    const char *injected;     /* the rule's text, or NULL */
    const char *not_injected; /* the text of a rule that could not be carried out, or NULL; and why */
    const char *not_injected_why;

    enum event_reach reach; /* start, unseen */

    /* start */
    const char *version;        /* NULL: this one */
    const char *const *command; /* argv, NULL at its end */
    unsigned command_more;      /* how many words of it are left out */
    unsigned rules_more;        /* and of the rules */
    uint32_t seed;
    const char *const *rules; /* NULL at its end, or NULL */
    /* finding; the lists as above */
    const char *finding;
    const char *const *sockets;
    const char *const *evidence;
    /* rule */
    const char *rule;
    uint64_t matched, fired; /* in this process */
    bool fired_nowhere;      /* nor in any other of the session, so far */
    /*
     * end; lost: of a release, bytes that the peer never acknowledged; asked: how often the kernel was. Of another
     * event it is, with HAS_ASKED, the bytes that the call, or at an end the last write before it, wanted to move where
     * it moved fewer.
     */
    uint64_t events, lost, asked, contradicted;
};

/* When its call came back. */
static inline uint64_t event_ended_at(const struct event *event) {
    return event->time_us + (event->has & HAS_DURATION ? event->duration_us : 0);
}

/* When it happened: what a call has waited for comes at its end, whatever else at its beginning. */
uint64_t event_happened_at(const struct event *event);

/* Makes *event an event of that kind with nothing in it. */
void event_init(struct event *event, enum event_op op);

/* Adds who holds the socket; beyond HOLDERS_SHOWN they are only counted, as is one without a name (NULL). */
void event_add_holder(struct event *event, const struct holder *holder);

#endif
