/* How a connection stands just before it is ended, as far as the verdict needs it. Async-signal-safe. */
#ifndef CLOSETRACE_STANDING_H
#define CLOSETRACE_STANDING_H

#include "kernel/scratch.h"
#include "kernel/tcp_socket.h"

/* What the kernel says; where it cannot be asked, what was seen of the connection through this process's descriptors.
 */
void standing_of(int fd, const struct identity *identity, bool for_close, struct standing *standing);

/* An out-of-band byte hides itself, and what stands behind it, from SIOCINQ; inet_diag counts all. */
void standing_count_unread(const struct identity *identity, struct standing *standing, struct scratch *scratch);

/* The state of the peer's end, where it waits for an answer: is it still reading? One look-up, of such ends only. */
void standing_look_at_peer(const struct identity *identity, struct standing *standing, struct scratch *scratch);

#endif
