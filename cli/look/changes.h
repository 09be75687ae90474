/* What has changed between two looks at the world. */
#ifndef CLOSETRACE_CHANGES_H
#define CLOSETRACE_CHANGES_H

#include "cookies.h"
#include "world.h"

enum change { CHANGE_NEW, CHANGE_STATE, CHANGE_HOLDERS, CHANGE_GONE };

/* before: NULL of a new one; now: NULL of one that is gone. */
typedef void change_told(enum change change, const struct sighting *before, const struct sighting *now, void *context);

/* Connections that are over (TIME_WAIT) neither come nor go. wanted: by the place in the later one's list. */
void world_changes(const struct world *before, const bool *wanted_before, const struct world *now, const bool *wanted,
                   change_told *told, void *context);

#endif
