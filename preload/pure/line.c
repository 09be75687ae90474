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
    if (line->cut || line->length == line->size)
        line->cut = true;
    else
        line->text[line->length++] = c;
}

void line_text(struct line *line, const char *text) {
    line_bytes(line, text, strlen(text));
}

/* The digits fill the end of the array; returns how many there are, at least width. */
static unsigned hex_digits(char digits[DIGITS_MAX], uint64_t number) {
    unsigned count = 0;
    do {
        digits[DIGITS_MAX - ++count] = "0123456789abcdef"[number % 16];
        number /= 16;
    } while (number > 0);
    return count;
}

/* Two at a time: a line has a hundred of them. */
static unsigned decimal_digits(char digits[DIGITS_MAX], uint64_t number, unsigned width) {
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    unsigned count = 0;
    while (number >= 100) {
        count += 2;
        memcpy(digits + DIGITS_MAX - count, pairs + number % 100 * 2, 2);
        number /= 100;
    }
    do {
        digits[DIGITS_MAX - ++count] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0 || (count < width && count < DIGITS_MAX));
    return count;
}

static void line_decimal(struct line *line, uint64_t number, unsigned width) {
    char digits[DIGITS_MAX];
    const unsigned count = decimal_digits(digits, number, width);
    line_bytes(line, digits + DIGITS_MAX - count, count);
}

void line_unsigned(struct line *line, uint64_t number) {
    line_decimal(line, number, 1);
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
    char digits[DIGITS_MAX];
    const unsigned count = hex_digits(digits, number);
    line_bytes(line, digits + DIGITS_MAX - count, count);
}

void line_padded(struct line *line, uint64_t number, unsigned width) {
    line_decimal(line, number, width);
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

/* Most texts are nothing but such: printable ASCII that neither rendering writes otherwise. */
static size_t plain_run(const char *text, size_t length) {
    static const bool plain[256] = {[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};
    size_t i = 0;
    while (i < length && plain[(unsigned char)text[i]])
        i++;
    return i;
}

static void line_characters(struct line *line, const char *text, size_t length, add_character *add) {
    const size_t plain = plain_run(text, length);
    if (!line->cut && plain <= line->size - line->length) {
        line_bytes(line, text, plain);
        text += plain;
        length -= plain;
    }
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
