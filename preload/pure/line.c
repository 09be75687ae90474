#include "line.h"

#include <string.h>

#include "utf8.h"

enum { HEX_DIGITS_MAX = 16, DECIMAL_DIGITS_MAX = 20 };

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

/* The digits fill the end of the array; returns how many there are. */
static unsigned hex_digits(char digits[HEX_DIGITS_MAX], uint64_t number) {
    unsigned count = 0;
    do {
        digits[HEX_DIGITS_MAX - ++count] = "0123456789abcdef"[number % 16];
        number /= 16;
    } while (number > 0);
    return count;
}

static void put_pair(char *at, uint32_t pair) {
    static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    memcpy(at, pairs + pair * 2, 2);
}

/* Four at a time, from the last: a line has a hundred of them. They fill the end of the array; returns where it begins.
 */
static unsigned decimal_digits(char digits[DECIMAL_DIGITS_MAX], uint64_t number) {
    unsigned at = DECIMAL_DIGITS_MAX;
    for (; number >= 10000; number /= 10000) {
        const uint32_t four = (uint32_t)(number % 10000);
        put_pair(digits + at - 2, four % 100);
        put_pair(digits + at - 4, four / 100);
        at -= 4;
    }
    uint32_t rest = (uint32_t)number;
    if (rest >= 100) {
        put_pair(digits + at - 2, rest % 100);
        rest /= 100;
        at -= 2;
    }
    if (rest >= 10)
        put_pair(digits + at - 2, rest);
    else
        digits[at - 1] = (char)('0' + rest);
    return at - (rest >= 10 ? 2 : 1);
}

static void line_decimal(struct line *line, uint64_t number, unsigned width) {
    char digits[DECIMAL_DIGITS_MAX];
    unsigned at = decimal_digits(digits, number);
    while (DECIMAL_DIGITS_MAX - at < width)
        digits[--at] = '0';
    line_bytes(line, digits + at, DECIMAL_DIGITS_MAX - at);
}

/* Most have one digit. */
void line_unsigned(struct line *line, uint64_t number) {
    if (number < 10)
        line_char(line, (char)('0' + number));
    else
        line_decimal(line, number, 1);
}

void line_signed(struct line *line, int64_t number) {
    const size_t mark = line->length;
    if (number >= 0) {
        line_unsigned(line, (uint64_t)number);
        return;
    }
    line_char(line, '-');
    line_unsigned(line, -(uint64_t)number);
    if (line->cut)
        line->length = mark;
}

void line_hex(struct line *line, uint64_t number) {
    char digits[HEX_DIGITS_MAX];
    const unsigned count = hex_digits(digits, number);
    line_bytes(line, digits + HEX_DIGITS_MAX - count, count);
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
