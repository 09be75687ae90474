/* What preloading cannot reach: programs that the dynamic loader does not run, or not with LD_PRELOAD (ld.so(8)). */
#ifndef CLOSETRACE_REACH_H
#define CLOSETRACE_REACH_H

#include <stdbool.h>
#include <stddef.h>

#include "pure/event.h"

/* The file that execvp() would run, in path; false: there is none (errno as execvp()'s). */
bool reach_find(const char *name, char *path, size_t size);

/*
 * Why the library is not in the program of that process, or does not see its calls: by its file, while the process is
 * there. REACH_UNSET: nothing of the file tells.
 */
enum event_reach reach_of_process(int pid);
/* The same of a file; REACH_ENVIRONMENT: nothing of it is in the way. */
enum event_reach reach_of_program(const char *path);

/* NULL, or why the library cannot be in the program at path; for a script, in its interpreter (program says which). */
const char *reach_obstacle(const char *path, char *program, size_t size);

#endif
