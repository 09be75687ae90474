/*
 * Tables of descriptors that are not one a process: unshare(CLONE_FILES) and close_range(CLOSE_RANGE_UNSHARE) give a
 * thread one of its own, clone() with CLONE_FILES lets two processes have one together. The table of fd_table.h is then
 * not what the thread has, or not all that is done to it is seen; so the ledger answers no more for what stands there,
 * and /proc is read, table by table.
 */
#ifndef CLOSETRACE_ODD_TABLES_H
#define CLOSETRACE_ODD_TABLES_H

#include <stdbool.h>

/* A process is about to be made that has this one's table too. */
void odd_table_shares(void);

/* This thread has left the table that it had together with others, if there were any. */
void odd_table_unshared(void);

/* In the child of a fork, which has a copy of what its parent's thread had. True: that was the thread's own. */
bool odd_table_forked(void);

/* In a child that nobody told of: whether it has its parent's table. */
bool odd_table_is_parents(void);

#endif
