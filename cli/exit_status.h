/* Exit statuses of the command's own. */
#ifndef CLOSETRACE_EXIT_STATUS_H
#define CLOSETRACE_EXIT_STATUS_H

/* FAILED: its own failures, and bad usage (as env(1) and timeout(1) have it). */
enum { EXIT_OK = 0, EXIT_FOUND_WRONG = 1, EXIT_FAILED = 125 };

#endif
