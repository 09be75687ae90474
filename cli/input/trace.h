/*
 * A trace, read line by line: a file, a pipe, or one that grows. What is wrong with it is said on standard error as it
 * is met, the file and the line named: the first few, then their number (trace_close()).
 */
#ifndef CLOSETRACE_TRACE_H
#define CLOSETRACE_TRACE_H

#include <stdio.h>

#include "reader/parse.h"

enum trace_result {
    TRACE_EVENT,
    TRACE_END,    /* or, of a file that is followed, nothing more just now */
    TRACE_FAILED, /* no trace, from a newer version, or not to be read: it has been said, and there is no more */
};

struct trace;

/* "-" is standard input. NULL where it cannot be opened, which has been said. */
struct trace *trace_open(const char *name);

/*
 * The next event, and its line without the newline; both are the trace's, until the next call. follow: a last line
 * without its end is still being written, and a file that has become shorter is read anew
 * (of what is no regular file the end is the end).
 */
enum trace_result trace_next(struct trace *trace, bool follow, struct event *event, struct json_text *line);

/* What is wrong with it is not said: it has been, at an earlier reading. */
void trace_hush(struct trace *trace);

/* A regular file, which is read to its end at once; else what comes, comes bit by bit. */
bool trace_is_regular(const struct trace *trace);

/* How many bytes of it have been taken, and there are; 0: nobody knows. */
void trace_position(const struct trace *trace, uint64_t *done, uint64_t *total);

/* Somebody is writing it: the session goes on. */
bool trace_goes_on(const struct trace *trace);

/* Waits until there may be more of it. False: a pipe that has ended, there will not be. */
bool trace_wait(const struct trace *trace);

/* Says how much more was wrong than has been told, and frees it. True if nothing was. */
bool trace_close(struct trace *trace);

#endif
