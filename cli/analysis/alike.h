/*
 * Findings that are alike: of one kind and rank, of one program, from one place in it, about one kind of peer. They are
 * told as one.
 */
#ifndef CLOSETRACE_ALIKE_H
#define CLOSETRACE_ALIKE_H

#include "analysis/store.h"

/* Marks of each set of alike findings the first (`alike`: how many; `last_us`), the others with 0. They are in the
 * order of their times before and after. */
void alike_find(struct analysis *analysis);

#endif
