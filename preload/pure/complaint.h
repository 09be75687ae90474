/*
 * The wording of a parse_error: what is wrong with a text that a user has written, where, and what would be right.
 */
#ifndef CLOSETRACE_COMPLAINT_H
#define CLOSETRACE_COMPLAINT_H

#include "line.h"

/* Where and why a text could not be read. message says what would be right; no newline, no variable name. */
struct parse_error {
    size_t offset; /* of the offending character in the whole text */
    char message[200];
};

/*
 * complain_about() begins the message of *error, the line_ functions go on, complain() ends it and returns false,
 * for the parser to return.
 */
void complain_about(struct line *message, struct parse_error *error, size_t offset, const char *what);
bool complain(struct line *message, struct parse_error *error);

/* The whole of it, where there is nothing to fill in. */
bool complain_plainly(struct parse_error *error, size_t offset, const char *what);

/* The word in quotes, printable, a long one shortened. */
void complaint_quote(struct line *message, const char *word, size_t length);

/*
 * WHAT "word": every, word, there or is (did you mean every?). words(i) is the i-th of count words.
 */
bool complain_of_word(struct parse_error *error, size_t offset, const char *what, const char *word, size_t length,
                      const char *(*words)(unsigned i), unsigned count);

/* The word most like the length bytes at text, or NULL if none is alike. */
const char *nearest_word(const char *text, size_t length, const char *(*words)(unsigned i), unsigned count);

#endif
