/*
 * JSON taken apart from left to right, without a tree: for lines of which we know what to expect. Pure; it never reads
 * beyond the text that it was given, whatever that is. The first thing that is wrong is kept, and everything after it
 * fails too: look at json_failed() once, at the end.
 */
#ifndef CLOSETRACE_JSON_H
#define CLOSETRACE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    const char *text, *at, *end;
    char *store, *store_end; /* where strings are unpacked to */
    const char *wrong;       /* what is wrong at `at`, or NULL */
};

/* A piece of text, not NUL-terminated. */
struct json_text {
    const char *start;
    size_t length;
};

/*
 * store: where strings go that json_string() returns; size should be that of the text and one byte more for each
 * string (an unpacked string is never longer than the packed one with its quotes).
 */
void json_init(struct json *json, const char *text, size_t length, char *store, size_t size);

static inline bool json_failed(const struct json *json) {
    return json->wrong != NULL;
}

/* Says what is wrong where it stands now, unless something was wrong before. Returns false. */
bool json_fail(struct json *json, const char *wrong);

/* The next character that is not white space, or 0 at the end. */
char json_peek(struct json *json);

/* Whether the next character is c; then it is taken. json_expect(): it must be. */
bool json_take(struct json *json, char c);
bool json_expect(struct json *json, char c);

/*
 * An object's next member: true, with the key, and its value comes next. False at its end (which is taken), or when
 * something is wrong. first: true before the first member, set to false.
 */
bool json_member(struct json *json, bool *first, struct json_text *key);
/* The same for an array's next item. */
bool json_item(struct json *json, bool *first);

/* A string, unpacked and NUL-terminated, in the store. NULL when it is none. length may be NULL. */
const char *json_string(struct json *json, size_t *length);
/* A number, true, false or null, as it is written. */
bool json_scalar(struct json *json, struct json_text *scalar);
/* Any value, left out. */
bool json_skip(struct json *json);
/* Nothing but white space may follow. */
bool json_end(struct json *json);

#endif
