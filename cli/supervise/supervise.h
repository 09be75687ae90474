/*
 * Programs that preloading cannot reach, or cannot see through: the kernel notifies the command of the calls by which
 * they end connections (notify.h), and a thread of the command looks, lets the call be made, and says what became of
 * it. Descendants are supervised too; none of them has the library.
 */
#ifndef CLOSETRACE_SUPERVISE_H
#define CLOSETRACE_SUPERVISE_H

#include <stdbool.h>

#include "pure/event.h"

struct supervision {
    int standby; /* socket of the standby process */
    int pass[2]; /* by which the listener comes from the program to be */
    int ready;   /* an eventfd: events wait */
};

/* Before any thread and before the program. False: errno says why. */
bool supervise_begin(struct supervision *supervision);

/* In the program to be, just before its exec. False: errno says why. */
bool supervise_me(const struct supervision *supervision);

/* In the command, once that was called. False: no listener has come; the program says why, by its own means. */
bool supervise_follow(struct supervision *supervision);

/* What has been seen since: each event once, in the order in which it was. */
void supervise_take(struct supervision *supervision, void (*take)(const struct event *event, void *context),
                    void *context);

/* All supervised processes have ended: until all has been said of them. */
void supervise_end(void);

#endif
