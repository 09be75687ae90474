#include "reader/json.h"

#include <string.h>

enum { DEPTH_MAX = 64 };

/* NOLINTNEXTLINE(readability-non-const-parameter) it is written to */
void json_init(struct json *json, const char *text, size_t length, char *store, size_t size) {
    *json = (struct json){.text = text, .at = text, .end = text + length, .store = store, .store_end = store + size};
}

bool json_fail(struct json *json, const char *wrong) {
    if (!json->wrong)
        json->wrong = json->at == json->end ? "cut off" : wrong;
    return false;
}

char json_peek(struct json *json) {
    while (json->at < json->end && (*json->at == ' ' || *json->at == '\t' || *json->at == '\r' || *json->at == '\n'))
        json->at++;
    return json->at < json->end && !json->wrong ? *json->at : '\0';
}

bool json_take(struct json *json, char c) {
    if (json_peek(json) != c)
        return false;
    json->at++;
    return true;
}

bool json_expect(struct json *json, char c) {
    return json_take(json, c) || json_fail(json, "not JSON");
}

static bool next_of_list(struct json *json, bool *first, char closing) {
    if (json_failed(json) || json_take(json, closing))
        return false;
    if (!*first && !json_expect(json, ','))
        return false;
    *first = false;
    return true;
}

bool json_item(struct json *json, bool *first) {
    return next_of_list(json, first, ']');
}

/* The key as it is written: none of ours has an escape in it. */
static bool raw_key(struct json *json, struct json_text *key) {
    if (!json_expect(json, '"'))
        return false;
    key->start = json->at;
    while (json->at < json->end && *json->at != '"')
        json->at += *json->at == '\\' && json->end - json->at > 1 ? 2 : 1;
    key->length = (size_t)(json->at - key->start);
    return json_expect(json, '"');
}

bool json_member(struct json *json, bool *first, struct json_text *key) {
    return next_of_list(json, first, '}') && raw_key(json, key) && json_expect(json, ':');
}

static bool store(struct json *json, const char *bytes, size_t length) {
    if ((size_t)(json->store_end - json->store) < length)
        return json_fail(json, "strings too long");
    memcpy(json->store, bytes, length);
    json->store += length;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool four_hex_digits(struct json *json, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++, json->at++) {
        const int digit = json->at < json->end ? hex_digit(*json->at) : -1;
        if (digit < 0)
            return json_fail(json, "not a valid escape");
        *code = *code << 4 | (uint32_t)digit;
    }
    return true;
}

static bool store_code(struct json *json, uint32_t code) {
    if (code < 0x80)
        return store(json, (const char[]){(char)code}, 1);
    if (code < 0x800)
        return store(json, (const char[]){(char)(0xc0 | code >> 6), (char)(0x80 | (code & 0x3f))}, 2);
    if (code < 0x10000)
        return store(
            json,
            (const char[]){(char)(0xe0 | code >> 12), (char)(0x80 | (code >> 6 & 0x3f)), (char)(0x80 | (code & 0x3f))},
            3);
    return store(json,
                 (const char[]){(char)(0xf0 | code >> 18), (char)(0x80 | (code >> 12 & 0x3f)),
                                (char)(0x80 | (code >> 6 & 0x3f)), (char)(0x80 | (code & 0x3f))},
                 4);
}

static bool is_surrogate(uint32_t code) {
    return code >= 0xd800 && code < 0xe000;
}

/* Behind \u. A pair of surrogates is one character; a surrogate alone, and NUL, are none: U+FFFD. */
static bool unicode_escape(struct json *json) {
    uint32_t code, low;
    if (!four_hex_digits(json, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00 && json->end - json->at >= 6 && json->at[0] == '\\' && json->at[1] == 'u') {
        const char *const mark = json->at;
        json->at += 2;
        if (!four_hex_digits(json, &low))
            return false;
        if (low >= 0xdc00 && low < 0xe000)
            return store_code(json, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
        json->at = mark;
    }
    return store_code(json, code == 0 || is_surrogate(code) ? 0xfffd : code);
}

static bool escape(struct json *json) {
    static const char letters[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    const char c = json->at < json->end ? *json->at : '\0';
    const char *letter = c ? strchr(letters, c) : NULL;
    if (!letter && c != 'u')
        return json_fail(json, "not a valid escape");
    json->at++;
    return letter ? store(json, &meant[letter - letters], 1) : unicode_escape(json);
}

/* Up to the next quote or backslash. */
static bool plain_characters(struct json *json) {
    const char *const start = json->at;
    while (json->at < json->end && *json->at != '"' && *json->at != '\\') {
        if ((unsigned char)*json->at < ' ')
            return json_fail(json, "a control character in a string");
        json->at++;
    }
    return store(json, start, (size_t)(json->at - start));
}

const char *json_string(struct json *json, size_t *length) {
    if (!json_expect(json, '"'))
        return NULL;
    char *const unpacked = json->store;
    while (plain_characters(json) && json->at < json->end && *json->at == '\\') {
        json->at++;
        if (!escape(json))
            return NULL;
    }
    if (json_failed(json) || !json_expect(json, '"'))
        return NULL;
    if (length)
        *length = (size_t)(json->store - unpacked);
    return store(json, "", 1) ? unpacked : NULL;
}

static bool ends_scalar(char c) {
    return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word(const struct json_text *scalar, const char *word) {
    return scalar->length == strlen(word) && memcmp(scalar->start, word, scalar->length) == 0;
}

static bool is_number(const struct json_text *scalar) {
    bool digits = false;
    for (size_t i = 0; i < scalar->length; i++) {
        const char c = scalar->start[i];
        digits = digits || (c >= '0' && c <= '9');
        if (!(c >= '0' && c <= '9') && !strchr("+-.eE", c))
            return false;
    }
    return digits;
}

bool json_scalar(struct json *json, struct json_text *scalar) {
    json_peek(json);
    scalar->start = json->at;
    while (json->at < json->end && !ends_scalar(*json->at))
        json->at++;
    scalar->length = (size_t)(json->at - scalar->start);
    if (json_failed(json) || json->at == json->end)
        return json_fail(json, "not a value");
    if (is_word(scalar, "true") || is_word(scalar, "false") || is_word(scalar, "null") || is_number(scalar))
        return true;
    json->at = scalar->start;
    return json_fail(json, "not a value");
}

static bool skip_string(struct json *json) {
    struct json_text text;
    return raw_key(json, &text);
}

static bool skip_nested(struct json *json, int depth);

static bool skip_list(struct json *json, int depth) {
    const bool object = json_take(json, '{');
    bool first = true;
    struct json_text key;
    if (!object)
        json_expect(json, '[');
    while (object ? json_member(json, &first, &key) : json_item(json, &first))
        if (!skip_nested(json, depth))
            return false;
    return !json_failed(json);
}

static bool skip_nested(struct json *json, int depth) {
    struct json_text scalar;
    const char c = json_peek(json);
    if (depth == DEPTH_MAX)
        return json_fail(json, "nested too deeply");
    if (c == '"')
        return skip_string(json);
    if (c == '{' || c == '[')
        return skip_list(json, depth + 1);
    return json_scalar(json, &scalar);
}

bool json_skip(struct json *json) {
    return skip_nested(json, 0);
}

bool json_end(struct json *json) {
    json_peek(json);
    return json->at == json->end || json_fail(json, "more text after the object");
}
