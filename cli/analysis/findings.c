#include "analysis/findings.h"

#include <stdlib.h>

#include "analysis/alike.h"
#include "analysis/finding.h"

void findings_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event) {
    withheld_look(analysis, endpoint, event);
    close_look(analysis, endpoint, event);
    abort_look(analysis, endpoint, event);
    quiet_look(analysis, endpoint, event);
    write_look(analysis, endpoint, event);
    answer_look(analysis, endpoint, event);
    unread_look(analysis, endpoint, event);
    request_look(analysis, endpoint, event);
    shared_look(analysis, endpoint, event);
}

static int by_time(const void *a, const void *b) {
    const struct finding *const *one = a, *const *other = b;
    if ((*one)->time_us != (*other)->time_us)
        return (*one)->time_us < (*other)->time_us ? -1 : 1;
    if ((*one)->endpoint->cookie != (*other)->endpoint->cookie)
        return (*one)->endpoint->cookie < (*other)->endpoint->cookie ? -1 : 1;
    return (int)(*one)->kind - (int)(*other)->kind;
}

static void sort(struct analysis *analysis) {
    size_t count = 0;
    for (struct finding *finding = analysis->findings; finding; finding = finding->next)
        count++;
    if (count == 0)
        return;
    struct finding **all = store_take(analysis, count * sizeof(void *));
    count = 0;
    for (struct finding *finding = analysis->findings; finding; finding = finding->next)
        all[count++] = finding;
    qsort(all, count, sizeof(void *), by_time);
    for (size_t i = 0; i < count; i++)
        all[i]->next = i + 1 < count ? all[i + 1] : NULL;
    analysis->findings = all[0];
}

static void say_callers(struct analysis *analysis) {
    for (struct finding *finding = analysis->findings; finding; finding = finding->next)
        if (finding->caller[0])
            finding_say(analysis, finding, "called from %s", finding->caller);
}

void findings_draw(struct analysis *analysis) {
    shared_prepare(analysis);
    for (struct endpoint *endpoint = analysis->first; endpoint; endpoint = endpoint->next) {
        withheld_draw(analysis, endpoint);
        close_draw(analysis, endpoint);
        abort_draw(analysis, endpoint);
        quiet_draw(analysis, endpoint);
        write_draw(analysis, endpoint);
        answer_draw(analysis, endpoint);
        unread_draw(analysis, endpoint);
        relay_draw(analysis, endpoint);
        request_draw(analysis, endpoint);
        shared_draw(analysis, endpoint);
    }
    say_callers(analysis);
    sort(analysis);
    alike_find(analysis);
}

void analysis_keep(struct analysis *analysis, bool (*is_wanted)(const struct finding *finding, void *context),
                   void *context) {
    struct totals *totals = &analysis->totals;
    uint64_t *const counts[] = {&totals->findings, &totals->possible, &totals->notes};
    for (struct finding **at = &analysis->findings; *at;) {
        struct finding *finding = *at;
        finding->alike = 0;
        if (is_wanted(finding, context)) {
            at = &finding->next;
            continue;
        }
        --*counts[finding->certainty];
        *at = finding->next;
    }
    alike_find(analysis);
}
