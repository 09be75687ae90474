/* Text on several lines. */
#ifndef CLOSETRACE_WRAPPED_H
#define CLOSETRACE_WRAPPED_H

#include <stdio.h>

/* Broken between words, so that each line has at most `width` columns; a longer word stands alone. Printable. */
void print_wrapped(FILE *out, const char *text, unsigned indent, unsigned width);

/* How much of the text stands on a line of so many columns: up to a blank, else behind an arrow, else as much as there
 * is room for. */
size_t wrapped_length(const char *text, unsigned width);

#endif
