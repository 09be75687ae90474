/*
 * What is wrong now, in the words of section 9 of the contract: findings of what stands, as those of a trace. Each
 * socket that is named was looked at once more after the search. Alike findings are one.
 */
#ifndef CLOSETRACE_WRONG_H
#define CLOSETRACE_WRONG_H

#include "analysis/analysis.h"
#include "world.h"

/* rows: the worst first (rank.h). The analysis has the findings, and goes with analysis_free(). */
struct analysis *wrong_find(struct world *world, const struct sighting *const *rows, size_t count);

#endif
