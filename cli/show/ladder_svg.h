/* One connection's ladder as a picture: SVG inside a page, and the same in words for who cannot see it. */
#ifndef CLOSETRACE_LADDER_SVG_H
#define CLOSETRACE_LADDER_SVG_H

#include <stdio.h>

#include "rungs.h"

/*
 * Rungs of one connection, sorted. id: unique in the page. sources: the names of the traces, where there are several,
 * else NULL.
 */
void ladder_svg(FILE *out, const struct rung *rungs, size_t count, const char *id, const char *const *sources);

#endif
