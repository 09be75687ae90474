/* The call path of fork and its like: the event, with how many connections the child shares. errno is kept. */
#ifndef CLOSETRACE_FORKING_H
#define CLOSETRACE_FORKING_H

#include "output/call.h"

/* How many TCP sockets a child that is forked now shares. 0 where nobody wants to know. */
unsigned forking(void);
/* In the parent: the child is there (child -1: its id is not known). */
void forked(unsigned shared, int child, const struct call *call);

#endif
