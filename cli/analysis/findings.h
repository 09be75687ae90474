/*
 * What is wrong (contract, section 9): findings_look() keeps of each event what may become evidence, findings_draw()
 * draws the conclusions when all is known. A file a finding, or a few that are alike: a look, a judgement, its words.
 */
#ifndef CLOSETRACE_FINDINGS_H
#define CLOSETRACE_FINDINGS_H

#include "analysis/store.h"

void findings_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event);
void findings_draw(struct analysis *analysis);

#endif
