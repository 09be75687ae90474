/* closetrace now: what is asked for, and one look. */
#ifndef CLOSETRACE_NOW_LOOK_H
#define CLOSETRACE_NOW_LOOK_H

#include "look/choose.h"
#include "show/report_words.h"

struct now {
    struct choice choice;
    bool json, fail, follow;
    uint64_t every_us;
    int netns; /* the process whose namespace is meant, or 0 */
};

/* A look, and which sockets are wanted (freed by the caller); how many. NULL: the kernel does not tell (errno). */
bool *now_look(struct world *world, struct now *now, size_t *count);

/* As text, or as an event of JSON (notes are none). */
void now_print_finding(const struct finding *finding, bool json, const struct report_style *style);

#endif
