/*
 * How often each fault rule of a session matched and fired, over all its processes: a fault that was armed and did not
 * happen proves nothing.
 */
#ifndef CLOSETRACE_RULE_TALLY_H
#define CLOSETRACE_RULE_TALLY_H

#include <stdio.h>

#include "pure/event.h"

struct rule_tally {
    struct tallied {
        char *rule;
        uint64_t matched;
        bool fired;
        struct tallied *next;
    } * rules; /* in the order in which they were given */
};

void rule_tally_event(struct rule_tally *tally, const struct event *event);

/* A line for each that never fired. */
void rule_tally_print(const struct rule_tally *tally, FILE *out);

void rule_tally_free(struct rule_tally *tally);

#endif
