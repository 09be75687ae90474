/* Whether a process has a use for a signal: catches it, ignores it, blocks it or waits for it; else it dies of it. */
#ifndef CLOSETRACE_SIGNAL_USE_H
#define CLOSETRACE_SIGNAL_USE_H

#include <stdbool.h>

/* False also where that cannot be seen. */
bool has_use_for(int pid, int signal);

#endif
