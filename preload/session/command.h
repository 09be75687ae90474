/*
 * The command that made the session, as this process knows it: by its environment and by the kernel, never by the
 * session's memory, which every traced process can write. Whoever answers in its place is not talked to.
 */
#ifndef CLOSETRACE_SESSION_COMMAND_H
#define CLOSETRACE_SESSION_COMMAND_H

#include <stdbool.h>

#include "pure/session_layout.h"

/* From CLOSETRACE_SESSION's value. False: that is none. Before main. */
bool command_named_by(const char *text);

/* That value; and what tells its session from every other. */
const char *command_text(void);
const char *command_session_name(void);

/* The session's memory, as a descriptor, or -1; then perhaps as a segment (shmget(2)), or -1. */
int command_memory(void);
int command_segment(void);

/* Whether memory or a socket of that user's may be the command's: root's, or our own. */
bool command_may_be_of(unsigned user);

/* Sends it a request with a descriptor. True: it has taken that over. */
bool command_takes(int fd, const struct session_request *request);

/* Whether a program that begins here now will find it. */
bool command_can_be_reached(void);

/* Whether it has ended, as far as can be seen. */
bool command_has_ended(void);

#endif
