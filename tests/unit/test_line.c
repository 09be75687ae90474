#include "pure/line.h"

#include <errno.h>

#include "unit.h"

static char buffer[256];
static struct line line;

static void start(size_t size) {
    memset(buffer, '~', sizeof buffer);
    line_init(&line, buffer, size);
}

static const char *text(void) {
    buffer[line.length] = '\0';
    return buffer;
}

static const char *json(const char *bytes, size_t length) {
    start(200);
    line_json_escaped(&line, bytes, length);
    return text();
}

static const char *printable(const char *bytes, size_t length) {
    start(200);
    line_printable(&line, bytes, length);
    return text();
}

#define LITERAL(bytes) bytes, sizeof(bytes) - 1
#define FFFD           "\xef\xbf\xbd"

static void numbers(void) {
    start(200);
    line_unsigned(&line, 0);
    line_char(&line, ' ');
    line_unsigned(&line, UINT64_MAX);
    line_char(&line, ' ');
    line_signed(&line, INT64_MIN);
    line_char(&line, ' ');
    line_signed(&line, INT64_MAX);
    line_char(&line, ' ');
    line_hex(&line, 0);
    line_char(&line, ' ');
    line_hex(&line, UINT64_MAX);
    line_char(&line, ' ');
    line_padded(&line, 7, 3);
    line_char(&line, ' ');
    line_padded(&line, 1234, 3);
    line_char(&line, ' ');
    line_seconds(&line, 0);
    line_char(&line, ' ');
    line_seconds(&line, 1000001);
    line_char(&line, ' ');
    line_seconds(&line, UINT64_MAX);
    CHECK_TEXT(text(), "0 18446744073709551615 -9223372036854775808 9223372036854775807 0 ffffffffffffffff "
                       "007 1234 0.000000 1.000001 18446744073709.551615");
    CHECK(!line.cut);
}

static void what_does_not_fit_is_left_out_whole(void) {
    start(5);
    line_text(&line, "abc");
    line_text(&line, "def");
    CHECK(line.cut);
    line_char(&line, 'x'); /* once cut, nothing goes on */
    CHECK_TEXT(text(), "abc");
    line_back(&line, 2);
    line_text(&line, "123");
    CHECK(!line.cut);
    CHECK_TEXT(text(), "ab123");
    for (size_t size = 0; size < 8; size++) {
        start(size);
        line_signed(&line, -1234567);
        CHECK(line.cut && line.length == 0);
        start(size);
        line_seconds(&line, 1);
        CHECK(line.cut == (size < 8) && line.length == 0);
        CHECK(buffer[size] == '~');
    }
    start(0);
    line_bytes(&line, NULL, 0);
    CHECK(!line.cut);
}

static void reserve(void) {
    start(10);
    line_text(&line, "12345");
    const size_t size = line_reserve(&line, 3);
    CHECK_NUMBER(size, 10);
    CHECK_NUMBER(line.size, 7);
    CHECK_NUMBER(line_reserve(&line, 2), 7);
    CHECK_NUMBER(line.size, 5);
    CHECK_NUMBER(line_reserve(&line, 1), 5);
    CHECK_NUMBER(line.size, 5);
    line.size = size;
    line_text(&line, "67890");
    CHECK_TEXT(text(), "1234567890");
}

static void json_escapes(void) {
    CHECK_TEXT(json(LITERAL("plain /text 'x'")), "plain /text 'x'");
    CHECK_TEXT(json(LITERAL("\"\\\b\f\n\r\t")), "\\\"\\\\\\b\\f\\n\\r\\t");
    CHECK_TEXT(json(LITERAL("\0\x01\x1f\x7f")), "\\u0000\\u0001\\u001f\\u007f");
    CHECK_TEXT(json(LITERAL("\xc2\x80\xc2\x9f\xc2\xa0")), "\\u0080\\u009f\xc2\xa0");
}

static void utf8(void) {
    /* The first and last of each length, and the neighbours of the surrogates. */
    CHECK_TEXT(json(LITERAL("\xc2\xa0\xdf\xbf")), "\xc2\xa0\xdf\xbf");
    CHECK_TEXT(json(LITERAL("\xe0\xa0\x80\xef\xbf\xbf")), "\xe0\xa0\x80\xef\xbf\xbf");
    CHECK_TEXT(json(LITERAL("\xed\x9f\xbf\xee\x80\x80")), "\xed\x9f\xbf\xee\x80\x80");
    CHECK_TEXT(json(LITERAL("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")), "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
    /* A lone continuation, bytes that never occur. */
    CHECK_TEXT(json(LITERAL("a\x80z\xff\xfe")), "a" FFFD "z" FFFD FFFD);
    /* Overlong. */
    CHECK_TEXT(json(LITERAL("\xc0\x80")), FFFD FFFD);
    CHECK_TEXT(json(LITERAL("\xc1\xbf")), FFFD FFFD);
    CHECK_TEXT(json(LITERAL("\xe0\x9f\xbf")), FFFD FFFD FFFD);
    CHECK_TEXT(json(LITERAL("\xf0\x8f\xbf\xbf")), FFFD FFFD FFFD FFFD);
    /* A surrogate; beyond U+10FFFF. */
    CHECK_TEXT(json(LITERAL("\xed\xa0\x80")), FFFD FFFD FFFD);
    CHECK_TEXT(json(LITERAL("\xf4\x90\x80\x80")), FFFD FFFD FFFD FFFD);
    CHECK_TEXT(json(LITERAL("\xf5\x80")), FFFD FFFD);
    /* Cut short: one for the piece, in the middle and at the end. */
    CHECK_TEXT(json(LITERAL("\xe2\x82x")), FFFD "x");
    CHECK_TEXT(json(LITERAL("x\xf0\x9f\x98")), "x" FFFD);
    CHECK_TEXT(json(LITERAL("\xc3\"")), FFFD "\\\"");
}

static void for_a_terminal(void) {
    CHECK_TEXT(printable(LITERAL("a b\x1b[31m\n\x7f")), "a b\\033[31m\\012\\177");
    CHECK_TEXT(printable(LITERAL("\xc2\x9b"
                                 "1m\xc3\xa4\xff\0")),
               "\\302\\2331m\xc3\xa4" FFFD "\\000");
}

static void characters_are_never_split(void) {
    const char bytes[] = "a\x01\xe2\x82\xac\"\xff";
    const size_t whole_json[] = {1, 7, 10, 12, 15};
    const size_t whole_printable[] = {1, 5, 8, 9, 12};
    for (size_t size = 0; size <= 16; size++) {
        size_t json_length = 0;
        size_t printable_length = 0;
        for (size_t i = 0; i < 5; i++) {
            if (whole_json[i] <= size)
                json_length = whole_json[i];
            if (whole_printable[i] <= size)
                printable_length = whole_printable[i];
        }
        start(size);
        line_json_escaped(&line, LITERAL(bytes));
        CHECK_NUMBER(line.length, json_length);
        CHECK(line.cut == (size < 15));
        start(size);
        line_printable(&line, LITERAL(bytes));
        CHECK_NUMBER(line.length, printable_length);
        CHECK(line.cut == (size < 12));
    }
}

int main(void) {
    errno = 4711;
    numbers();
    what_does_not_fit_is_left_out_whole();
    reserve();
    json_escapes();
    utf8();
    for_a_terminal();
    characters_are_never_split();
    CHECK_NUMBER(errno, 4711);
    return unit_failures();
}
