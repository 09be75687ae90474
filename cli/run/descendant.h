/* Who is of the command's tree: our own children, and theirs. */
#ifndef CLOSETRACE_DESCENDANT_H
#define CLOSETRACE_DESCENDANT_H

#include <stdbool.h>

/* As /proc has it, now. */
bool is_descendant(int pid);

#endif
