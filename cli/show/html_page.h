/* What every page has, whatever the trace: the head with its style, and the script that filters and folds. */
#ifndef CLOSETRACE_HTML_PAGE_H
#define CLOSETRACE_HTML_PAGE_H

#include <stdio.h>

void html_head(FILE *out);
void html_foot(FILE *out);

#endif
