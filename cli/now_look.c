#include "now_look.h"

#include <stdio.h>
#include <unistd.h>

#include "look/grow.h"
#include "pure/render.h"

bool *now_look(struct world *world, struct now *now, size_t *count) {
    choice_find_family(&now->choice);
    if (!world_dump(world, ALL_STATES))
        return NULL;
    world_pair(world);
    world_find_holders(world, getpid());
    world_find_hidden(world);
    bool *wanted = zeroed(world->count + 1, sizeof *wanted);
    *count = 0;
    for (size_t i = 0; i < world->count; i++) {
        wanted[i] = choice_takes(&now->choice, world, &world->list[i]);
        *count += wanted[i];
    }
    return wanted;
}

void now_print_finding(const struct finding *finding, bool json, const struct report_style *style) {
    char line[RENDER_LINE_MAX];
    struct finding_lists lists;
    struct event event;
    if (!json) {
        finding_print(finding, stdout, style);
        return;
    }
    if (finding->certainty == NOTE)
        return;
    finding_event(finding, &event, &lists);
    const size_t length = render_json(&event, line, sizeof line);
    fwrite(line, 1, length, stdout);
}
