#define _GNU_SOURCE
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "fault_count.h"
#include "kernel/clock.h"
#include "kernel/libc_real.h"
#include "kernel/process.h"
#include "kernel/regular_file.h"
#include "kernel/seccomp_guard.h"
#include "kernel/signals.h"
#include "kernel/thread.h"
#include "output/event_socket.h"
#include "pure/names.h"
#include "refs/fd_table.h"
#include "refs/references.h"
#include "refs/standing.h"

unsigned fault_families;
const char fault_no_success[] = "the call failed";

static struct rules rules;
static struct fault_death death;
static uint32_t fault_seed;

/* What an event without such facts need not be asked for. */
enum {
    CONVERTS = 1U << PART_AS | 1U << PART_THEN | 1U << PART_LINGER | 1U << PART_LINGER2,
    CANCELLATION_POINTS = RULE_CLOSE | RULE_WRITE | RULE_READ | RULE_CONNECT | RULE_ACCEPT,
};

bool fault_read_rules(const char *text, bool outlives, struct settings_error *error) {
    error->variable = "CLOSETRACE_INJECT";
    return rules_read(text, outlives, regular_file_read, &rules, error);
}

void fault_start(uint32_t seed, const struct fault_death *told) {
    if (rules.count == 0)
        return;
    death = *told;
    fault_seed = seed;
    fault_count_start();
    log_name_rules(rules.texts);
    fault_families = rules_families(&rules);
}

void fault_forked(void) {
    if (rules.count > 0)
        fault_count_forked();
}

static unsigned number_of(const struct rule *rule) {
    return (unsigned)(rule - rules.list);
}

void fault_end(void) {
    bool concerned = table_end() > 0;
    OWN_SCRATCH *scratch = rules.count > 0 ? scratch_take() : NULL;
    if (!scratch)
        return;
    for (unsigned i = 0; i < rules.count; i++) {
        struct fault_counts counts = fault_count_of(i);
        struct event *event = log_event(scratch, OP_RULE, NULL);
        event->time_us = clock_now();
        event->rule = rules.texts[i];
        event->matched = counts.matched;
        event->fired = counts.fired;
        event->fired_nowhere = !counts.fired_anywhere;
        log_emit_plainly(scratch, concerned);
    }
}

static bool asks_for(const struct rule *rule, unsigned keys) {
    for (unsigned i = 0; i < rule->conditions.count; i++)
        if (keys & 1U << rule->conditions.list[i].key)
            return true;
    return false;
}

static void set_standing_facts(const struct fault_subject *subject, const struct rule *rule, struct scratch *scratch) {
    enum { STANDING = 1 << KEY_STATE | 1 << KEY_SENT | 1 << KEY_RECEIVED | 1 << KEY_UNREAD | 1 << KEY_IDLE };
    struct standing standing;
    struct references references;
    if (asks_for(rule, STANDING)) {
        standing_of(subject->fd, subject->identity, false, &standing);
        event_set_standing(&scratch->event, &standing);
        scratch->event.has |= HAS_IDLE; /* also a short one */
        scratch->event.idle_us = standing.idle_us;
    }
    if (asks_for(rule, 1U << KEY_REFS)) {
        references_count(socket_inode(subject->fd), subject->identity->cookie, scratch, &references);
        references_note(&references, 0, &scratch->event);
    }
}

static bool conditions_meet(const struct rule *rule, const struct fault_subject *subject) {
    if (rule->conditions.count == 0)
        return true;
    OWN_SCRATCH *scratch = scratch_take();
    if (!scratch)
        return false;
    struct event *event = log_event(scratch, OP_CLOSE, subject->call);
    log_name_thread(event);
    event_set_socket(event, subject->fd, subject->identity);
    if (subject->how >= 0) {
        event->has |= HAS_HOW;
        event->how = subject->how;
    }
    if (subject->identity)
        set_standing_facts(subject, rule, scratch);
    return conditions_hold(&rule->conditions, event);
}

/* A listener, or a socket that has no peer yet, cannot be ended otherwise. */
static bool is_connection(const struct identity *identity) {
    return identity && !address_is_unspecified(&identity->remote);
}

static bool meets_socket(const struct rule *rule, const struct fault_subject *subject, size_t i) {
    struct fault_subject one = *subject;
    one.fd = subject->socket(subject->sockets, i, &one.identity);
    return (!(rule->parts & CONVERTS) || is_connection(one.identity)) && conditions_meet(rule, &one);
}

bool fault_meets_socket(const struct fault_subject *subject, size_t i) {
    return meets_socket(subject->call->rule, subject, i);
}

static bool meets_any(const struct rule *rule, const struct fault_subject *subject) {
    for (size_t i = 0; i < subject->count; i++)
        if (meets_socket(rule, subject, i))
            return true;
    return false;
}

static bool matches(const struct rule *rule, const struct fault_subject *subject) {
    if (!rule_names(rule, subject->family, subject->call->name) || (rule->parts & subject->without) ||
        (subject->with && !(rule->parts & subject->with)))
        return false;
    if (subject->socket)
        return meets_any(rule, subject);
    if ((rule->parts & CONVERTS) && !is_connection(subject->identity))
        return false;
    return conditions_meet(rule, subject);
}

const struct rule *fault_choose(const struct fault_subject *subject) {
    const struct rule *chosen = NULL;
    uint64_t cookie = subject->identity ? subject->identity->cookie : 0;
    for (unsigned i = 0; i < rules.count; i++) {
        const struct rule *rule = &rules.list[i];
        if (!matches(rule, subject))
            continue;
        uint64_t count = fault_count_match(i, rule->scope, cookie);
        if (chosen || !rule_is_due(rule, count) || !rule_is_lucky(rule, fault_seed, count))
            continue;
        fault_count_fired(i, 1);
        chosen = rule;
    }
    return chosen;
}

void fault_failed(struct call *call, const char *why) {
    if (call->rule_failed)
        return;
    fault_count_fired(number_of(call->rule), -1);
    call->rule_failed = why;
}

/*
 * Waits, whatever signals come: their handlers run, and it goes on. In libc's call, which is a cancellation point, or
 * in one of our own. False: a sandbox does not let us.
 */
static bool wait_for(uint64_t nanoseconds, bool cancellable) {
    const uint64_t end = clock_running() + nanoseconds;
    const struct timespec until = {.tv_sec = (time_t)(end / CLOCK_SECOND), .tv_nsec = (long)(end % CLOCK_SECOND)};
    long result;
    cancellable = cancellable && libc_nanosleep && !sandbox_up && !process_is_borrowed();
    do
        result = cancellable ? -libc_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)
                             : probe(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&until, 0, 0, 0);
    while (result == -EINTR);
    return result == 0;
}

static enum event_op op_of(enum rule_family family) {
    switch (family) {
    case RULE_CLOSE:
        return OP_CLOSE;
    case RULE_SHUTDOWN:
        return OP_SHUTDOWN;
    case RULE_WRITE:
        return OP_WRITE;
    case RULE_READ:
        return OP_READ;
    case RULE_CONNECT:
        return OP_CONNECT;
    case RULE_ACCEPT:
        return OP_ACCEPT;
    case RULE_EXIT:
        return OP_EXIT;
    case RULE_FORK:
        return OP_FORK;
    default:
        return OP_DUP;
    }
}

/* The event of a call that is not made. */
static void tell(const struct fault_subject *subject, bool returns) {
    OWN_SCRATCH *scratch = log_scratch();
    if (!scratch)
        return;
    struct call ended = call_ended(subject->call);
    struct event *event = log_event(scratch, op_of(subject->family), &ended);
    event_set_socket(event, subject->fd, subject->identity);
    if (returns)
        fault_set_result(event, subject->call, 0, 0);
    log_emit(scratch);
}

/* To this thread, as if it had raised it. Where the process dies of it, all that there is to tell is told before. */
static void deliver_signal(const struct fault_subject *subject) {
    int signal = subject->call->rule->signal;
    bool fatal = signal == SIGKILL || (signal_ends_process(signal) && !signal_is_blocked(signal) &&
                                       signal_disposition(signal) == DISPOSITION_DEFAULT);
    if (fatal) {
        tell(subject, false);
        death.comes(signal_name(signal), subject->call->caller, -1);
    }
    if (probe(SYS_tgkill, process_id(), process_thread_id(), signal, 0, 0, 0) < 0)
        fault_failed(subject->call, "the signal cannot be sent");
    if (fatal)
        death.survived();
}

static void enter_late(struct call *call, bool cancellable) {
    if (!wait_for(call->rule->delay_enter, cancellable))
        fault_failed(call, "a sandboxed program cannot be delayed");
}

bool fault_meets(const struct fault_subject *subject) {
    struct call *call = subject->call;
    call->rule = fault_choose(subject);
    if (!call->rule)
        return false;
    if (rule_has(call->rule, PART_SIGNAL))
        deliver_signal(subject);
    if (rule_has(call->rule, PART_DELAY_ENTER))
        enter_late(call, subject->family & CANCELLATION_POINTS);
    return true;
}

void fault_set_result(struct event *event, const struct call *call, long result, int error) {
    if (fault_has(call, PART_ERROR))
        event_set_result(event, -1, call->rule->error);
    else if (fault_has(call, PART_RETVAL))
        event_set_result(event, call->rule->retval, 0);
    else
        event_set_result(event, result, error);
}

long fault_result(const struct call *call, long result) {
    if (__builtin_expect(!call->rule, 1))
        return result;
    if (fault_has(call, PART_DELAY_EXIT))
        wait_for(call->rule->delay_exit, false);
    if (fault_has(call, PART_ERROR)) {
        error_set(call->rule->error);
        return -1;
    }
    return fault_has(call, PART_RETVAL) ? call->rule->retval : result;
}

bool fault_takes(const struct fault_subject *subject, long *result) {
    if (!fault_meets(subject) || !fault_replaces(subject->call))
        return false;
    tell(subject, true);
    *result = fault_result(subject->call, 0);
    return true;
}
