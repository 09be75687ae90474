/*
 * What the command says of itself on standard error. Names, rules, keys and paths come from anybody: whatever a message
 * is made of, it is printable, and a line leaves in one write.
 */
#ifndef CLOSETRACE_SAY_H
#define CLOSETRACE_SAY_H

#include <stdio.h>

/* Before anything is said. */
void say_begin(void);

/* A line; the newline is added. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The text, control characters made visible; at most columns characters of it (0: all). */
void print_safely(FILE *out, const char *text, unsigned columns);

#endif
