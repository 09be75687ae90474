/*
 * The records of an analysis: sockets by cookie and by addresses, processes by number, memory that is given back all at
 * once.
 */
#ifndef CLOSETRACE_STORE_H
#define CLOSETRACE_STORE_H

#include "analysis/analysis.h"

struct process {
    int pid, parent; /* parent 0: its fork is not in the trace */
    uint64_t forked_us, started_us, last_us, ended_us;
    char comm[COMM_SIZE];
    bool execed; /* it has begun a program of its own since the fork */
    struct process *next;
};

struct block;

struct table {
    void **heads;
    size_t size, count; /* size: a power of 2 */
};

/* Where connections were accepted, and whether any of them was answered. */
enum { ACCEPTORS_MAX = 16 };

struct listener {
    struct address local;
    int acceptors[ACCEPTORS_MAX]; /* processes that accepted there; the first so many */
    unsigned acceptor_count;      /* in all */
    bool answered;
    struct kept *in_use;   /* a bind that failed */
    uint64_t given_up_us;  /* by its own process, and held by others */
    unsigned never_served; /* clients of the trace that connected after that, and that nobody accepted */
    unsigned queue_resets; /* of connections in its queue, that no client in the trace has felt yet */
    struct listener *next;
};

struct analysis {
    struct block *blocks;
    struct table by_cookie, by_tuple, by_pid, by_local;
    struct endpoint *first, *last;
    struct finding *findings;
    struct unseen *unseen, **last_unseen;
    struct totals totals;
    uint64_t looks; /* at other connections, for some findings: together no more than store_may_look() allows */
    bool source_goes_on;
};

/* A search among connections looks at one more. False: all have looked at so many that it would take too long. */
bool store_may_look(struct analysis *analysis);

/* Zeroed, aligned; lives as long as the analysis. */
void *store_take(struct analysis *analysis, size_t size);
char *store_text(struct analysis *analysis, const char *text, size_t length);
void store_free(struct analysis *analysis);

/* The socket of the event, made where it is new. */
struct endpoint *store_endpoint(struct analysis *analysis, const struct event *event);
/* The process; make: also where it is new, else NULL. */
struct process *store_process(struct analysis *analysis, int pid, bool make);

/* The local address, made where it is new. */
struct listener *store_listener(struct analysis *analysis, const struct address *local);

/* That process accepted the connection, so that it works on the listener. */
void store_acceptor(struct analysis *analysis, const struct endpoint *endpoint, int pid);
/* Whether it has accepted there, or may have: more have than are remembered. */
bool store_accepts(struct analysis *analysis, const struct address *local, int pid);

/* Finds every connection its other end. */
void store_pair(struct analysis *analysis);

/* Copies the event into *slot. */
void store_keep(struct analysis *analysis, struct kept **slot, const struct event *event);

#endif
