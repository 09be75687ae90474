/*
 * Any conditions, held against two events: one that has every field, one that has none.
 */
#include "pure/condition.h"

#include "../unit/events.h"
#include "fuzz.h"

static void check_meaning(const struct conditions *conditions) {
    const struct event full = widest_event(0);
    struct event empty;
    event_init(&empty, OP_CLOSE);
    for (unsigned i = 0; i < conditions->count; i++) {
        struct condition condition = conditions->list[i];
        const bool holds = condition_holds(&condition, &full);
        MUST(condition_holds(&condition, &empty) == condition.negated);
        condition.negated = !condition.negated;
        MUST(condition_holds(&condition, &full) == !holds);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct conditions conditions;
    struct parse_error error;
    char *text = string_of(data, size);
    if (conditions_parse(text, &conditions, &error))
        check_meaning(&conditions);
    else
        MUST(error.offset <= strlen(text) && strlen(error.message) > 0);
    free(text);
    return 0;
}
