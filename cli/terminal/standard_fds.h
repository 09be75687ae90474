/*
 * The numbers 0, 1 and 2. Where the command was started with one of them closed, the next file that it opens would get
 * that number, and what is said would be written into it.
 */
#ifndef CLOSETRACE_STANDARD_FDS_H
#define CLOSETRACE_STANDARD_FDS_H

#include <stdbool.h>

/* Before anything is opened: those that are closed are taken, by what can be neither read nor written. */
bool standard_fds_take(void);

/* In a child that becomes a program: it has them as we were given them. */
void standard_fds_give_back(void);

#endif
