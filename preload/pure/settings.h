/*
 * The settings (contract, section 2), read from an environment once. Pure: no allocation, no file is opened
 * here, errno untouched; what it keeps points into the environment's own strings, which must outlive it
 * (the library copies them first: a program may change its environment).
 */
#ifndef CLOSETRACE_SETTINGS_H
#define CLOSETRACE_SETTINGS_H

#include "condition.h"

enum trace_class {
    TRACE_OPEN = 1 << 0,
    TRACE_REFS = 1 << 1,
    TRACE_END = 1 << 2,
    TRACE_EOF = 1 << 3,
    TRACE_DATA = 1 << 4,
};

enum settings_format { FORMAT_TEXT, FORMAT_JSON };

struct settings {
    const char *output; /* NULL: stderr; else a file name, %p and %% not yet replaced */
    enum settings_format format;
    unsigned trace; /* enum trace_class */
    struct conditions only;
    bool seed_given;
    uint32_t seed;
    bool verify;
    const char *session; /* where the command's memory is (session_layout.h), or NULL: alone */
    const char *inject;  /* the fault rules' text, which rules_read() reads; NULL: none */
};

/* What is wrong with a setting: variable, its text, and where and why. */
struct settings_error {
    const char *variable; /* ends at NUL or '=': an unknown one is the environment's own entry, as is its text */
    const char *text;
    const char *place; /* "FILE:LINE" where the text is a line of a file, else NULL */
    struct parse_error parse;
};

/*
 * A setting that is absent or empty has its default; only an empty CLOSETRACE_OUTPUT is an error (a file was meant).
 * Unknown CLOSETRACE_ variables are errors too, with the nearest name. Of two entries of a name the first counts.
 * CLOSETRACE_INJECT is only kept: its rules are read by rules_read(), which may have to read a file.
 */
bool settings_read(const char *const *environment, struct settings *settings, struct settings_error *error);

/*
 * The one line (and the caret's) that tells a user of a bad setting:
 *   closetrace: CLOSETRACE_TRACE: unknown event class "opne": open, refs, ... all or none (did you mean open?)
 *     open,opne
 *          ^
 * What is not printable ASCII is shown as \ooo, so that the caret stands where it should; of a long text only the
 * surroundings of the caret are shown. Returns the length, at most size, newline included.
 */
size_t settings_error_render(const struct settings_error *error, char *buffer, size_t size);

/* "CLOSETRACE_OUTPUT" ..., those that are for users; "open" ...; NULL beyond the last. */
const char *settings_name(unsigned i);
const char *settings_class_name(unsigned i);

/*
 * The classes of events that an op belongs to; an op with a verdict belongs to TRACE_END as well. 0: always logged.
 * A write that failed belongs to TRACE_EOF too, unless it need only be tried again (EAGAIN, EINTR).
 */
unsigned event_classes(const struct event *event);

/* output with %p and %% replaced. Returns the length, or 0 if it does not fit into size. */
size_t settings_output_path(const char *output, int pid, char *buffer, size_t size);

#endif
