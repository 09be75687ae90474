/* The file that a module was loaded from, as far as this machine still has it. */
#ifndef CLOSETRACE_MODULE_FILE_H
#define CLOSETRACE_MODULE_FILE_H

#include <stdbool.h>
#include <stdint.h>

/* Which program a process was started as: where its own file may be. */
void module_file_learn(const char *program);

/*
 * A descriptor of the file with that name, or -1: there is none, or it is not to be trusted, or it has changed since
 * that time. *has_symbols: it knows its static functions too, so that the nearest function is the right one.
 */
int module_file_open(const char *module, uint64_t time_us, bool *has_symbols);

#endif
