/*
 * The verdict: what became of the stream. A pure function from what was known before the call, the references
 * left, and what the kernel said after, to what is logged.
 */
#ifndef CLOSETRACE_VERDICT_H
#define CLOSETRACE_VERDICT_H

#include "event.h"

/* What the call does to the socket. */
enum ending {
    ENDING_RELEASE,    /* gives up one or more references: close, dup2 over it, exec, exit */
    ENDING_SHUTDOWN,   /* shutdown(), with how */
    ENDING_DISCONNECT, /* connect() with AF_UNSPEC */
};

/* Just before the call. */
struct before {
    enum tcp_state state;
    uint64_t unread;       /* bytes in the receive queue, out-of-band ones included */
    bool linger_zero;      /* SO_LINGER on, with 0 seconds */
    bool linger2_negative; /* TCP_LINGER2 below 0 */
    bool repair;           /* TCP_REPAIR: the kernel ends it without a segment (tcp_disconnect) */
    bool fin_sent;         /* CLOSE: its FIN had left and was acknowledged, or a shutdown was seen */
    bool fin_unsent;       /* it was shut down, and the FIN waits behind data in the send buffer */
    bool fin_would_wait;   /* the peer has no room for what is unsent, and a FIN behind it */
    bool was_connected;    /* its handshake had been done */
    enum event_why death;  /* CLOSE: by what it had ended, where that was seen */
    unsigned pending;      /* LISTEN: connections in the accept queue */
};

/* What the kernel said after the call (inet_diag, or TCP_INFO while there is a descriptor). */
struct after {
    bool asked;
    bool found;
    enum tcp_state state;      /* if found */
    bool attached;             /* if found: a file still refers to it (its inode is not 0) */
    bool fin_unsent;           /* if found: bytes wait in the send buffer, the FIN behind them */
    bool peer_known;           /* its peer is on this host, and was looked up because the socket was not found */
    enum tcp_state peer_state; /* if peer_known; STATE_UNSET: not found either */
};

/* Who still refers to it, as far as it was found out. */
struct remaining {
    bool known;           /* false: nobody counted */
    bool partial;         /* some processes could not be looked at */
    unsigned descriptors; /* in any process */
    bool seen;            /* one of them at least was looked at, after the call */
    unsigned in_flight;   /* copies in unix sockets' queues */
    bool call_in_progress;
    bool parked;
};

struct verdict {
    enum event_fin fin;
    enum event_why why;
    bool verified;
    bool contradicted; /* the kernel knew better than the prediction */
};

/*
 * The verdict on an ending. Where after.asked is false it is a prediction (verified false).
 * ENDING_RELEASE and found && attached: something refers to it still; `remaining` should then be what a search
 * has found; with nothing found at all the verdict is withheld, hidden.
 */
struct verdict verdict_decide(enum ending ending, int how, const struct before *before,
                              const struct remaining *remaining, const struct after *after);

/*
 * By what a connection that is in CLOSE has ended, from the error that a call on it was told (the socket's pending
 * error). connected: its handshake had been done. Unset: the error does not say.
 */
enum event_why verdict_death(int error, bool connected);

/*
 * A call of a thread came back, and with it the last reference went, which was no descriptor: nobody looked just
 * before. What stood in the receive queue then is not known, nor whether the peer's FIN had come.
 */
struct returned {
    long result;          /* of the call; 0 where it is not known */
    enum event_why death; /* by what the connection had ended, by the call's error */
    bool over;            /* the call said that it was over, not by what */
    bool shared;          /* others were inside calls on it too: a reset is told to one of them */
};
/* before: when the last descriptor was closed. after: the kernel was asked, and nobody has it. */
struct verdict verdict_returned(const struct before *before, const struct after *after,
                                const struct returned *returned);

/*
 * A process was killed, or ended without a word, and it had the connection. fin_left: it had been shut down; held:
 * somebody has it still. before: how it stood when it was seen last; NULL: nobody had looked.
 */
struct killed {
    bool fin_left, held;
    const struct before *before;
    bool has_unread, fin_acknowledged; /* what the kernel told when it destroyed the socket */
};
/* Where nothing is known it has no `fin`. */
struct verdict verdict_killed(const struct killed *killed, const struct after *after);

/*
 * Several gave it up at one moment, or shut it down, and each finds it over: whose the end is, is another's to say
 * (refs/end_claims.h). What is left for this one's verdict.
 */
enum end_is {
    END_IS_OURS,
    END_IS_ANOTHERS,
    END_WAS_SHUT,         /* the FIN is a shutdown's */
    END_WAS_DISCONNECTED, /* by another connect() with AF_UNSPEC */
};
struct verdict verdict_give_way(struct verdict verdict, enum end_is whose);
/* Whether it says that the connection ended by this, so that it has to be asked. */
bool verdict_claims_end(const struct verdict *verdict);

/* connect() has failed so, and the handshake goes on. */
bool verdict_connect_goes_on(int error);

/* States that a connection only comes to by a FIN of its own. */
bool verdict_proves_fin(enum tcp_state state);

/* The prediction alone: verdict_decide() with a kernel that was not asked. */
struct verdict verdict_predict(enum ending ending, int how, const struct before *before,
                               const struct remaining *remaining);

#endif
