/* Events from the supervising thread to the command's own. */
#ifndef CLOSETRACE_SUPERVISED_TELL_H
#define CLOSETRACE_SUPERVISED_TELL_H

#include "held.h"
#include "pure/event.h"

/* ready: an eventfd that says so when there are some. */
void tell_begin(int ready);

/* There will be an event of the process: if it is the first, its start comes before it, while it is there. */
void tell_start(struct patient *patient, const struct event *of);

/* Its texts are literals. */
void tell(const struct event *event, const struct asking *asking);

/* The process has ended; nothing where nothing was told of it. */
void tell_end(const struct patient *patient);

/* In the command's own thread: all that there is. */
void tell_take(void (*take)(const struct event *event, void *context), void *context);

#endif
