/*
 * What the processes of a session share. Alone (LD_PRELOAD without the command) that is memory which forked children
 * inherit, and an exec'd program begins anew.
 */
#ifndef CLOSETRACE_SESSION_H
#define CLOSETRACE_SESSION_H

#include <stddef.h>

enum session_part { SESSION_LEDGER, SESSION_FLIGHT, SESSION_RELEASE, SESSION_RULES, SESSION_PARTS };

/*
 * Memory for one part, shared with all other processes of the session; zeroed when the session begins. Before main.
 * NULL where there is none.
 */
void *session_memory(enum session_part part, size_t size);

#endif
