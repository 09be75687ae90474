/*
 * The subcommands: one row each in the table of subcommands.c. A subcommand gets its own arguments (argv[0] is its
 * name) and returns the exit status. What is wrong with the arguments is said by usage_error(), in one line.
 */
#ifndef CLOSETRACE_COMMAND_H
#define CLOSETRACE_COMMAND_H

#include "exit_status.h"

/* command_run() has a header of its own. */
int command_now(int argc, char **argv);
int command_print(int argc, char **argv);
int command_report(int argc, char **argv);
int command_grep(int argc, char **argv);

/* The options of each, NULL at the end: for hints, completion and the test of the manual. */
extern const char *const print_options[], *const report_options[], *const grep_options[], *const now_options[];

/* The formats of a report; NULL behind the last. */
const char *report_format_name(unsigned i);

/* Ends with one that has no name. */
struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};
extern const struct subcommand subcommands[];

/*
 * --list: the words of the interface, one a line, from where the code has them. name: of a list, or of a key that takes
 * one of a few words; NULL: the names of the lists.
 */
int list_words(const char *name);

#endif
