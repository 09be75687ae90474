#include <string.h>

#include "line.h"
#include "settings.h"

/* How much of a long text is shown before and after the caret. */
enum { COLUMNS_BEFORE = 48, COLUMNS_AFTER = 40, VARIABLE_SHOWN = 64 };

static bool is_plain(char c) {
    return c >= 0x20 && c < 0x7f;
}

static size_t columns_of(char c) {
    return is_plain(c) ? 1 : strlen("\\ooo");
}

static void show(struct line *line, char c) {
    const unsigned char byte = (unsigned char)c;
    const char octal[] = {'\\', (char)('0' + (byte >> 6)), (char)('0' + (byte >> 3 & 7)), (char)('0' + (byte & 7))};
    if (is_plain(c))
        line_char(line, c);
    else
        line_bytes(line, octal, sizeof octal);
}

static size_t window_start(const char *text, size_t caret) {
    size_t columns = 0;
    while (caret > 0 && columns + columns_of(text[caret - 1]) <= COLUMNS_BEFORE)
        columns += columns_of(text[--caret]);
    return caret;
}

static size_t window_end(const char *text, size_t caret) {
    size_t columns = 0;
    while (text[caret] != '\0' && columns + columns_of(text[caret]) <= COLUMNS_AFTER)
        columns += columns_of(text[caret++]);
    return caret;
}

static void excerpt_and_caret(struct line *line, const char *text, size_t caret) {
    const size_t start = window_start(text, caret);
    const size_t end = window_end(text, caret);
    size_t column = 0;
    line_text(line, start > 0 ? "  ..." : "  ");
    for (size_t i = start; i < end; i++)
        show(line, text[i]);
    line_text(line, text[end] != '\0' ? "...\n" : "\n");
    line_text(line, start > 0 ? "     " : "  ");
    for (size_t i = start; i < caret; i++)
        column += columns_of(text[i]);
    for (; column > 0; column--)
        line_char(line, ' ');
    line_char(line, '^');
}

size_t settings_error_render(const struct settings_error *error, char *buffer, size_t size) {
    const size_t length = strlen(error->text);
    const size_t name_length = strcspn(error->variable, "=");
    struct line line;
    line_init(&line, buffer, size);
    line_reserve(&line, 1);
    line_text(&line, "closetrace: ");
    for (size_t i = 0; i < name_length && i < VARIABLE_SHOWN; i++)
        show(&line, error->variable[i]);
    line_text(&line, name_length > VARIABLE_SHOWN ? "...: " : ": ");
    if (error->place) {
        line_text(&line, error->place);
        line_text(&line, ": ");
    }
    line_text(&line, error->parse.message);
    line_char(&line, '\n');
    excerpt_and_caret(&line, error->text, error->parse.offset < length ? error->parse.offset : length);
    line_back(&line, line.length);
    line.size = size;
    line_char(&line, '\n');
    return line.length;
}
