/* What happened to connections, one rung of a ladder each: which end did it, and what left on the wire. */
#ifndef CLOSETRACE_RUNGS_H
#define CLOSETRACE_RUNGS_H

#include "pure/event.h"

enum { RUNG_CELL_SIZE = 96, WIRE_SIZE = 16, RUNGS_DRAWN_MAX = 200 };

struct rung {
    uint64_t time_us, cookie;
    size_t order;
    struct address client, server;
    bool right;           /* the server's end did it */
    int pid;              /* who did it */
    enum tcp_state after; /* how that end stands then; STATE_UNSET: not told, */
    bool moved;           /* and no longer as before */
    unsigned source;      /* which of several traces tells of it */
    char call[RUNG_CELL_SIZE], state[RUNG_CELL_SIZE], wire[WIRE_SIZE];
};

struct rungs {
    struct rung *list;
    size_t count, room;
};

/* Nothing of an event that is about no connection. Where there is no memory it ends the process (125). */
void rungs_add(struct rungs *rungs, const struct event *event, unsigned source);

/* By connection, then by time. */
void rungs_sort(struct rungs *rungs);

/* 0: of one connection. */
int rungs_compare_connections(const struct rung *a, const struct rung *b);

/* Something left on the wire: a word in brackets says that nothing did. */
bool rung_left(const struct rung *rung);

#endif
