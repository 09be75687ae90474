/*
 * An event as one line, with its newline. Pure: the same event gives the same line, whoever asks (the library or
 * the command). Async-signal-safe. Returns the length, at most size. A line never grows over size: holders and
 * the words of a command that do not fit are left out, and the rest is still a whole line (a whole JSON object).
 */
#ifndef CLOSETRACE_RENDER_H
#define CLOSETRACE_RENDER_H

#include "event.h"

#ifndef CLOSETRACE_VERSION
#define CLOSETRACE_VERSION "0.1.0"
#endif

/* A write of at most PIPE_BUF (4096) bytes to a pipe is never mixed with another's: pipe(7). */
enum { RENDER_LINE_MAX = 4095 };

struct text_style {
    bool color;         /* verdicts in colour, with ECMA-48 escapes */
    int32_t utc_offset; /* seconds east of Greenwich, for the time of day */
};

size_t render_json(const struct event *event, char *buffer, size_t size);
size_t render_text(const struct event *event, const struct text_style *style, char *buffer, size_t size);

#endif
