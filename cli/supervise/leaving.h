/*
 * Calls that the kernel goes on with: what a process gives up by one is looked at before, and judged once it is gone.
 */
#ifndef CLOSETRACE_SUPERVISED_LEAVING_H
#define CLOSETRACE_SUPERVISED_LEAVING_H

#include "held.h"

struct leaving {
    struct leaving *next;
    struct leaver who;
    struct event event;         /* what all its events have */
    int number;                 /* of the call */
    bool returned;              /* its thread has been seen again */
    uint64_t since_us, gone_us; /* gone_us: the descriptors, as far as was seen */
    size_t count, judged;
    struct held list[];
};

/* The process is about to give up its sockets at these numbers, or of them those that an exec closes. NULL: none of
 * TCP. */
struct leaving *leaving_of_range(const struct patient *patient, int tid, unsigned first, unsigned last, bool on_exec);

enum left { NOT_LEFT, LEFT, STAYS };

/* Whether they are gone by now; STAYS: the call has failed, it seems. */
enum left leaving_look(struct leaving *leaving, uint64_t now_us);

/* A thread was inside a call on it, and holds it until that returns. NULL: there is no memory. */
struct leaving *leaving_release(const struct leaving *leaving, const struct held *held);

#endif
