/* The parts of closetrace now: the look (now.c), and what follows it with -f (now_follow.c). */
#ifndef CLOSETRACE_NOW_H
#define CLOSETRACE_NOW_H

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

/* What changes from that look on, until somebody interrupts it. Whether there was a finding. */
bool now_follow(struct now *now, struct world *world, bool *wanted);

#endif
