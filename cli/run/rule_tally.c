#include "rule_tally.h"

#include <stdlib.h>
#include <string.h>

#include "pure/utf8.h"
#include "terminal/say.h"

bool rule_tally_begin(struct rule_tally *tally, const char *const *rules) {
    size_t count = 0;
    while (rules[count])
        count++;
    *tally = (struct rule_tally){.rules = rules, .counts = calloc(count + 1, sizeof *tally->counts)};
    return tally->counts;
}

void rule_tally_free(struct rule_tally *tally) {
    free(tally->counts);
}

static uint32_t next_character(const char **text, size_t *left) {
    enum { REPLACEMENT = 0xfffd };
    uint32_t code;
    const size_t used = utf8_next(*text, *left, &code);
    *text += used;
    *left -= used;
    return code == UTF8_INVALID ? REPLACEMENT : code;
}

/* In a line of JSON what is not UTF-8 has become something else. */
static bool is_same(const char *a, const char *b) {
    size_t a_left = strlen(a), b_left = strlen(b);
    while (a_left > 0 && b_left > 0)
        if (next_character(&a, &a_left) != next_character(&b, &b_left))
            return false;
    return a_left == 0 && b_left == 0;
}

/* A rule that was given twice stands in two places: each of its events is of both. */
static bool is_it(const struct rule_tally *tally, unsigned i, const char *text) {
    return text && is_same(tally->rules[i], text);
}

/* A process that was killed tells of no rule: what its events say counts as well. */
void rule_tally_event(struct rule_tally *tally, const struct event *event) {
    for (unsigned i = 0; tally->rules[i]; i++) {
        if (is_it(tally, i, event->injected))
            tally->counts[i].fired = true;
        if (event->op != OP_RULE || !is_it(tally, i, event->rule))
            continue;
        tally->counts[i].matched += event->matched;
        tally->counts[i].fired = tally->counts[i].fired || event->fired > 0;
    }
}

void rule_tally_say(const struct rule_tally *tally) {
    for (unsigned i = 0; tally->rules[i]; i++)
        if (!tally->counts[i].fired)
            say("closetrace: this rule never fired (it matched %llu time%s): %s",
                (unsigned long long)tally->counts[i].matched, tally->counts[i].matched == 1 ? "" : "s",
                tally->rules[i]);
}
