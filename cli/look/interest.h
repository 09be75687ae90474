/* Whether a process waits for something on a descriptor: inside a call on it, or with an epoll set that has it. */
#ifndef CLOSETRACE_INTEREST_H
#define CLOSETRACE_INTEREST_H

#include <stdbool.h>

enum interest {
    INTEREST_UNKNOWN, /* it cannot be looked at, or is at work just now */
    INTEREST_NONE,    /* all its threads sleep, and none of them on this */
    INTEREST_WAITS,
};

enum interest interest_of(int pid, int fd);

/* The descriptor would be closed by an exec. */
bool closes_on_exec(int pid, int fd);

/* Both run the same program file; false also where that cannot be seen. */
bool same_program(int pid, int other);

/* Its command line, as one would type it; cut where it is longer. */
enum { COMMAND_LINE_SIZE = 160 };
const char *command_line(int pid, char text[COMMAND_LINE_SIZE]);

#endif
