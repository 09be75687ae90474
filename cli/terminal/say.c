#define _GNU_SOURCE
#include "say.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "pure/line.h"
#include "pure/utf8.h"

void say_begin(void) {
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
}

/* Up to so many characters; each is taken for one column. */
static size_t first_characters(const char *text, size_t length, unsigned columns) {
    size_t at = 0;
    uint32_t code;
    for (unsigned i = 0; i < columns && at < length; i++)
        at += utf8_next(text + at, length - at, &code);
    return at;
}

void print_safely(FILE *out, const char *text, unsigned columns) {
    char buffer[16384];
    struct line line;
    line_init(&line, buffer, sizeof buffer);
    line_printable(&line, text, strlen(text));
    line_back(&line, line.length);
    const size_t shown = columns > 0 ? first_characters(buffer, line.length, columns) : line.length;
    fwrite(buffer, 1, shown, out);
}

void say(const char *format, ...) {
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    const int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    print_safely(stderr, text, 0);
    putc('\n', stderr);
    free(text);
}
