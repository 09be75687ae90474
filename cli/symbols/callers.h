/* Callers by name: "finish at server.c:120" for "nginx+0x3a1b", where the file is there and has symbols. */
#ifndef CLOSETRACE_CALLERS_H
#define CLOSETRACE_CALLERS_H

#include "analysis/analysis.h"

/* An event of a trace: a start tells where a program's file may be. */
void callers_learn(const struct event *event);

/* Looks the callers of the findings up, all of them, each once. */
void callers_find(const struct analysis *analysis);

/* "finish at server.c:120", "finish"; NULL: nobody knows. May have any characters in it. */
const char *caller_source(const char *caller);

/* "called from nginx+0x3a1b" as "called from finish at server.c:120 (nginx+0x3a1b)", where that is known. */
void caller_sentence(const char *sentence, const char *caller, char *into, size_t size);

void callers_forget(void);

#endif
