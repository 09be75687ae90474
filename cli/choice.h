/* Which findings are wanted: --only=FINDING and --ignore=FINDING[:KEY=VALUE...], as valgrind has suppressions. */
#ifndef CLOSETRACE_CHOICE_H
#define CLOSETRACE_CHOICE_H

#include <stdbool.h>

#include "analysis/analysis.h"

struct choice;

struct choice *choice_new(void);

/* FINDING[,FINDING...]. False: it has been said what is wrong, and what would be right. */
bool choice_only(struct choice *choice, const char *text);

/* FINDING[:KEY=VALUE...], or @FILE: one a line, # comments. * stands for any finding. False as above. */
bool choice_ignore(struct choice *choice, const char *text);

/* Takes what is not wanted out of the analysis, which has ended. Says which --ignore matched nothing. */
void choice_apply(struct choice *choice, struct analysis *analysis);

void choice_free(struct choice *choice);

#endif
