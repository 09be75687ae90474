/*
 * Calls of supervised programs must be answered also where the command is gone: else the kernel fails each with ENOSYS.
 * A process of its own holds the listener too, and lets all calls go on once the command has ended, until the last
 * supervised process has.
 */
#ifndef CLOSETRACE_STANDBY_H
#define CLOSETRACE_STANDBY_H

#include <stdbool.h>

/* Before any thread is made. The end of a socket, close-on-exec, by which the process is told; -1: errno. */
int standby_begin(void);

/* A descriptor goes to whoever has the socket's other end; and comes from there, close-on-exec, or -1. */
bool pass_descriptor(int socket, int fd);
int take_descriptor(int socket);

#endif
