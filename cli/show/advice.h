/* What to do about a finding: one sentence for each. */
#ifndef CLOSETRACE_ADVICE_H
#define CLOSETRACE_ADVICE_H

#include "analysis/analysis.h"

const char *finding_advice(enum finding_kind kind);

#endif
