/*
 * Connections that were let go of in order while data was on its way, or the FIN behind it, until the kernel has
 * finished them: they are looked at soon, then ever more seldom. A FIN that was queued and has left is a release
 * `sent`; one that was reset before the peer had acknowledged all is a release `reset`, with what was lost.
 *
 * A reset by our own kernel, which a late byte of the peer's brings about, is told from the peer's own RST by the
 * segments with data that have come since the close.
 */
#ifndef CLOSETRACE_ORPHANS_H
#define CLOSETRACE_ORPHANS_H

#include "drain.h"

void orphans_begin(struct drain *drain);
/* Of each event that comes: whether it makes an orphan. */
void orphans_note(const struct event *event);
/* Looks at those that are due. Milliseconds until it should be asked again. */
int orphans_look(void);
/* Whether the end of any is waited for. */
bool orphans_are_there(void);

#endif
