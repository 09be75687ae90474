#include "rule_tally.h"

#include <stdlib.h>
#include <string.h>

static struct tallied *find(struct rule_tally *tally, const char *rule) {
    struct tallied **at = &tally->rules;
    while (*at && strcmp((*at)->rule, rule) != 0)
        at = &(*at)->next;
    if (!*at && (*at = calloc(1, sizeof **at)) && !((*at)->rule = strdup(rule))) {
        free(*at);
        *at = NULL;
    }
    return *at;
}

/* A process that was killed tells of no rule: what its events say counts as well. */
void rule_tally_event(struct rule_tally *tally, const struct event *event) {
    struct tallied *rule;
    if (event->op == OP_START)
        for (const char *const *text = event->rules; text && *text; text++)
            find(tally, *text);
    if (event->injected && (rule = find(tally, event->injected)))
        rule->fired = true;
    if (event->op == OP_RULE && event->rule && (rule = find(tally, event->rule))) {
        rule->matched += event->matched;
        rule->fired = rule->fired || event->fired > 0;
    }
}

void rule_tally_print(const struct rule_tally *tally, FILE *out) {
    for (const struct tallied *rule = tally->rules; rule; rule = rule->next)
        if (!rule->fired)
            fprintf(out, "closetrace: this rule never fired (it matched %llu time%s): %s\n",
                    (unsigned long long)rule->matched, rule->matched == 1 ? "" : "s", rule->rule);
}

void rule_tally_free(struct rule_tally *tally) {
    while (tally->rules) {
        struct tallied *rule = tally->rules;
        tally->rules = rule->next;
        free(rule->rule);
        free(rule);
    }
}
