/*
 * One fault rule (contract, section 6): close:delay_enter=200ms:when=3+. Pure: no allocation, no I/O, errno untouched.
 * A parsed rule points into the text it was parsed from.
 */
#ifndef CLOSETRACE_RULE_H
#define CLOSETRACE_RULE_H

#include "condition.h"

/* What calls have in common; a set of them is a mask. */
enum rule_family {
    RULE_CLOSE = 1 << 0,
    RULE_SHUTDOWN = 1 << 1,
    RULE_WRITE = 1 << 2,
    RULE_READ = 1 << 3,
    RULE_CONNECT = 1 << 4,
    RULE_ACCEPT = 1 << 5,
    RULE_EXIT = 1 << 6,
    RULE_FORK = 1 << 7,
    RULE_DUP = 1 << 8,
};

/* The parts that a rule may have. Which of them it has is a mask of 1 << part. */
enum rule_part {
    PART_ERROR,
    PART_RETVAL,
    PART_SIGNAL,
    PART_DELAY_ENTER,
    PART_DELAY_EXIT,
    PART_WHEN,
    PART_SCOPE,
    PART_PROB,
    PART_AS,
    PART_THEN,
    PART_HOLD,
    PART_SHORT,
    PART_LINGER,
    PART_LINGER2,
    PART_COUNT
};

/* What is done to the connection, instead of the call (as=) or after it (then=). */
enum rule_way { WAY_UNSET, WAY_SHUT_RD, WAY_SHUT_WR, WAY_SHUT_RDWR, WAY_CLOSE, WAY_RST, WAY_HOLD, WAY_NONE, WAY_COUNT };

enum rule_scope { SCOPE_PROCESS, SCOPE_THREAD, SCOPE_CONNECTION, SCOPE_SESSION, SCOPE_COUNT };

enum { RULE_NAMES_MAX = 16, RULE_ERRNO_MAX = 4095, RULE_SIGNAL_MAX = 64 };

struct rule_call {
    const char *name; /* of a function, as events have it in `call` */
    enum rule_family family;
};

struct rule {
    const char *text; /* the whole rule */
    unsigned families;
    unsigned name_count; /* single functions, of families that are not named whole */
    const struct rule_call *names[RULE_NAMES_MAX];
    unsigned parts;
    int error;
    long retval;
    int signal;
    uint64_t delay_enter, delay_exit; /* nanoseconds */
    uint64_t first, last, step;       /* when */
    enum rule_scope scope;
    uint64_t chance; /* prob, in parts of RULE_CERTAIN */
    enum rule_way as, then;
    uint64_t hold;       /* nanoseconds */
    uint64_t most;       /* short: bytes */
    int linger, linger2; /* seconds */
    struct conditions conditions;
};

#define RULE_CERTAIN (UINT64_C(1) << 32)

static inline bool rule_has(const struct rule *rule, enum rule_part part) {
    return rule->parts & 1U << part;
}

/*
 * The rule is all of text, which may begin with inject= or fault= as strace's expressions do. False: *error says why.
 * outlives: whether somebody can hold a connection beyond the process's end (exit:as=HOLD).
 */
bool rule_parse(const char *text, bool outlives, struct rule *rule, struct parse_error *error);

/* shutdown()'s second argument for WAY_SHUT_RD, WAY_SHUT_WR, WAY_SHUT_RDWR. */
static inline int rule_way_how(enum rule_way way) {
    return (int)way - WAY_SHUT_RD;
}

/* Whether it names a call of that family and name (NULL: none of its functions, by number). Conditions apart. */
bool rule_names(const struct rule *rule, enum rule_family family, const char *call);

/* All families of which it names at least one function. */
unsigned rule_families(const struct rule *rule);

/* Whether the count-th match (from 1 on) is one of those that when= names. */
bool rule_is_due(const struct rule *rule, uint64_t count);

/* Whether prob= lets it fire: the same for the same seed, rule, scope and count. */
bool rule_is_lucky(const struct rule *rule, uint32_t seed, uint64_t count);

/* "close" ..., NULL beyond the last; "error" ...; "SHUT_WR" ...; "process" ... */
const char *rule_family_name(unsigned i);
const char *rule_part_name(enum rule_part part);
const char *rule_way_name(enum rule_way way);
const char *rule_scope_name(enum rule_scope scope);

/* A function by its name; NULL: there is none of that name in any family. And the i-th; NULL beyond the last. */
const struct rule_call *rule_call_find(const char *name, size_t length);
const struct rule_call *rule_call_at(unsigned i);

/* What goes together, for the manual: the families that take the part, or as= this way; whether then= takes the way. */
unsigned rule_part_families(enum rule_part part);
unsigned rule_way_families(enum rule_way way);
bool rule_way_comes_after(enum rule_way way);

/* The i-th two parts that exclude each other; NULL beyond the last. */
const enum rule_part *rule_pair(unsigned i);

/*
 * Holds a rule whose parts are all read against what goes together. offsets: where each part stands in the text.
 * Made for rule_parse().
 */
bool rule_check(const struct rule *rule, bool outlives, const size_t offsets[PART_COUNT], struct parse_error *error);

#endif
