/* Descriptors in unix sockets' queues, as the kernel counts them (scm_fds in fdinfo). Async-signal-safe. */
#ifndef CLOSETRACE_UNIX_QUEUES_H
#define CLOSETRACE_UNIX_QUEUES_H

#include "kernel/scratch.h"
#include "proc_search.h"

/*
 * Copies of descriptors (of anything) that wait in unix sockets' queues, as far as they can be read; of all
 * processes in our network namespace, or only of this one and its relatives.
 */
unsigned queues_all(bool among_relatives, struct scratch *scratch, bool *partial);

/*
 * Copies of descriptors in the queue of the unix socket with that inode; -1 if no process has it (unreadable: that
 * could not be found out of all). And who has it.
 */
int queues_of(uint64_t inode, struct scratch *scratch, bool *unreadable, struct search_row *holders);

/* The same of our own descriptor; -1: not known. */
int queue_at(int fd, struct scratch *scratch);

#endif
