#include "rank.h"

#include <stdlib.h>
#include <string.h>

/* The lower the worse. */
enum rank {
    RANK_CLOSE_WAIT,
    RANK_UNREAD,
    RANK_QUEUE_FULL,
    RANK_ORPHAN_OWES,
    RANK_HALF_CLOSED,
    RANK_YOUNG_CLOSE_WAIT,
    RANK_SHARED,
    RANK_CONNECTION,
    RANK_LISTENER,
    RANK_ORPHAN,
    RANK_OVER,
};

enum { LONG_MS = 2000 };

static enum rank rank_of(const struct sighting *sighting) {
    const bool quiet = sighting_idle_ms(sighting) >= LONG_MS;
    switch (sighting->state) {
    case STATE_CLOSE_WAIT:
        return quiet && sighting_in_state_ms(sighting) >= LONG_MS ? RANK_CLOSE_WAIT : RANK_YOUNG_CLOSE_WAIT;
    case STATE_LISTEN:
        return sighting->receive_queue > sighting->send_queue ? RANK_QUEUE_FULL : RANK_LISTENER;
    case STATE_TIME_WAIT:
        return RANK_OVER;
    case STATE_ESTABLISHED:
        if (quiet && sighting_unread(sighting) > 0)
            return RANK_UNREAD;
        return sighting->holders > 1 ? RANK_SHARED : RANK_CONNECTION;
    default:
        break;
    }
    if (sighting->inode != 0)
        return sighting->shut & SHUT_WRITING ? RANK_HALF_CLOSED : RANK_CONNECTION;
    return sighting_owed(sighting) > 0 ? RANK_ORPHAN_OWES : RANK_ORPHAN;
}

static uint64_t standing_ms(const struct sighting *sighting) {
    const uint64_t in_state = sighting_in_state_ms(sighting);
    return in_state > 0 ? in_state : sighting_idle_ms(sighting);
}

static int compare_addresses(const struct sighting *one, const struct sighting *other) {
    const int local = memcmp(one->local.ip, other->local.ip, sizeof one->local.ip);
    if (one->local.port != other->local.port)
        return one->local.port < other->local.port ? -1 : 1;
    if (local != 0)
        return local;
    if (one->remote.port != other->remote.port)
        return one->remote.port < other->remote.port ? -1 : 1;
    return memcmp(one->remote.ip, other->remote.ip, sizeof one->remote.ip);
}

static int by_rank(const void *a, const void *b) {
    const struct sighting *one = *(const struct sighting *const *)a, *other = *(const struct sighting *const *)b;
    const enum rank first = rank_of(one), second = rank_of(other);
    if (first != second)
        return first < second ? -1 : 1;
    if (standing_ms(one) != standing_ms(other))
        return standing_ms(one) > standing_ms(other) ? -1 : 1;
    return compare_addresses(one, other);
}

/* Of both ends that are wanted one has the row. */
static bool has_row(const struct world *world, const bool *wanted, const struct sighting *sighting) {
    if (sighting->peer == NOBODY || !wanted[sighting->peer])
        return true;
    const struct sighting *peer = &world->list[sighting->peer];
    const enum rank own = rank_of(sighting), others = rank_of(peer);
    if (own != others)
        return own < others;
    if ((sighting->role == ROLE_SERVER) != (peer->role == ROLE_SERVER))
        return sighting->role == ROLE_SERVER;
    return sighting->cookie < peer->cookie;
}

size_t rank_rows(const struct world *world, const bool *wanted, const struct sighting **rows, size_t *quiet) {
    size_t count = 0;
    *quiet = 0;
    for (size_t i = 0; i < world->count; i++) {
        const struct sighting *sighting = &world->list[i];
        if (!wanted[i] || !has_row(world, wanted, sighting))
            continue;
        if (rank_of(sighting) == RANK_OVER)
            ++*quiet;
        else
            rows[count++] = sighting;
    }
    qsort(rows, count, sizeof(void *), by_rank);
    return count;
}
