/* An event in sentences: what the event says, and nothing else. For print --explain, and with it the demo. */
#ifndef CLOSETRACE_EXPLAIN_H
#define CLOSETRACE_EXPLAIN_H

#include <stddef.h>

#include "pure/event.h"

enum { EXPLAIN_MAX = 8192 };

/* One line, without a newline, whole sentences as far as they fit; it may be empty. Whatever a trace holds is in it. */
void explain_event(const struct event *event, char text[EXPLAIN_MAX]);

#endif
