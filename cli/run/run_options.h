/* The options of `closetrace run`, and the environment of the program that they make. */
#ifndef CLOSETRACE_RUN_OPTIONS_H
#define CLOSETRACE_RUN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* How calls are seen: by COMMAND's file; by the library alone; by the kernel's notifications. */
enum run_reach { AUTO, PRELOAD, SUPERVISE };

struct run_options {
    const char *output; /* -o: absolute, or NULL */
    int program_stderr; /* --messages: the program's standard error, ours being the file; -1: they are the same */
    bool json;          /* lines of JSON, not text */
    bool no_wait;
    enum run_reach reach;
    int fail_status; /* --fail: what to exit with where COMMAND ended with 0 and there is a finding; 0: as COMMAND did
                      */
    char **command;  /* argv */
    char **environment; /* the program's; NULL at its end */
    size_t environment_count;
    const char *const *rules; /* their texts; NULL at its end */
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

/*
 * Reads the options and checks the settings; what is wrong was said on stderr. The environment has all settings but
 * those of the session itself. What is allocated lives as long as the process.
 */
enum options_result run_options_read(int argc, char **argv, struct run_options *options);

/* Sets a variable, or takes it out (value NULL). */
void run_options_set(struct run_options *options, const char *name, const char *value);

/* For completion and the test of the manual: the options, and what -e takes; NULL beyond the last. */
const char *run_option(unsigned i);
const char *run_expression(unsigned i);

/* Whether not every event is wanted: then a process that has none may have had connections all the same. */
bool run_options_filter(const struct run_options *options);

const char *run_options_get(const struct run_options *options, const char *name);

#endif
