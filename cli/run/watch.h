/*
 * What stands in the session without a call: sockets in CLOSE_WAIT, with their own FIN sent, or with their FIN
 * withheld, on which no data moves. Of each is told when it has stood for 2 seconds, for 10, and for every minute, with
 * its holders, who are searched for once for all of them. A connection that is quiet and healthy costs nothing but its
 * place in the kernel's table, which is gone over once a second; less often where that takes long.
 */
#ifndef CLOSETRACE_WATCH_H
#define CLOSETRACE_WATCH_H

#include "drain.h"
#include "look/world.h"
#include "pure/session_layout.h"
#include "pure/settings.h"

/* The settings say which sockets are told of, and whether. */
void watch_begin(struct session *session, struct drain *drain, const struct settings *settings);
/* Of each event that comes: a FIN that is withheld from now on, or no more. */
void watch_note(const struct event *event);
/* Looks where it is due. Milliseconds until it should be asked again. */
int watch_look(void);

/* How the socket was seen last, if it stood; NULL: it was not seen. For what is said of the dead. */
const struct sighting *watch_last(uint64_t cookie);
/* Takes a look at all of the session's sockets, for that: from any thread, before a signal is passed on. */
void watch_before_signal(void);

#endif
