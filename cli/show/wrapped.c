#include "wrapped.h"

#include <string.h>

#include "terminal/say.h"

void print_wrapped(FILE *out, const char *text, unsigned indent, unsigned width) {
    unsigned column = 0;
    while (*text) {
        char word[512];
        const size_t length = strcspn(text, " ");
        snprintf(word, sizeof word, "%.*s", (int)length, text);
        text += length + strspn(text + length, " ");
        if (column == 0 || column + 1 + length > width) {
            fprintf(out, "%s%*s", column == 0 ? "" : "\n", (int)indent, "");
            column = indent;
        } else {
            putc(' ', out);
            column++;
        }
        print_safely(out, word, 0);
        column += (unsigned)length;
    }
    putc('\n', out);
}

size_t wrapped_length(const char *text, unsigned width) {
    const size_t length = strlen(text);
    if (length <= width)
        return length;
    for (size_t at = width; at > 0; at--)
        if (text[at] == ' ')
            return at;
    for (size_t at = width; at > 0; at--)
        if (text[at - 1] == '>')
            return at;
    return width;
}
