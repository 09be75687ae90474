/*
 * A line under construction in a buffer of the caller's. Whatever does not fit is left out and `cut` is set; what
 * is there is always whole. Async-signal-safe: no stdio, no malloc, no locale, errno untouched.
 */
#ifndef CLOSETRACE_LINE_H
#define CLOSETRACE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct line {
    char *text;
    size_t size;   /* of the buffer */
    size_t length; /* used */
    bool cut;
};

void line_init(struct line *line, char *buffer, size_t size);

/* Once something was left out, so is whatever follows, until line_back() goes back to a length before it. */
void line_back(struct line *line, size_t length);

/* Keeps that many bytes at the end free, for what must still come. Returns the size to put back into line->size. */
size_t line_reserve(struct line *line, size_t bytes);

/* Each of these is added whole or not at all, save the last two, which add as many whole characters as fit. */

/* A line of a trace is a hundred small pieces: these are part of whoever adds them. */
static inline void line_bytes(struct line *line, const char *bytes, size_t length) {
    if (__builtin_expect(line->cut || length > line->size - line->length, 0)) {
        line->cut = true;
        return;
    }
    if (length > 0)
        memcpy(line->text + line->length, bytes, length);
    line->length += length;
}

static inline void line_char(struct line *line, char c) {
    line_bytes(line, &c, 1);
}

/* as it is */
static inline void line_text(struct line *line, const char *text) {
    line_bytes(line, text, strlen(text));
}

void line_unsigned(struct line *line, uint64_t number);
void line_signed(struct line *line, int64_t number);
void line_hex(struct line *line, uint64_t number); /* without 0x */
/* number with leading zeros up to width digits */
void line_padded(struct line *line, uint64_t number, unsigned width);
/* microseconds as seconds with six decimals */
void line_seconds(struct line *line, uint64_t microseconds);
/* The inside of a JSON string: quotes, backslashes and control characters escaped, what is not UTF-8 as U+FFFD. */
void line_json_escaped(struct line *line, const char *text, size_t length);
/* For a terminal: control characters as \ooo octal (as strace does), what is not UTF-8 as U+FFFD. */
void line_printable(struct line *line, const char *text, size_t length);

#endif
