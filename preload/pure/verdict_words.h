/*
 * A verdict in the words of a text line: "FIN withheld: held by 4712 nginx fd 7". What was not verified is worded
 * as an expectation, or says that it is unverified.
 */
#ifndef CLOSETRACE_VERDICT_WORDS_H
#define CLOSETRACE_VERDICT_WORDS_H

#include "event.h"
#include "line.h"

/* Nothing where the event has no verdict. Holders that do not fit are counted. */
void verdict_words(struct line *line, const struct event *event);

/* "4712 nginx fd 7, 4713 nginx fd 7 and 3 more" */
void holders_words(struct line *line, const struct event *event);

#endif
