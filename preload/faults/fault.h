/*
 * Fault rules in force: which one a call meets, how often, and what is done before and after the call. What becomes of
 * the connection is done by the call paths (closing.c, shutting_down.c, transferring.c, leaving.c), which know the
 * call. Where there are no rules this costs a load and a compare. Async-signal-safe. errno is kept, save where it is
 * said to be set.
 */
#ifndef CLOSETRACE_FAULT_H
#define CLOSETRACE_FAULT_H

#include "output/log.h"
#include "pure/rules.h"
#include "kernel/tcp_socket.h"

/* enum rule_family: those of which there are rules. */
extern unsigned fault_families;

static inline bool fault_armed(unsigned families) {
    return __builtin_expect((fault_families & families) != 0, 0);
}

/*
 * Before main, after the settings: reads the rules, also from files. False: *error says why. Then they are put in
 * force, once everything else is ready.
 */
bool fault_read_rules(const char *text, bool outlives, struct settings_error *error);
struct fault_death {
    void (*comes)(const char *name, const void *caller, int status); /* a signal= will end the process: tell all */
    void (*survived)(void);                                          /* it has not */
};
void fault_start(uint32_t seed, const struct fault_death *death);

/* In a forked child: it counts from 0. */
void fault_forked(void);

/* The process ends: an event a rule, how often it matched and fired here. */
void fault_end(void);

/* A call that rules are held against. */
struct fault_subject {
    enum rule_family family;
    struct call *call;
    int fd;                          /* -1: none */
    int how;                         /* of a shutdown, else -1 */
    const struct identity *identity; /* NULL: of no socket, or of many: */
    int (*socket)(const void *sockets, size_t i, const struct identity **identity); /* the i-th: its descriptor */
    const void *sockets;
    size_t count;
    unsigned with, without; /* only rules that have one of these parts; that have none of those */
};

/*
 * Counts the rules that match; the first that is due and lucky becomes call->rule, and its signal= and delay_enter= are
 * carried out: handlers run, a thread may be cancelled (where the call is a cancellation point), the process may end.
 * False: none.
 */
bool fault_meets(const struct fault_subject *subject);

/* The same without signal= and delay_enter=, for what has no call to be put before. */
const struct rule *fault_choose(const struct fault_subject *subject);

/* Of a call on many sockets: whether its rule, which meets one of them at least, meets this one. */
bool fault_meets_socket(const struct fault_subject *subject, size_t i);

/* The rule could not be carried out: it has not fired, and the event says why. */
void fault_failed(struct call *call, const char *why);

/* For fault_failed(), of a rule that has nothing but then=. */
extern const char fault_no_success[];

/* Whether the call's rule (if any) has the part; whether the program gets another result than the kernel's. */
static inline bool fault_has(const struct call *call, enum rule_part part) {
    return call->rule && !call->rule_failed && rule_has(call->rule, part);
}
static inline bool fault_replaces(const struct call *call) {
    return fault_has(call, PART_ERROR) || fault_has(call, PART_RETVAL);
}
static inline enum rule_way fault_way(const struct call *call) {
    return call->rule && !call->rule_failed ? call->rule->as : WAY_UNSET;
}

/* The event says what the program sees: what the call returned, or what its rule puts in its place. */
void fault_set_result(struct event *event, const struct call *call, long result, int error);

/* What the program sees of a call that returned result: error= sets errno. Also waits for delay_exit=. */
long fault_result(const struct call *call, long result);

/*
 * For calls that need no call path of their own: fault_meets(); and where a rule takes the call's place, the event,
 * true, and *result with errno. Where it does not, fault_result() comes after the call.
 */
bool fault_takes(const struct fault_subject *subject, long *result);

#endif
