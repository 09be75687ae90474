#include "unreached.h"

#include <string.h>

#include "kernel/clock.h"
#include "terminal/say.h"

enum { NAMES_MAX = 64 };

struct program {
    const struct unreached *first;
    unsigned count;
};

/* Its place among those that were met before, or a new one; NULL: there are too many. */
static struct program *program_of(struct program programs[NAMES_MAX], const struct unreached *unreached) {
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        if (!programs[i].first)
            programs[i].first = unreached;
        if (strcmp(programs[i].first->name, unreached->name) == 0)
            return &programs[i];
    }
    return NULL;
}

void unreached_say(const struct processes *processes, bool (*has_events)(int pid, const void *context),
                   const void *context) {
    struct program programs[NAMES_MAX] = {0}, *program;
    unsigned more = processes->unreached_more;
    for (unsigned i = 0; i < processes->unreached_count; i++) {
        const struct unreached *unreached = &processes->unreached[i];
        if (has_events(unreached->pid, context))
            continue;
        if ((program = program_of(programs, unreached)))
            program->count++;
        else
            more++;
    }
    for (program = programs; program < programs + NAMES_MAX && program->first; program++)
        say("closetrace: %s (process %d%s) %s: what it did is not in the trace", program->first->name,
            program->first->pid, program->count > 1 ? " and others" : "",
            program->first->passed_by ? "makes its system calls without the library" : "ran without the library");
    if (more)
        say("closetrace: %u more processes are not in the trace", more);
}

void unreached_log(const struct processes *processes, bool (*has_events)(int pid, const void *context),
                   const void *context, struct drain *drain) {
    for (unsigned i = 0; i < processes->unreached_count; i++) {
        const struct unreached *unreached = &processes->unreached[i];
        struct event event;
        if (has_events(unreached->pid, context))
            continue;
        event_init(&event, OP_UNSEEN);
        event.time_us = clock_now();
        event.pid = event.tid = unreached->pid;
        event.reach = unreached->reach;
        memcpy(event.comm, unreached->name, strnlen(unreached->name, COMM_SIZE));
        drain_event(drain, &event);
    }
}
