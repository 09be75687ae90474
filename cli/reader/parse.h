/*
 * A JSON line as the event that it was made from: render_json() of what event_parse() gives is the same line, for
 * everything that render_json() writes. Keys that are not known are left out. Pure.
 */
#ifndef CLOSETRACE_PARSE_H
#define CLOSETRACE_PARSE_H

#include "pure/event.h"
#include "reader/json.h"

enum { SCHEMA_KNOWN = 1 };

/* The event's strings and lists live here: as many bytes for a line of that length. */
#define EVENT_STORE_SIZE(length) ((length) * (1 + sizeof(char *) / 2) + 16 * sizeof(char *))

struct event_store {
    void *memory; /* aligned as malloc() does */
    size_t size;
};

struct event_wrong {
    size_t offset; /* where in the line */
    char message[96];
    bool newer; /* not damaged: from a version of which this one knows nothing */
};

/* False: *wrong says what is. The event points into the store. */
bool event_parse(const char *line, size_t length, struct event *event, const struct event_store *store,
                 struct event_wrong *wrong);

/* The keys that it knows, in the order in which they are written; NULL behind the last. */
const char *event_key(unsigned i);

/* The i-th word that the key's value may be, where it is one of a few; NULL behind the last. */
const char *event_key_word(const char *key, size_t length, unsigned i);

/* Whether the key's value is a number (times too). */
bool event_key_is_number(const char *key, size_t length);

#endif
