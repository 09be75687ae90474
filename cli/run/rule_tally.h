/*
 * How often each fault rule of a session matched and fired, over all its processes: a fault that was armed and did not
 * happen proves nothing.
 */
#ifndef CLOSETRACE_RULE_TALLY_H
#define CLOSETRACE_RULE_TALLY_H

#include "pure/event.h"

struct tallied {
    uint64_t matched;
    bool fired;
};

struct rule_tally {
    const char *const *rules; /* the session's, NULL at its end: no others are counted, whatever events say */
    struct tallied *counts;
};

/* False: there is no memory. */
bool rule_tally_begin(struct rule_tally *tally, const char *const *rules);

void rule_tally_event(struct rule_tally *tally, const struct event *event);

/* A line for each that never fired. */
void rule_tally_say(const struct rule_tally *tally);

void rule_tally_free(struct rule_tally *tally);

#endif
