/*
 * Events on their way out: completed with who and when, held against the settings, made a line, written. The
 * process's `start` goes before its first event. Async-signal-safe.
 */
#ifndef CLOSETRACE_LOG_H
#define CLOSETRACE_LOG_H

#include "call.h"
#include "pure/render.h"
#include "pure/settings.h"
#include "kernel/scratch.h"

/* The settings in force, from log_start() on. */
extern struct settings log_settings;

/* command: argv, which must outlive the process's events. */
void log_start(const struct settings *settings, uint32_t seed, const char *const *command,
               const struct text_style *text_style);

/* The rules in force, for `start`: NULL at their end. */
void log_name_rules(const char *const *texts);

/* Whether events of that class are wanted at all. */
static inline bool log_wants(unsigned trace_class) {
    return (log_settings.trace & trace_class) != 0;
}

/* The same of an event of that call: one with a fault is always told. */
static inline bool log_wants_of(const struct call *call, unsigned trace_class) {
    return (log_settings.trace & trace_class) != 0 || call->rule;
}

/* Events that cannot be made are counted in `lost`. */
void log_lost(unsigned count);

/* A workspace for an event. NULL: there is no memory at all, and the event is counted as lost. */
struct scratch *log_scratch(void);

/* An empty event in the workspace, of that call. */
struct event *log_event(struct scratch *scratch, enum event_op op, const struct call *call);

/* Fills in pid, tid and comm: for what must know them before log_emit(). */
void log_name_thread(struct event *event);

/* Completes, filters, writes. The event must be the workspace's. */
void log_emit(struct scratch *scratch);

/* An event of no socket, which no condition filters, if the process has had a `start` or always is true. */
void log_emit_plainly(struct scratch *scratch, bool always);

/* It lives on after its `end`. */
void log_resume(void);

/* The process's `end`, if it has had a `start`. */
void log_end(void);

#endif
