/*
 * Connections that a fault rule keeps though the program has closed them: the command holds them, also beyond the end
 * of the process where the rule says so (exit:as=HOLD). It looks at them with the library's eyes.
 */
#ifndef CLOSETRACE_PARKING_H
#define CLOSETRACE_PARKING_H

#include <stdbool.h>

#include "drain.h"
#include "pure/session_layout.h"

/* drain: where a release is told. */
void parking_begin(struct session *session, struct drain *drain);

/* Takes a descriptor over, of the process pid. False: it is no TCP socket, or one too many. */
bool parking_take(int fd, int pid, const struct session_request *request, void *unused);

/* Lets go of those that are due: the hold is over, the peer has closed. Milliseconds until it should be asked again. */
int parking_look(void);

/* What was to last as long as that process. */
void parking_process_ended(int pid);

/* Whether anything is held. */
bool parking_is_empty(void);

/* All. */
void parking_end(void);

#endif
