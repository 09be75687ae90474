/*
 * What print, grep and report share on the way to the user: the terminal, the local time, options that nobody knows.
 */
#ifndef CLOSETRACE_OUTPUT_H
#define CLOSETRACE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The descriptor is a terminal, and NO_COLOR is not set (no-color.org); or what --color says. */
bool output_in_color(int fd);

/* auto, always, never. False: it is none of them, which has been said. */
bool output_choose_color(const char *subcommand, const char *when);

/* Whether the word is --color[=WHEN]; then it was done, and *is_good says whether it was right. */
bool output_color_option(const char *subcommand, const char *word, bool *is_good);

/* How many columns standard output has; 0: it is no terminal. */
unsigned output_width(void);

/* Seconds east of Greenwich at that time, as TZ says. */
int32_t local_offset(uint64_t time_us);

/* Writes out what was printed. False, and said, where that is not possible. */
bool output_flush(void);

/* "closetrace SUBCOMMAND: no such option: WORD (did you mean THAT?)": options ends with NULL. */
void unknown_option(const char *subcommand, const char *word, const char *const *options);

#endif
