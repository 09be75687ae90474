/*
 * What became of the connections of a process that was killed: from the session's ledger, which knows what it had, and
 * from the kernel. The ledger, the netlink socket and /proc are the library's own code, in the command.
 */
#ifndef CLOSETRACE_KILLED_H
#define CLOSETRACE_KILLED_H

#include "drain.h"
#include "processes.h"
#include "pure/session_layout.h"

/* Once. */
void killed_begin(struct session *session);

/* An event for each connection that the process had. */
void killed_report(const struct death *death, struct drain *drain);

/* The process is gone, however it ended: what it had is nobody's. */
void killed_bury(int pid);

#endif
