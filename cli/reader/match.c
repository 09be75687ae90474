#include "reader/match.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pure/complaint.h"
#include "pure/line.h"
#include "reader/parse.h"

static unsigned count_event_keys(void) {
    unsigned count = 0;
    while (event_key(count))
        count++;
    return count;
}

/* All of them: those of the conditions first. */
static const char *key_at(unsigned i) {
    if (i < KEY_COUNT)
        return condition_key_name((enum condition_key)i);
    return event_key(i - KEY_COUNT);
}

static unsigned key_count(void) {
    return KEY_COUNT + count_event_keys();
}

static unsigned find_key(const struct json_text *key) {
    for (unsigned i = 0; i < key_count(); i++)
        if (strlen(key_at(i)) == key->length && memcmp(key_at(i), key->start, key->length) == 0)
            return i;
    return key_count();
}

static bool complain_of_key(const struct json_text *key, struct parse_error *error) {
    struct line message;
    const char *nearest = nearest_word(key->start, key->length, key_at, key_count());
    complain_about(&message, error, 0, "no such key: ");
    complaint_quote(&message, key->start, key->length);
    if (nearest) {
        line_text(&message, " (did you mean ");
        line_text(&message, nearest);
        line_text(&message, "?)");
    } else
        line_text(&message, "; closetrace grep --help lists them");
    return complain(&message, error);
}

static const char *const truths[] = {"true", "false"};
static struct json_text key_of_words; /* for word_at(), which takes no more than a number */

static bool is_bool_key(const struct json_text *key) {
    static const char *const keys[] = {"verified", "refs_partial", "used", "possible", "fired_nowhere"};
    for (unsigned i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strlen(keys[i]) == key->length && memcmp(keys[i], key->start, key->length) == 0)
            return true;
    return false;
}

static const char *word_at(unsigned i) {
    if (is_bool_key(&key_of_words))
        return i < 2 ? truths[i] : NULL;
    return event_key_word(key_of_words.start, key_of_words.length, i);
}

/* A value that can be none of the key's words would never match, and say nothing of it. */
static bool word_is_possible(const struct match *match, struct parse_error *error) {
    unsigned count = 0;
    bool possible = false;
    key_of_words = match->key;
    for (const char *word; (word = word_at(count)); count++)
        possible |= glob_match(match->value.start, match->value.length, word, strlen(word));
    if (possible || count == 0)
        return true;
    return complain_of_word(error, (size_t)(match->value.start - match->key.start),
                            "no such value:", match->value.start, match->value.length, word_at, count);
}

static bool number_at(const char **at, const char *end, long double *number) {
    char text[48], *behind;
    size_t length = 0;
    while (*at + length < end && length < sizeof text - 1 && strchr("0123456789-", (*at)[length]))
        length++;
    if (*at + length + 1 < end && (*at)[length] == '.' && (*at)[length + 1] != '.') {
        length++;
        while (*at + length < end && length < sizeof text - 1 && strchr("0123456789", (*at)[length]))
            length++;
    }
    memcpy(text, *at, length);
    text[length] = '\0';
    *number = strtold(text, &behind);
    *at += length;
    return length > 0 && *behind == '\0';
}

/* N, N+, N.., N..M; anything else is text. */
static void find_range(struct match *match) {
    const char *at = match->value.start;
    const char *const end = at + match->value.length;
    match->is_range = number_at(&at, end, &match->first);
    match->last = match->first;
    if (!match->is_range || at == end)
        return;
    match->last = INFINITY;
    if (end - at == 1 && *at == '+')
        return;
    match->is_range = end - at >= 2 && memcmp(at, "..", 2) == 0;
    at += 2;
    if (match->is_range && at < end)
        match->is_range = number_at(&at, end, &match->last) && at == end;
}

static bool value_is_possible(const struct match *match, struct parse_error *error) {
    const size_t offset = (size_t)(match->value.start - match->key.start);
    if (match->value.length == 0)
        return complain_plainly(error, offset, "a value is missing (* stands for any)");
    if (!match->is_range && event_key_is_number(match->key.start, match->key.length))
        return complain_plainly(error, offset, "expected a number: N, N+ or FIRST..LAST");
    return word_is_possible(match, error);
}

/* The value at *at of the list, as a match of its own; *at goes on to the next. False: there is none. */
static bool next_value(const struct match *match, size_t *at, struct match *one) {
    if (*at > match->value.length)
        return false;
    *one = *match;
    one->value.start += *at;
    one->value.length = value_length(one->value.start, match->value.length - *at);
    *at += one->value.length + 1;
    find_range(one);
    return true;
}

static bool values_are_possible(const struct match *match, struct parse_error *error) {
    struct match one;
    for (size_t at = 0; next_value(match, &at, &one);)
        if (!value_is_possible(&one, error))
            return false;
    return true;
}

static bool complain_of_form(size_t offset, struct parse_error *error) {
    return complain_plainly(error, offset, "expected KEY=VALUE or KEY!=VALUE");
}

bool match_parse(const char *text, struct match *match, struct parse_error *error) {
    const size_t length = strlen(text);
    memset(match, 0, sizeof *match);
    match->key = (struct json_text){text, strcspn(text, "!=")};
    const char *at = text + match->key.length;
    match->negated = *at == '!';
    at += match->negated;
    if (match->key.length == 0 || *at != '=')
        return complain_of_form((size_t)(at - text), error);
    const unsigned key = find_key(&match->key);
    if (key == key_count())
        return complain_of_key(&match->key, error);
    match->on_event = key < KEY_COUNT;
    if (match->on_event)
        return condition_parse(text, 0, length, &match->condition, error);
    match->value = (struct json_text){at + 1, length - (size_t)(at + 1 - text)};
    match->is_list = value_length(match->value.start, match->value.length) < match->value.length;
    find_range(match);
    return values_are_possible(match, error);
}

static bool number_of(const struct json_text *scalar, long double *number) {
    char text[48], *behind;
    if (scalar->length >= sizeof text)
        return false;
    memcpy(text, scalar->start, scalar->length);
    text[scalar->length] = '\0';
    *number = strtold(text, &behind);
    return *behind == '\0';
}

static bool value_fits(const struct match *match, const struct json_text *scalar) {
    long double number;
    if (match->is_range && number_of(scalar, &number))
        return number >= match->first && number <= match->last;
    return glob_match(match->value.start, match->value.length, scalar->start, scalar->length);
}

/* The whole counts too, so that a text with a comma in it is found. */
static bool scalar_holds(const struct match *match, const struct json_text *scalar) {
    struct match one;
    if (value_fits(match, scalar))
        return true;
    for (size_t at = 0; match->is_list && next_value(match, &at, &one);)
        if (value_fits(&one, scalar))
            return true;
    return false;
}

static bool value_holds(const struct match *match, struct json *json);

static bool list_holds(const struct match *match, struct json *json, bool object) {
    struct json_text key;
    bool first = true, holds = false;
    json->at++;
    while (!holds && (object ? json_member(json, &first, &key) : json_item(json, &first)))
        holds = value_holds(match, json);
    return holds;
}

/* One level of lists and one of objects in it: lines have no more. */
static bool value_holds(const struct match *match, struct json *json) {
    struct json_text scalar;
    const char c = json_peek(json);
    if (c == '{' || c == '[')
        return list_holds(match, json, c == '{');
    if (c == '"')
        return (scalar.start = json_string(json, &scalar.length)) && scalar_holds(match, &scalar);
    return json_scalar(json, &scalar) && scalar_holds(match, &scalar);
}

static bool member_holds(const struct match *match, struct json *json) {
    struct json_text key;
    bool first = true;
    json_expect(json, '{');
    while (json_member(json, &first, &key)) {
        if (key.length == match->key.length && memcmp(key.start, match->key.start, key.length) == 0)
            return value_holds(match, json);
        json_skip(json);
    }
    return false;
}

bool match_holds(const struct match *match, const struct event *event, const struct json_text *line, char *store,
                 size_t store_size) {
    struct json json;
    if (match->on_event)
        return condition_holds(&match->condition, event);
    json_init(&json, line->start, line->length, store, store_size);
    return member_holds(match, &json) != match->negated;
}

/* The conditions' keys are line keys too: those are left out the second time. */
const char *match_key(unsigned i) {
    for (unsigned at = 0; at < key_count(); at++) {
        const struct json_text key = {key_at(at), strlen(key_at(at))};
        if (find_key(&key) == at && i-- == 0)
            return key_at(at);
    }
    return NULL;
}

bool matches_hold(const struct match *matches, unsigned count, const struct event *event,
                  const struct json_text *line) {
    static char store[1 << 16];
    for (unsigned i = 0; i < count; i++)
        if (!match_holds(&matches[i], event, line, store, sizeof store))
            return false;
    return true;
}
