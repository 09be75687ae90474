/*
 * Events on their way out: completed with who and when, held against the settings, made a line, written. The
 * process's `start` goes before its first event. Async-signal-safe.
 */
#ifndef CLOSETRACE_LOG_H
#define CLOSETRACE_LOG_H

#include "after_fork.h"
#include "pure/render.h"
#include "pure/rule.h"
#include "pure/settings.h"
#include "kernel/scratch.h"

/* One call of the program's, from its hook to its end. */
struct call {
    const char *name;
    const void *caller;      /* the address it returns to, or NULL */
    uint64_t begun, done;    /* microseconds since the Epoch; done 0: not yet */
    const struct rule *rule; /* the fault rule that is carried out on it, or NULL */
    const char *rule_failed; /* or why it could not be */
};

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

uint64_t log_now(void);

/* At the hook. A child of a fork that nobody told of is noticed here. */
static inline struct call call_entering(const char *name, const void *caller) {
    after_fork_notice();
    return (struct call){.name = name, .caller = caller, .begun = log_now()};
}

/* It has come back just now, unless its end was noted before. */
static inline struct call call_ended(const struct call *call) {
    struct call ended = *call;
    if (!ended.done)
        ended.done = log_now();
    return ended;
}

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
