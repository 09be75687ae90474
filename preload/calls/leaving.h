/*
 * The call paths of the calls that end many connections at once: exec, which closes what is close-on-exec, and the end
 * of the process. Their events are predictions, logged before it happens, one a socket.
 */
#ifndef CLOSETRACE_LEAVING_H
#define CLOSETRACE_LEAVING_H

#include "output/log.h"

/* Distinct TCP sockets that this process has. */
unsigned leaving_count(void);

/* Of them, those that an exec leaves open; those that another process has as well. Told to the ledger. */
unsigned leaving_left_across_exec(void);
unsigned leaving_shared_with(int pid);

/* An exec is about to be made, with or without TCP sockets: what waits in queues goes out of sight too. And it failed:
 * takes back what was said. errno is kept. */
void leaving_exec(const struct call *call);
void leaving_exec_failed(const struct call *call, int error);

/*
 * The process is about to end, by that call ("exit", "_exit", "return", a signal's name); status: of an exit, or
 * -1. Also logs the process's `end`. Only the first call does anything. errno is kept.
 */
void leaving_end(const char *name, const void *caller, int status);

/* In a forked child: it may end too. */
void leaving_forked(void);

/* The process was said to end, and lives. */
void leaving_survived(void);

#endif
