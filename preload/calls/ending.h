/*
 * What several who end a connection at one moment have in common. Whoever gives it up leaves first (his descriptor goes
 * out of the ledger, or is marked there as leaving) and counts the others then: so of those that leave together one at
 * least finds that nobody stays, and the first of them to claim the end has it.
 */
#ifndef CLOSETRACE_ENDING_H
#define CLOSETRACE_ENDING_H

#include <stdint.h>

#include "pure/verdict.h"
#include "refs/references.h"

/*
 * Before the caller leaves, who has it as fd: somebody has said that its end was his doing, in advance (an exit). He is
 * about to go, or he was wrong: then it counts no more.
 */
void end_drop_stale(int fd, uint64_t cookie);

/*
 * The verdict says that giving up fd has ended the connection, or those in the listener's queue; so may others'. Where
 * one of them has said so already it becomes another, and he is named among the references.
 */
void end_give_way(int fd, uint64_t cookie, struct references *references, struct verdict *verdict);

#endif
