#include "complaint.h"

#include <string.h>

enum { QUOTED_MAX = 24, COMPARED_MAX = 32 };

void complain_about(struct line *message, struct parse_error *error, size_t offset, const char *what) {
    error->offset = offset;
    line_init(message, error->message, sizeof error->message - 1);
    line_text(message, what);
}

bool complain(struct line *message, struct parse_error *error) {
    error->message[message->length] = '\0';
    return false;
}

bool complain_plainly(struct parse_error *error, size_t offset, const char *what) {
    struct line message;
    complain_about(&message, error, offset, what);
    return complain(&message, error);
}

void complaint_quote(struct line *message, const char *word, size_t length) {
    struct line shown;
    char text[QUOTED_MAX];
    line_init(&shown, text, sizeof text);
    line_printable(&shown, word, length);
    line_char(message, '"');
    line_bytes(message, shown.text, shown.length);
    line_text(message, shown.cut ? "...\"" : "\"");
}

static unsigned least(unsigned a, unsigned b, unsigned c) {
    const unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same(char a, char b) {
    return lower(a) == lower(b);
}

/* How many letters must be inserted, deleted, changed or swapped with their neighbour; case does not count. */
static unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length) {
    unsigned rows[3][COMPARED_MAX + 1];
    unsigned *two_ago = rows[0];
    unsigned *last = rows[1];
    unsigned *row = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        two_ago[j] = last[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            const unsigned change = same(a[i - 1], b[j - 1]) ? 0 : 1;
            row[j] = least(last[j] + 1, row[j - 1] + 1, last[j - 1] + change);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]) && two_ago[j - 2] + 1 < row[j])
                row[j] = two_ago[j - 2] + 1;
        }
        unsigned *const oldest = two_ago;
        two_ago = last;
        last = row;
        row = oldest;
    }
    return last[b_length];
}

const char *nearest_word(const char *text, size_t length, const char *(*words)(unsigned i), unsigned count) {
    const char *nearest = NULL;
    unsigned nearest_distance = 0;
    if (length > COMPARED_MAX)
        return NULL;
    for (unsigned i = 0; i < count; i++) {
        const char *word = words(i);
        const size_t word_length = strlen(word);
        const unsigned distance = edit_distance(text, length, word, word_length);
        const unsigned alike = word_length < 4 ? 1 : (unsigned)(word_length + 2) / 3;
        if (distance <= alike && distance < length && (!nearest || distance < nearest_distance)) {
            nearest = word;
            nearest_distance = distance;
        }
    }
    return nearest;
}

bool complain_of_word(struct parse_error *error, size_t offset, const char *what, const char *word, size_t length,
                      const char *(*words)(unsigned i), unsigned count) {
    struct line message;
    const char *nearest = nearest_word(word, length, words, count);
    complain_about(&message, error, offset, what);
    line_char(&message, ' ');
    complaint_quote(&message, word, length);
    for (unsigned i = 0; i < count; i++) {
        line_text(&message, i == 0 ? ": " : i + 1 == count ? " or " : ", ");
        line_text(&message, words(i));
    }
    if (nearest) {
        line_text(&message, " (did you mean ");
        line_text(&message, nearest);
        line_text(&message, "?)");
    }
    return complain(&message, error);
}
