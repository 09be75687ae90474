/* One call of the program's, from its hook to its end: what every event of it says. */
#ifndef CLOSETRACE_CALL_H
#define CLOSETRACE_CALL_H

#include "kernel/clock.h"
#include "kernel/process.h"
#include "pure/rule.h"

struct call {
    const char *name;
    const void *caller;      /* the address it returns to, or NULL */
    uint64_t begun, done;    /* microseconds since the Epoch; done 0: not yet */
    const struct rule *rule; /* the fault rule that is carried out on it, or NULL */
    const char *rule_failed; /* or why it could not be */
};

/* What a child does first of all that no fork hook has seen. Set before main. */
extern void (*call_in_unseen_child)(void);

/* At the hook. */
static inline struct call call_entering(const char *name, const void *caller) {
    if (process_fork_unseen())
        call_in_unseen_child();
    return (struct call){.name = name, .caller = caller, .begun = clock_now()};
}

/* It has come back just now, unless its end was noted before. */
static inline struct call call_ended(const struct call *call) {
    struct call ended = *call;
    if (!ended.done)
        ended.done = clock_now();
    return ended;
}

#endif
