/* The table of many connections: alike ones are one row, the most frequent first. */
#ifndef CLOSETRACE_REPORT_KINDS_H
#define CLOSETRACE_REPORT_KINDS_H

#include <stdio.h>

#include "report_words.h"

/* Alike are: the same programs, the same address of the server, ended alike, the same end first. */
void kinds_print(const struct endpoint *first, FILE *out, const struct report_style *style);

#endif
