/*
 * A report as one page that needs nothing else: the summary, what is wrong with what to do, each connection that a
 * finding names as a ladder, all connections by kind. The trace is read twice: once for the analysis, once for the
 * ladders.
 */
#ifndef CLOSETRACE_REPORT_HTML_H
#define CLOSETRACE_REPORT_HTML_H

#include <stdio.h>

#include "analysis/analysis.h"

struct html;

/* Chooses which connections are drawn. Where there is no memory it ends the process (125). */
struct html *html_new(const struct analysis *analysis);

/* The second reading; source: which of the files. */
void html_event(struct html *html, const struct event *event, unsigned source);

void html_print(struct html *html, const char *const *names, unsigned count, FILE *out);
void html_free(struct html *html);

#endif
