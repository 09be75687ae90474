/* Which programs ran without the library. */
#ifndef CLOSETRACE_UNREACHED_H
#define CLOSETRACE_UNREACHED_H

#include "processes.h"

/* A line for each name. One whose events are in the trace for all that (has_events) is not among them. */
void unreached_say(const struct processes *processes, bool (*has_events)(int pid, const void *context),
                   const void *context);

#endif
