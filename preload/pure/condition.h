/*
 * Conditions on an event (contract, section 6): lport=8000..8100, raddr=10.0.0.0/8, comm=ngin*,
 * state!=CLOSE_WAIT,LAST_ACK. Pure: no allocation, no I/O, errno untouched. A parsed condition points into the text it
 * was parsed from.
 */
#ifndef CLOSETRACE_CONDITION_H
#define CLOSETRACE_CONDITION_H

#include "complaint.h"
#include "event.h"

enum condition_key {
    KEY_LPORT,
    KEY_RPORT,
    KEY_LADDR,
    KEY_RADDR,
    KEY_FD,
    KEY_ROLE,
    KEY_STATE,
    KEY_REFS,
    KEY_SENT,
    KEY_RECEIVED,
    KEY_UNREAD,
    KEY_IDLE,
    KEY_HOW,
    KEY_COMM,
    KEY_CALL,
    KEY_CALLER,
    KEY_COUNT
};

enum { CONDITIONS_MAX = 16 };

struct condition {
    enum condition_key key;
    bool negated;
    uint64_t first, last; /* numbers, and times in microseconds: an inclusive range */
    struct address address;
    unsigned prefix_bits;
    const char *glob; /* words: not NUL-terminated */
    size_t glob_length;
    const char *others; /* of several values those that were not taken apart, as they were written */
    size_t others_length;
};

struct conditions {
    unsigned count;
    struct condition list[CONDITIONS_MAX];
};

/*
 * One condition, the length bytes at text + offset (offset is only for errors). False: *error says why.
 * A number takes N, FIRST.., FIRST+ (that or more), FIRST..LAST. So does a time, each in seconds or with s, ms, us, ns.
 * STATE, ROLE and HOW take the contract's words, also with '*'; a word that can match none of them is refused
 * (state=ESTABLISH). Of several values, separated by commas, one is enough; negated, none may hold.
 */
bool condition_parse(const char *text, size_t offset, size_t length, struct condition *condition,
                     struct parse_error *error);

/* How far a condition at the beginning of text reaches: up to the next ':' outside brackets, or its end. */
size_t condition_length(const char *text);

/* A list separated by ':', brackets protect the colons of an IPv6 address. An empty text is an empty list. */
bool conditions_parse(const char *text, struct conditions *conditions, struct parse_error *error);

/*
 * A field that the event has not got fulfils no condition, and every negated one. refs is refs_before; state is
 * state_before, or state_after where there is none (eof).
 */
bool condition_holds(const struct condition *condition, const struct event *event);
bool conditions_hold(const struct conditions *conditions, const struct event *event);

/* "lport", ... for documentation, completion and error messages. */
const char *condition_key_name(enum condition_key key);

/* How far the first of several values reaches: up to the next comma, or the end. */
size_t value_length(const char *values, size_t length);

/* Whether the length bytes at text match the glob, in which '*' stands for any run of characters. */
bool glob_match(const char *glob, size_t glob_length, const char *text, size_t length);

#endif
