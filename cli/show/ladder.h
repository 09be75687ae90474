/*
 * One connection as a ladder: the client's processes on the left, the server's on the right, what left on the wire
 * between them, time down the page.
 */
#ifndef CLOSETRACE_LADDER_H
#define CLOSETRACE_LADDER_H

#include "analysis/analysis.h"
#include "report_words.h"

struct ladder;

/* Of the connections with that address at either end, as address_to_text() writes it; or, with a number, that port. */
struct ladder *ladder_new(const char *address);
void ladder_event(struct ladder *ladder, const struct event *event);
/* Returns how many connections were drawn. */
unsigned ladder_print(struct ladder *ladder, FILE *out, const struct report_style *style);
void ladder_free(struct ladder *ladder);

#endif
