/*
 * What is to be heard of a program that is about to take a process over: by the environment that it is given. A program
 * that is not heard of had no library, or could not reach the session, or was killed too soon; the command is to say
 * what is so.
 */
#ifndef CLOSETRACE_EXPECTATION_H
#define CLOSETRACE_EXPECTATION_H

#include "pure/roster.h"

/* environment: the program's; it may be a bad pointer, or full of them. Async-signal-safe. */
enum roster_state expectation_of(char *const environment[]);

#endif
