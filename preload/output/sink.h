/*
 * Where lines go: standard error while it is still the file that it was at the start, or a log file of our own.
 * A write never raises a signal, never blocks, and never goes into a descriptor that was not just identified.
 * Async-signal-safe.
 */
#ifndef CLOSETRACE_SINK_H
#define CLOSETRACE_SINK_H

#include <stdbool.h>
#include <stddef.h>

/* Remembers what standard error is. Before main. */
void sink_start(void);

/*
 * Lines go to the file from now on (%p: the process's id; relative: to the present directory). False: it cannot be
 * written, *error says why. A name with %p is only tried, not made, before there is a line for it.
 */
bool sink_to_file(const char *output, int *error);

/*
 * Events go to the command (session.h), and lines only where it reads them no more: to the file (NULL: to standard
 * error), which is not opened before.
 */
void sink_to_session(const char *output);

/* One line, one write. False: it was lost. */
bool sink_write(const char *line, size_t length);

/* A message to the user, to standard error whatever the settings. */
void sink_complain(const char *text, size_t length);

/* Whether standard error is a terminal. */
bool sink_is_terminal(void);

/* In a forked child. */
void sink_forked(void);

#endif
