#include "analysis/alike.h"

#include <stdlib.h>
#include <string.h>

static const struct address *server_of(const struct finding *finding) {
    const struct endpoint *endpoint = finding->endpoint;
    return endpoint->role == ROLE_CLIENT ? &endpoint->remote : &endpoint->local;
}

static int compare_address(const struct address *a, const struct address *b) {
    const int families = (int)a->family - (int)b->family;
    const int ips = families ? families : memcmp(a->ip, b->ip, sizeof a->ip);
    return ips ? ips : (int)a->port - (int)b->port;
}

static const char *peer_comm(const struct finding *finding) {
    const struct endpoint *peer = finding->endpoint->peer;
    return peer ? peer->opener_comm : "";
}

static int compare(const struct finding *a, const struct finding *b) {
    int order = (int)a->kind - (int)b->kind;
    order = order ? order : (int)a->certainty - (int)b->certainty;
    order = order ? order : strncmp(a->comm, b->comm, COMM_SIZE);
    order = order ? order : strcmp(a->caller, b->caller);
    order = order ? order : (int)a->endpoint->role - (int)b->endpoint->role;
    order = order ? order : compare_address(server_of(a), server_of(b));
    return order ? order : strncmp(peer_comm(a), peer_comm(b), COMM_SIZE);
}

/* The first of equals stays the first: `number` is its place in the order of times. */
static int by_likeness(const void *a, const void *b) {
    const struct finding *one = *(struct finding *const *)a, *other = *(struct finding *const *)b;
    const int order = compare(one, other);
    if (order)
        return order;
    return one->number < other->number ? -1 : one->number > other->number;
}

void alike_find(struct analysis *analysis) {
    size_t count = 0;
    for (struct finding *finding = analysis->findings; finding; finding = finding->next)
        finding->number = count++;
    if (count == 0)
        return;
    struct finding **all = store_take(analysis, count * sizeof(void *)), *first = NULL;
    count = 0;
    for (struct finding *finding = analysis->findings; finding; finding = finding->next)
        all[count++] = finding;
    qsort(all, count, sizeof(void *), by_likeness);
    for (size_t i = 0; i < count; i++) {
        if (!first || compare(first, all[i]) != 0)
            first = all[i];
        first->alike++;
        first->last_us = all[i]->time_us;
    }
}
