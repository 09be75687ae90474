/*
 * What became of every connection of a trace, and what is wrong with it. Events go in one by one, as they come or from
 * a file; connections and findings come out when analysis_end() was called. It keeps one record a socket, and copies
 * of the few events that may become evidence. It reads no clock and writes nothing. Where there is no more memory
 * it ends the process (125).
 */
#ifndef CLOSETRACE_ANALYSIS_H
#define CLOSETRACE_ANALYSIS_H

#include "pure/event.h"

struct analysis;

/* A copy of an event that outlives it: without lists; holders' calls only of the first thread. */
struct kept {
    struct event event;
    char call[32], holder_call[32];
};

/* One end of a connection: a socket. Times are 0 where it did not happen, or nobody saw it. */
struct endpoint {
    uint64_t cookie;
    struct address local, remote;
    enum event_role role;
    struct endpoint *peer;  /* the other end, if it is in the trace too */
    struct endpoint *relay; /* the other side of a relay, if this connection seems to be one side (relays.h) */
    bool relay_sure;        /* and is so without doubt */
    unsigned relayed;       /* of an accepted one: how many connections were made for it, one after the other */
    struct endpoint *next;  /* in the order in which they were first seen */

    uint64_t first_us, last_us; /* the first and the last event */
    bool goes_on;               /* its session does (analysis_source()) */
    uint64_t known_us;          /* until then something is known of it; from analysis_end() on */
    bool opened;                /* its connect or accept is in the trace */
    bool established;           /* and not merely under way */
    bool failed;                /* its connect failed, */
    enum event_why failed_why;  /* by the peer's RST, by a time-out; unset: by something else */
    bool listened;
    int opener, opener_tid, opened_as; /* opened_as: the descriptor; -1: not known */
    char opener_comm[COMM_SIZE];
    bool injected; /* a fault rule was carried out on it */

    bool has_traffic;
    uint64_t sent, received;
    bool snapshot;    /* these were counted while data waited in the send buffer: more may have come and gone */
    uint64_t written; /* sent, or still in the send buffer, at its last event */
    unsigned max_refs;

    uint64_t fin_us;      /* its FIN left, or was queued */
    uint64_t rst_us;      /* an RST left */
    uint64_t eof_us;      /* the peer's FIN was read */
    uint64_t peer_fin_us; /* the peer's FIN had come by then: it was read, or the state proves it */
    uint64_t reset_us;    /* the peer's RST was seen */
    uint64_t shut_us;     /* the program shut its sending direction down */
    uint64_t gone_us;     /* the last reference was given up */
    enum event_why died;  /* what else ended it: timed-out, destroyed, over */
    int gone_pid, gone_tid, gone_fd;
    bool shut_both;
    /* by what its sending direction ended */
    enum event_op end_op;
    enum event_fin end_fin;
    enum event_last end_last; /* which way the last bytes had gone */
    int end_pid;
    char end_comm[COMM_SIZE];

    struct kept *standing;    /* how the command saw it last, without a call (OP_STATE) */
    struct kept *gave_up;     /* fin-withheld: by the last that worked on it */
    struct kept *late;        /* and the end that came after that */
    struct kept *reset;       /* reset-on-close */
    struct kept *aborted;     /* half-close-as-abort */
    struct kept *quiet;       /* close-wait, never-closed: the event at which it had been quiet */
    uint64_t quiet_us;        /* for so long */
    struct kept *twice;       /* double-close */
    struct kept *in_use;      /* closed-in-use */
    struct kept *refused;     /* write-after-end: the first */
    unsigned refusals;        /* how many */
    bool knew_reset;          /* when it wrote */
    struct kept *cut;         /* answer-cut: reset as an orphan */
    struct kept *short_write; /* short-write */
    struct kept *unread;      /* unread-at-end */
    struct kept *raced;       /* request-after-fin: the reset that the request met */
    struct kept *impatient;   /* gave-up: ended before its peer had answered */
    struct kept *shared;      /* shared-connection: an end by a second process that had used it */
    int used_by;              /* the first that had */
    enum event_last used_for;
    struct kept *held;     /* port-held: its process gave it up, and others hold it */
    unsigned queue_resets; /* queue-reset */
    struct kept *queue;

    struct endpoint *next_cookie, *next_tuple; /* in the tables */
};

enum finding_kind {
    FINDING_FIN_WITHHELD,
    FINDING_RESET_ON_CLOSE,
    FINDING_HALF_CLOSE_AS_ABORT,
    FINDING_CLOSE_WAIT,
    FINDING_NEVER_CLOSED,
    FINDING_DOUBLE_CLOSE,
    FINDING_CLOSED_IN_USE,
    FINDING_WRITE_AFTER_END,
    FINDING_QUEUE_RESET,
    FINDING_ANSWER_CUT,
    FINDING_SHORT_WRITE,
    FINDING_UNREAD_AT_END,
    FINDING_UPLOAD_CUT,
    FINDING_REQUEST_AFTER_FIN,
    FINDING_PORT_HELD,
    FINDING_CLOSED_ANOTHERS,
    FINDING_SHARED_CONNECTION,
    FINDING_GAVE_UP,
    FINDING_QUEUE_FULL,
    FINDING_COUNT
};

/* A note is no finding: worth knowing, and nobody's fault. Possible: the trace cannot tell. */
enum certainty { CERTAIN, POSSIBLE, NOTE };
const char *certainty_name(enum certainty certainty); /* "finding", "possible", "note" */

enum { EVIDENCE_MAX = 8 };

struct finding {
    enum finding_kind kind;
    enum certainty certainty;
    const struct endpoint *endpoint;
    uint64_t time_us; /* of the event that it is about */
    int pid;          /* whose it is */
    char comm[COMM_SIZE];
    const char *caller; /* "nginx+0x3a1b"; "": not known */
    unsigned evidence_count;
    char *evidence[EVIDENCE_MAX]; /* sentences; may have any characters in them */
    struct finding *next;         /* in the order of their times */
    uint64_t number;              /* its place in that order */
    uint64_t alike;               /* of alike ones (alike.h) the first: how many; else 0 */
    uint64_t last_us;             /* and when the last was */
};

/* A process whose calls are not in the trace. */
struct unseen {
    int pid;
    char comm[COMM_SIZE];
    enum event_reach reach;
    struct unseen *next; /* in the order of the trace; the first so many */
};

struct totals {
    uint64_t events, lost, sockets, connections, fins, rsts, withheld;
    uint64_t refused, timed_out, failed; /* connects; failed: of other reasons */
    uint64_t findings, possible, notes;
    uint64_t unseen; /* processes */
    uint64_t first_us, last_us;
    uint64_t goes_on_us; /* a session had not ended at that time; 0: all have */
};

struct analysis *analysis_new(void);
/* What comes next is of a session that has not ended at that time; 0: of another. */
void analysis_source(struct analysis *analysis, uint64_t now_us);
void analysis_event(struct analysis *analysis, const struct event *event);
/* No more events: pairs are made and findings drawn. Once. */
void analysis_end(struct analysis *analysis);
/* After the end: findings that are not wanted are taken out, and not counted. */
void analysis_keep(struct analysis *analysis, bool (*is_wanted)(const struct finding *finding, void *context),
                   void *context);
void analysis_free(struct analysis *analysis);

const struct endpoint *analysis_endpoints(const struct analysis *analysis);
const struct finding *analysis_findings(const struct analysis *analysis);
const struct unseen *analysis_unseen(const struct analysis *analysis);
struct totals analysis_totals(const struct analysis *analysis);

/* "fin-withheld"; NULL behind the last. */
const char *finding_name(enum finding_kind kind);

/* Of a connection whose ends are both in the trace the client's stands for both. False: it is shown with its peer. */
bool endpoint_stands(const struct endpoint *endpoint);
/* It was a connection: neither a listener nor one that never had a peer. */
bool endpoint_is_connection(const struct endpoint *endpoint);
/* It was to become one, and did not. */
bool endpoint_is_failed_connect(const struct endpoint *endpoint);

#endif
