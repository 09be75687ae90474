/* One JSON object on a line, under construction. What does not fit makes it no line at all. */
#ifndef CLOSETRACE_JSON_OBJECT_H
#define CLOSETRACE_JSON_OBJECT_H

#include <stdio.h>

#include "pure/event.h"
#include "pure/line.h"

enum { OBJECT_SIZE = 16384 };

struct object {
    struct line line;
    char text[OBJECT_SIZE];
    bool first;
};

void object_begin(struct object *object);
/* The key of what comes next: an object, a list, or one of the values below. */
void object_name(struct object *object, const char *key);
void object_open(struct object *object);
void object_close(struct object *object);
void object_quote(struct object *object, const char *text, size_t length);

/* Nothing where the text is NULL or empty, where there is no name, or where it is not true. */
void object_text(struct object *object, const char *key, const char *text);
void object_comm(struct object *object, const char *key, const char comm[COMM_SIZE]);
void object_true(struct object *object, const char *key, bool is_true);

void object_number(struct object *object, const char *key, uint64_t number);
void object_seconds(struct object *object, const char *key, uint64_t microseconds);
/* "key":["...","..."] */
void object_texts(struct object *object, const char *key, char *const *texts, unsigned count);

/* Closes it. False: it did not fit, and nothing is written. */
bool object_print(struct object *object, FILE *out, const char *behind);

#endif
