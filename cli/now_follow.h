/* closetrace now -f. */
#ifndef CLOSETRACE_NOW_FOLLOW_H
#define CLOSETRACE_NOW_FOLLOW_H

#include "now_look.h"

/* What changes from that look on, until somebody interrupts it. Whether there was a finding. */
bool now_follow(struct now *now, struct world *world, bool *wanted);

#endif
