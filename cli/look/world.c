#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "grow.h"
#include "reader/hash.h"

static size_t slot_of(const struct world *world, const struct address *local, const struct address *remote) {
    return (size_t)hash_pair(hash_address(local), hash_address(remote)) & (world->table_size - 1);
}

/* The scope is not compared: inet_diag does not tell it. */
static bool same_place(const struct address *a, const struct address *b) {
    return a->port == b->port && a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

/* The first with these addresses, or NOBODY; from: *slot, which goes on behind it. */
static int32_t find_tuple(const struct world *world, const struct address *local, const struct address *remote) {
    for (size_t slot = slot_of(world, local, remote); world->by_tuple[slot];
         slot = (slot + 1) & (world->table_size - 1)) {
        const struct sighting *there = &world->list[world->by_tuple[slot] - 1];
        if (same_place(&there->local, local) && same_place(&there->remote, remote))
            return (int32_t)world->by_tuple[slot] - 1;
    }
    return NOBODY;
}

/* A socket that moved while the dump went over the table is there twice. */
static void put(struct world *world, size_t i) {
    struct sighting *sighting = &world->list[i];
    size_t slot = slot_of(world, &sighting->local, &sighting->remote);
    for (; world->by_tuple[slot]; slot = (slot + 1) & (world->table_size - 1))
        if (world->list[world->by_tuple[slot] - 1].cookie == sighting->cookie)
            sighting->twice = true;
    if (!sighting->twice)
        world->by_tuple[slot] = (uint32_t)i + 1;
}

static void index_by_tuple(struct world *world) {
    world->table_size = 64;
    while (world->table_size < 2 * world->count)
        world->table_size *= 2;
    free(world->by_tuple);
    world->by_tuple = zeroed(world->table_size, sizeof *world->by_tuple);
    for (size_t i = 0; i < world->count; i++)
        put(world, i);
}

/* A listener of IPv6 on an address of IPv4 (::ffff:127.0.0.1) has no peer of IPv6. */
static int32_t find_at(const struct world *world, const struct address *place) {
    const struct address nobodies[] = {{.family = place->family}, {.family = ADDRESS_V6}};
    for (size_t i = 0; i < sizeof nobodies / sizeof *nobodies; i++) {
        const int32_t found = find_tuple(world, place, &nobodies[i]);
        if (found != NOBODY && world->list[found].state == STATE_LISTEN)
            return found;
    }
    return NOBODY;
}

/* Who listens where that address is: on it, or on all of them. */
static int32_t find_listener(const struct world *world, const struct address *address) {
    const struct address places[] = {
        *address, {.family = address->family, .port = address->port}, {.family = ADDRESS_V6, .port = address->port}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const int32_t found = find_at(world, &places[i]);
        if (found != NOBODY)
            return found;
    }
    return NOBODY;
}

static enum event_role role_of(const struct world *world, const struct sighting *sighting) {
    if (sighting->listener != NOBODY)
        return ROLE_SERVER;
    return find_listener(world, &sighting->remote) != NOBODY ? ROLE_CLIENT : ROLE_UNKNOWN;
}

void world_pair(struct world *world) {
    index_by_tuple(world);
    for (size_t i = 0; i < world->count; i++) {
        struct sighting *sighting = &world->list[i];
        if (sighting->state == STATE_LISTEN || sighting->twice)
            continue;
        sighting->peer = find_tuple(world, &sighting->remote, &sighting->local);
        if (sighting->peer == (int32_t)i)
            sighting->peer = NOBODY; /* connected to itself */
        sighting->listener = find_listener(world, &sighting->local);
        sighting->role = role_of(world, sighting);
    }
}

void world_free(struct world *world) {
    free(world->list);
    free(world->holdings);
    free(world->processes);
    free(world->by_inode);
    free(world->by_tuple);
    memset(world, 0, sizeof *world);
}
