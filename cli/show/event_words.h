/* What the words of a trace mean, in plain English. NULL: nothing more is to be said. */
#ifndef CLOSETRACE_EVENT_WORDS_H
#define CLOSETRACE_EVENT_WORDS_H

#include "pure/event.h"

/* "open in both directions" */
const char *state_words(enum tcp_state state);

/* "because bytes had arrived that nobody had read" */
const char *because(enum event_why why);

#endif
