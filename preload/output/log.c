#define _GNU_SOURCE
#include "log.h"

#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "kernel/libc_real.h"
#include "kernel/process.h"
#include "pure/pack.h"
#include "kernel/seccomp_guard.h"
#include "kernel/stop.h"
#include "session/session.h"
#include "sink.h"

struct settings log_settings;

static uint32_t log_seed;
static const char *const *log_command;
static const char *const *log_rules;
static struct text_style style;

/* dlfcn.h's struct dl_find_object, as far as it is asked for. */
struct found_object {
    unsigned long long flags;
    void *first, *end;
    struct link_map *object;
    void *others[12];
};

/* _dl_find_object() of glibc 2.35 and later: lock-free, async-signal-safe. NULL before: callers stay unnamed. */
static int (*find_object)(void *, struct found_object *);

void log_start(const struct settings *settings, uint32_t seed, const char *const *command,
               const struct text_style *text_style) {
    log_settings = *settings;
    log_seed = seed;
    log_command = command;
    style = *text_style;
    find_object = (int (*)(void *, struct found_object *))real_other("_dl_find_object");
}

void log_name_rules(const char *const *texts) {
    log_rules = texts;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void name_caller(struct event *event, const void *caller) {
    struct found_object found;
    if (!caller || !find_object || find_object((void *)(uintptr_t)caller, &found) != 0)
        return;
    const char *path = found.object->l_name;
    const char *name = path && *path ? base_name(path) : process_program();
    size_t length = strlen(name);
    if (length >= sizeof event->caller_module)
        length = sizeof event->caller_module - 1;
    memcpy(event->caller_module, name, length);
    event->caller_module[length] = '\0';
    event->caller_offset = (uintptr_t)caller - found.object->l_addr;
}

static void name_rule(struct event *event, const struct call *call) {
    if (!call->rule)
        return;
    if (call->rule_failed)
        event->not_injected = call->rule->text;
    else
        event->injected = call->rule->text;
    event->not_injected_why = call->rule_failed;
}

/* delay_exit= is waited for when the event has been written. */
static uint64_t delay_to_come(const struct call *call) {
    enum { MICROSECOND = 1000 };
    return call->rule && !call->rule_failed ? call->rule->delay_exit / MICROSECOND : 0;
}

struct event *log_event(struct scratch *scratch, enum event_op op, const struct call *call) {
    struct event *event = &scratch->event;
    event_init(event, op);
    if (call) {
        event->call = call->name;
        event->time_us = call->begun;
        if (call->done) {
            event->duration_us = call->done > call->begun ? call->done - call->begun : 0;
            event->duration_us += delay_to_come(call);
            event->has |= HAS_DURATION;
        }
        name_caller(event, call->caller);
        name_rule(event, call);
    }
    return event;
}

void log_name_thread(struct event *event) {
    event->pid = process_id();
    event->tid = process_thread_id();
    process_thread_name(event->comm);
}

_Static_assert(sizeof((struct scratch *)NULL)->line >= RENDER_LINE_MAX, "room for a line");

/* The command makes the line; or it is made here. */
static size_t make_line(struct scratch *scratch, bool to_session) {
    size_t length = to_session ? event_pack(&scratch->event, scratch->line, RENDER_LINE_MAX) : 0;
    if (length > 0)
        return length;
    bool json = log_settings.format == FORMAT_JSON || to_session;
    return json ? render_json(&scratch->event, scratch->line, RENDER_LINE_MAX)
                : render_text(&scratch->event, &style, scratch->line, RENDER_LINE_MAX);
}

static bool write_made(struct scratch *scratch) {
    bool to_session = session_is_open();
    size_t length = make_line(scratch, to_session);
    return to_session ? session_put(scratch->line, length) : sink_write(scratch->line, length);
}

/*
 * For another thread that is writing at this moment to come on. One that never does (it was left by a longjmp(), or is
 * ours, interrupted by the handler that we are in) is not waited for for ever. False: it was long enough.
 */
static bool wait_a_moment(int *turn) {
    enum { YIELDS = 100, TURNS = 200 };
    const struct timespec moment = {.tv_nsec = 100000};
    if (*turn < YIELDS)
        probe(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    else
        probe(SYS_nanosleep, (long)&moment, 0, 0, 0, 0, 0);
    return ++*turn < TURNS;
}

static void await_start(struct counters *counters) {
    for (int turn = 0; atomic_load(&counters->framed) == STARTING && wait_a_moment(&turn);)
        STOP("log: awaits the start");
}

/* Whoever is writing an event was before the end. */
static void await_writers(struct counters *counters) {
    for (int turn = 0; atomic_load(&counters->writing) > 0 && wait_a_moment(&turn);)
        STOP("log: awaits who writes");
}

static bool is_under_way(struct counters *counters) {
    int framed = atomic_load(&counters->framed);
    return framed == STARTED || framed == STARTING;
}

/* Not where the process has told of its end meanwhile, and with it of what becomes of another thread's connections. */
static void write_event(struct scratch *scratch, struct counters *counters) {
    await_start(counters);
    atomic_fetch_add(&counters->writing, 1);
    if (is_under_way(counters)) {
        STOP("log: under way, not written");
        atomic_fetch_add(write_made(scratch) ? &counters->events : &counters->lost, 1);
    }
    atomic_fetch_sub(&counters->writing, 1);
}

void log_lost(unsigned count) {
    atomic_fetch_add(&process_counters()->lost, count);
}

struct scratch *log_scratch(void) {
    struct scratch *scratch = scratch_take();
    if (!scratch)
        log_lost(1);
    return scratch;
}

static void make_start(struct scratch *scratch, uint64_t when) {
    struct event *event = log_event(scratch, OP_START, NULL);
    event->time_us = when;
    event->reach = REACH_PRELOAD;
    event->command = log_command;
    event->seed = log_seed;
    event->rules = log_rules;
    log_name_thread(event);
}

static void write_start(struct counters *counters, uint64_t when) {
    int none = NOT_STARTED, starting = STARTING;
    if (!atomic_compare_exchange_strong(&counters->framed, &none, STARTING))
        return;
    STOP("log: starting, not started");
    OWN_SCRATCH *scratch = scratch_take();
    if (scratch) {
        make_start(scratch, when);
        write_made(scratch);
    }
    atomic_compare_exchange_strong(&counters->framed, &starting, STARTED);
}

void log_emit(struct scratch *scratch) {
    struct event *event = &scratch->event;
    unsigned classes = event_classes(event);
    if (classes && !(classes & log_settings.trace) && !event->injected && !event->not_injected)
        return;
    log_name_thread(event);
    if (!conditions_hold(&log_settings.only, event))
        return;
    struct counters *counters = process_counters();
    write_start(counters, event->time_us);
    write_event(scratch, counters);
}

void log_emit_plainly(struct scratch *scratch, bool always) {
    struct counters *counters = process_counters();
    if (!always && !is_under_way(counters))
        return;
    log_name_thread(&scratch->event);
    write_start(counters, scratch->event.time_us);
    write_event(scratch, counters);
}

void log_end(void) {
    struct counters *counters = process_counters();
    int started = STARTED, starting = STARTING, none = NOT_STARTED;
    await_start(counters);
    /* What other threads would still log is not written any more. */
    if (!atomic_compare_exchange_strong(&counters->framed, &started, ENDED) &&
        !atomic_compare_exchange_strong(&counters->framed, &starting, ENDED)) {
        atomic_compare_exchange_strong(&counters->framed, &none, ENDED_UNSTARTED);
        return;
    }
    await_writers(counters);
    OWN_SCRATCH *scratch = scratch_take();
    if (!scratch)
        return;
    struct event *event = log_event(scratch, OP_END, NULL);
    event->time_us = clock_now();
    event->events = atomic_load(&counters->events);
    event->lost = atomic_load(&counters->lost);
    event->asked = atomic_load(&counters->asked);
    event->contradicted = atomic_load(&counters->contradicted);
    log_name_thread(event);
    write_made(scratch);
}

void log_resume(void) {
    int ended = ENDED, unstarted = ENDED_UNSTARTED;
    if (!atomic_compare_exchange_strong(&process_counters()->framed, &ended, STARTED))
        atomic_compare_exchange_strong(&process_counters()->framed, &unstarted, NOT_STARTED);
}
