/* The call path of close_range and closefrom: each TCP socket in the range by itself, our own descriptors spared. */
#ifndef CLOSETRACE_CLOSING_RANGE_H
#define CLOSETRACE_CLOSING_RANGE_H

int range_close(unsigned first, unsigned last, int flags, const char *name, const void *caller);
void range_close_from(int lowest, const char *name, const void *caller);

#endif
