/* Text of anybody's in XML and HTML, where no character of it has a meaning. */
#ifndef CLOSETRACE_MARKUP_H
#define CLOSETRACE_MARKUP_H

#include <stdio.h>

/* Also within quotes. What XML does not allow, and what is not UTF-8, is replaced by U+FFFD. */
void markup_print(FILE *out, const char *text);

#endif
