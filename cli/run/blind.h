/*
 * Programs that load the library and pass by it: Go programs, and whoever makes its system calls itself. Each program
 * that has asked for the session is looked at now and then, ever more seldom, for TCP sockets among its descriptors;
 * one that had some, and of which there is no event in the end, is named (unreached.h).
 */
#ifndef CLOSETRACE_BLIND_H
#define CLOSETRACE_BLIND_H

#include "processes.h"

/* The library is in that process; it is looked at from now on. */
void blind_begin(int pid);

/* Looks at those whose time has come: cheap where there are none. Milliseconds until the next one's has. */
int blind_look(void);

/* At the end: those that had TCP sockets are put among the unreached ones. */
void blind_end(struct processes *processes);

#endif
