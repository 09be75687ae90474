#include "changes.h"

static void index_by_cookie(const struct world *world, struct cookies *cookies) {
    for (size_t i = 0; i < world->count; i++)
        if (!world->list[i].twice)
            cookies_put(cookies, world->list[i].cookie, (uint32_t)i);
}

static bool same_holders(const struct world *before, const struct sighting *old, const struct world *now,
                         const struct sighting *new) {
    int32_t a = old->holding, b = new->holding;
    for (; a != NOBODY && b != NOBODY; a = before->holdings[a].next, b = now->holdings[b].next) {
        const struct holding *one = &before->holdings[a], *other = &now->holdings[b];
        if (one->fd != other->fd || before->processes[one->process].pid != now->processes[other->process].pid)
            return false;
    }
    return a == b;
}

void world_changes(const struct world *before, const bool *wanted_before, const struct world *now, const bool *wanted,
                   change_told *told, void *context) {
    struct cookies old = {0}, new = {0};
    uint32_t place;
    index_by_cookie(before, &old);
    index_by_cookie(now, &new);
    for (size_t i = 0; i < before->count; i++)
        if (wanted_before[i] && before->list[i].state != STATE_TIME_WAIT &&
            !cookies_find(&new, before->list[i].cookie, &place))
            told(CHANGE_GONE, &before->list[i], NULL, context);
    for (size_t i = 0; i < now->count; i++) {
        const struct sighting *sighting = &now->list[i];
        const bool known = cookies_find(&old, sighting->cookie, &place);
        if (!wanted[i] && !(known && wanted_before[place]))
            continue;
        if (!known && sighting->state != STATE_TIME_WAIT)
            told(CHANGE_NEW, NULL, sighting, context);
        else if (known && before->list[place].state != sighting->state)
            told(CHANGE_STATE, &before->list[place], sighting, context);
        else if (known && !same_holders(before, &before->list[place], now, sighting))
            told(CHANGE_HOLDERS, &before->list[place], sighting, context);
    }
    cookies_clear(&old);
    cookies_clear(&new);
}
