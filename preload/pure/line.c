#include "line.h"

#include <string.h>

#include "utf8.h"

enum { DIGITS_MAX = 20 };

void line_init(struct line *line, char *buffer, size_t size) {
    line->text = buffer;
    line->size = size;
    line->length = 0;
    line->cut = false;
}

void line_back(struct line *line, size_t length) {
    line->length = length;
    line->cut = false;
}

size_t line_reserve(struct line *line, size_t bytes) {
    const size_t size = line->size;
    line->size = size - line->length > bytes ? size - bytes : line->length;
    return size;
}

void line_bytes(struct line *line, const char *bytes, size_t length) {
    if (line->cut || length > line->size - line->length) {
        line->cut = true;
        return;
    }
    if (length > 0)
        memcpy(line->text + line->length, bytes, length);
    line->length += length;
}

void line_char(struct line *line, char c) {
    line_bytes(line, &c, 1);
}

void line_text(struct line *line, const char *text) {
    line_bytes(line, text, strlen(text));
}

/* The digits fill the end of the array; returns how many there are, at least width. */
static unsigned digits_of(char digits[DIGITS_MAX], uint64_t number, unsigned base, unsigned width) {
    unsigned count = 0;
    do {
        digits[DIGITS_MAX - ++count] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0 || (count < width && count < DIGITS_MAX));
    return count;
}

static void line_number(struct line *line, uint64_t number, unsigned base, unsigned width) {
    char digits[DIGITS_MAX];
    const unsigned count = digits_of(digits, number, base, width);
    line_bytes(line, digits + DIGITS_MAX - count, count);
}

void line_unsigned(struct line *line, uint64_t number) {
    line_number(line, number, 10, 1);
}

void line_signed(struct line *line, int64_t number) {
    const size_t mark = line->length;
    if (number < 0)
        line_char(line, '-');
    line_unsigned(line, number < 0 ? -(uint64_t)number : (uint64_t)number);
    if (line->cut)
        line->length = mark;
}

void line_hex(struct line *line, uint64_t number) {
    line_number(line, number, 16, 1);
}

void line_padded(struct line *line, uint64_t number, unsigned width) {
    line_number(line, number, 10, width);
}

void line_seconds(struct line *line, uint64_t microseconds) {
    const size_t mark = line->length;
    line_unsigned(line, microseconds / 1000000);
    line_char(line, '.');
    line_padded(line, microseconds % 1000000, 6);
    if (line->cut)
        line->length = mark;
}

static char json_short_escape(uint32_t code) {
    switch (code) {
    case '"':
    case '\\':
        return (char)code;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static void json_character(struct line *line, const char *bytes, size_t length, uint32_t code) {
    const char letter = json_short_escape(code);
    if (letter)
        line_bytes(line, (const char[]){'\\', letter}, 2);
    else if (utf8_is_control(code)) {
        const char hex[] = "0123456789abcdef";
        line_bytes(line, (const char[]){'\\', 'u', '0', '0', hex[code >> 4], hex[code & 15]}, 6);
    } else if (code == UTF8_INVALID)
        line_text(line, UTF8_REPLACEMENT);
    else
        line_bytes(line, bytes, length);
}

static void octal_bytes(struct line *line, const char *bytes, size_t length) {
    char octal[2 * 4];
    size_t used = 0;
    for (size_t i = 0; i < length && used < sizeof octal; i++) {
        const uint8_t byte = (uint8_t)bytes[i];
        octal[used++] = '\\';
        octal[used++] = (char)('0' + (byte >> 6));
        octal[used++] = (char)('0' + (byte >> 3 & 7));
        octal[used++] = (char)('0' + (byte & 7));
    }
    line_bytes(line, octal, used);
}

static void printable_character(struct line *line, const char *bytes, size_t length, uint32_t code) {
    if (utf8_is_control(code))
        octal_bytes(line, bytes, length);
    else if (code == UTF8_INVALID)
        line_text(line, UTF8_REPLACEMENT);
    else
        line_bytes(line, bytes, length);
}

typedef void add_character(struct line *line, const char *bytes, size_t length, uint32_t code);

static void line_characters(struct line *line, const char *text, size_t length, add_character *add) {
    while (length > 0 && !line->cut) {
        uint32_t code;
        const size_t used = utf8_next(text, length, &code);
        add(line, text, used, code);
        text += used;
        length -= used;
    }
}

void line_json_escaped(struct line *line, const char *text, size_t length) {
    line_characters(line, text, length, json_character);
}

void line_printable(struct line *line, const char *text, size_t length) {
    line_characters(line, text, length, printable_character);
}
