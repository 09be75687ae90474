/* How far a long reading is: a line on standard error, written over, where that is a terminal. */
#ifndef CLOSETRACE_PROGRESS_H
#define CLOSETRACE_PROGRESS_H

#include <stdint.h>

/* Now and then; the first two seconds it says nothing. total 0: nobody knows. */
void progress_tell(const char *what, uint64_t events, uint64_t done, uint64_t total);

/* The line is wiped away, before anything else is written. */
void progress_end(void);

#endif
