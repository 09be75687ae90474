/*
 * Whether a text is one JSON object (RFC 8259) in one line, a newline at its end, and UTF-8 throughout.
 */
#ifndef JSON_CHECK_H
#define JSON_CHECK_H

#include "pure/utf8.h"

static const char *json_value(const char *at, const char *end);

static inline bool json_is(const char *at, const char *end, char c) {
    return at && at < end && *at == c;
}

static inline bool json_digit(const char *at, const char *end) {
    return at < end && *at >= '0' && *at <= '9';
}

/* NULL: not a string; so with the others. */
static inline const char *json_string(const char *at, const char *end) {
    if (!json_is(at++, end, '"'))
        return NULL;
    while (at < end && *at != '"') {
        uint32_t code;
        const size_t length = utf8_next(at, (size_t)(end - at), &code);
        if (code == UTF8_INVALID || utf8_is_control(code))
            return NULL;
        at += length;
        if (code == '\\') {
            if (at == end || !strchr("\"\\/bfnrtu", *at))
                return NULL;
            if (*at++ == 'u')
                for (int i = 0; i < 4; i++, at++)
                    if (at == end || !strchr("0123456789abcdef", *at))
                        return NULL;
        }
    }
    return at < end ? at + 1 : NULL;
}

static inline const char *json_number(const char *at, const char *end) {
    if (json_is(at, end, '-'))
        at++;
    if (!json_digit(at, end) || (*at == '0' && json_digit(at + 1, end)))
        return NULL;
    while (json_digit(at, end))
        at++;
    if (!json_is(at, end, '.'))
        return at;
    if (!json_digit(++at, end))
        return NULL;
    while (json_digit(at, end))
        at++;
    return at;
}

static inline const char *json_list(const char *at, const char *end, char close, bool members) {
    if (json_is(++at, end, close))
        return at + 1;
    for (;;) {
        if (members) {
            at = json_string(at, end);
            if (!json_is(at, end, ':'))
                return NULL;
            at++;
        }
        at = json_value(at, end);
        if (json_is(at, end, close))
            return at + 1;
        if (!json_is(at, end, ','))
            return NULL;
        at++;
    }
}

static inline const char *json_literal(const char *at, const char *end, const char *word) {
    const size_t length = strlen(word);
    return (size_t)(end - at) >= length && memcmp(at, word, length) == 0 ? at + length : NULL;
}

static inline const char *json_value(const char *at, const char *end) {
    if (!at || at == end)
        return NULL;
    switch (*at) {
    case '{':
        return json_list(at, end, '}', true);
    case '[':
        return json_list(at, end, ']', false);
    case '"':
        return json_string(at, end);
    case 't':
        return json_literal(at, end, "true");
    case 'f':
        return json_literal(at, end, "false");
    default:
        return json_number(at, end);
    }
}

static inline bool is_json_line(const char *text, size_t length) {
    return length > 2 && text[0] == '{' && text[length - 1] == '\n' &&
           json_value(text, text + length - 1) == text + length - 1;
}

#endif
