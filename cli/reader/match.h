/*
 * KEY=VALUE and KEY!=VALUE as closetrace grep has them: the conditions of fault rules (pure/condition.h), and beside
 * them every key of a JSON line, with the same lists of values: fin=sent,queued. Pure; a parsed match points into the
 * text that it was parsed from.
 */
#ifndef CLOSETRACE_MATCH_H
#define CLOSETRACE_MATCH_H

#include "pure/condition.h"
#include "reader/json.h"

struct match {
    bool on_event; /* by the condition; else by the line's own member */
    struct condition condition;
    struct json_text key, value;
    bool negated, is_range, is_list; /* is_list: of several values, of which one is enough */
    long double first, last;
};

/* False: *error says where in the text and why. */
bool match_parse(const char *text, struct match *match, struct parse_error *error);

/*
 * Whether it holds of the event and the line that it was read from. Of a list or an object one value in it is enough.
 * A key that the line has not got fulfils only a negated one. store: room for one unpacked string of the line's length.
 */
bool match_holds(const struct match *match, const struct event *event, const struct json_text *line, char *store,
                 size_t store_size);

/* Whether all of them hold. */
bool matches_hold(const struct match *matches, unsigned count, const struct event *event, const struct json_text *line);

/* The i-th key, or NULL behind the last; each once. */
const char *match_key(unsigned i);

#endif
