/*
 * Who has a connection, as far as the session's ledger knows: anybody may have written there, so that a process is
 * named only where /proc shows the socket at that descriptor of it, or does not let us look.
 */
#ifndef CLOSETRACE_HOLDERS_H
#define CLOSETRACE_HOLDERS_H

#include "pure/event.h"
#include "refs/ledger.h"

/*
 * Those who stay are named in the event, and counted; *leaving: those who say that they are about to go. inode: of the
 * socket. but: not that process's, of whatever descriptor (fd below 0) or that one.
 */
unsigned holders_name(uint64_t cookie, uint64_t inode, const struct ledger_reference *but, struct event *event,
                      unsigned *leaving);

#endif
