/* In which order the sockets are shown: what is wrong, or may be, comes first; of each kind what has stood longest. */
#ifndef CLOSETRACE_RANK_H
#define CLOSETRACE_RANK_H

#include "world.h"

/* Makes of the sockets that are wanted (by their place in world.list) the rows: of both ends of a connection the worse
 * one. Returns how many; rows has room for world.count. quiet: what owes nothing (TIME_WAIT) is left out, and counted.
 */
size_t rank_rows(const struct world *world, const bool *wanted, const struct sighting **rows, size_t *quiet);

#endif
