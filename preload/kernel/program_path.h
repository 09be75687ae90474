/*
 * A program that is looked for along PATH by trying: most tries fail, and nothing comes of them. Asked of the kernel
 * before the try. Async-signal-safe.
 */
#ifndef CLOSETRACE_PROGRAM_PATH_H
#define CLOSETRACE_PROGRAM_PATH_H

#include <stdbool.h>

/*
 * Whether an exec of it will be refused, since there is no such program or it may not be run, and it stands in a folder
 * of PATH, in our environment or in that which the program is to have. What cannot be asked is not so. path and
 * environment are the program's, and may be bad pointers.
 */
bool program_is_missing_in_path(const char *path, char *const environment[]);

#endif
