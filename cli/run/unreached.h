/* Which programs ran without the library. */
#ifndef CLOSETRACE_UNREACHED_H
#define CLOSETRACE_UNREACHED_H

#include "drain.h"
#include "processes.h"

/*
 * Each of them as an event of the trace (op:"unseen"), so that whoever reads the trace alone knows of it; has_events as
 * below.
 */
void unreached_log(const struct processes *processes, bool (*has_events)(int pid, const void *context),
                   const void *context, struct drain *drain);

/* A line for each name. One whose events are in the trace for all that (has_events) is not among them. */
void unreached_say(const struct processes *processes, bool (*has_events)(int pid, const void *context),
                   const void *context);

#endif
