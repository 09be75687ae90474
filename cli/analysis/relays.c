#include "analysis/relays.h"

#include <stdlib.h>

enum { LOOKED_BACK = 64 };

static const uint64_t moment_us = 1000000;

/* An accepted connection and a process that worked on it: the one that accepted it, or the one that ended it. */
struct side {
    int pid;
    struct endpoint *endpoint;
};

static int by_process_and_time(const void *a, const void *b) {
    const struct side *one = a, *other = b;
    if (one->pid != other->pid)
        return one->pid < other->pid ? -1 : 1;
    if (one->endpoint->first_us != other->endpoint->first_us)
        return one->endpoint->first_us < other->endpoint->first_us ? -1 : 1;
    return one->endpoint->cookie < other->endpoint->cookie ? -1 : one->endpoint->cookie > other->endpoint->cookie;
}

static bool was_accepted(const struct endpoint *endpoint) {
    return endpoint_is_connection(endpoint) && endpoint->role != ROLE_CLIENT;
}

static bool was_made(const struct endpoint *endpoint) {
    return endpoint_is_connection(endpoint) && endpoint->role == ROLE_CLIENT;
}

/* 0: it has not ended yet. */
static uint64_t ended_at(const struct endpoint *endpoint) {
    return endpoint->gone_us ? endpoint->gone_us : endpoint->rst_us;
}

static bool was_open(const struct endpoint *accepted, uint64_t when_us) {
    const uint64_t end = ended_at(accepted);
    return accepted->first_us <= when_us && (!end || end >= when_us);
}

static size_t add_sides(struct side *sides, size_t count, struct endpoint *endpoint) {
    const int opener = endpoint->opener, ender = endpoint->end_pid;
    if (opener)
        sides[count++] = (struct side){opener, endpoint};
    if (ender && ender != opener)
        sides[count++] = (struct side){ender, endpoint};
    return count;
}

/* The first side of that process that is later than when_us. */
static size_t first_later(const struct side *sides, size_t count, int pid, uint64_t when_us) {
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct side *side = &sides[middle];
        if (side->pid < pid || (side->pid == pid && side->endpoint->first_us <= when_us))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What came in on the one side went out on the other. */
static bool bytes_agree(const struct endpoint *accepted, const struct endpoint *made) {
    return accepted->has_traffic && made->has_traffic &&
           ((accepted->received > 0 && accepted->received == made->sent) ||
            (made->received > 0 && made->received == accepted->sent));
}

static bool ended_together(const struct endpoint *a, const struct endpoint *b) {
    const uint64_t one = ended_at(a), other = ended_at(b);
    return one == 0 || other == 0 || (one > other ? one - other : other - one) <= moment_us;
}

struct choice {
    struct endpoint *best;
    unsigned open, agreeing;
};

static void look_back(const struct side *sides, size_t from, int pid, const struct endpoint *made,
                      struct choice *choice) {
    for (unsigned i = 0; i < LOOKED_BACK && from-- > 0 && sides[from].pid == pid; i++) {
        struct endpoint *accepted = sides[from].endpoint;
        if (accepted->peer == made || !was_open(accepted, made->first_us))
            continue;
        const bool agrees = bytes_agree(accepted, made);
        choice->open++;
        choice->agreeing += agrees;
        if ((agrees && choice->agreeing == 1) || (!choice->best && ended_together(accepted, made)))
            choice->best = accepted;
    }
}

static void pair(struct endpoint *made, const struct choice *choice) {
    struct endpoint *accepted = choice->best;
    if (accepted)
        accepted->relayed++;
    const bool sure = choice->agreeing == 1 || choice->open == 1;
    if (!accepted || (accepted->relay && accepted->relay_sure && !sure))
        return;
    accepted->relay = made;
    made->relay = accepted;
    accepted->relay_sure = made->relay_sure = sure;
}

static void find(struct endpoint *made, const struct side *sides, size_t count) {
    struct choice choice = {0};
    const int pids[] = {made->opener, made->end_pid};
    for (unsigned i = 0; i < 2 && !choice.best; i++)
        if (pids[i] && (i == 0 || pids[1] != pids[0]))
            look_back(sides, first_later(sides, count, pids[i], made->first_us), pids[i], made, &choice);
    pair(made, &choice);
}

void relays_find(struct analysis *analysis) {
    size_t accepted = 0, made = 0, count = 0;
    for (const struct endpoint *endpoint = analysis->first; endpoint; endpoint = endpoint->next) {
        accepted += was_accepted(endpoint);
        made += was_made(endpoint);
    }
    if (accepted == 0 || made == 0)
        return;
    struct side *sides = store_take(analysis, 2 * accepted * sizeof *sides);
    for (struct endpoint *endpoint = analysis->first; endpoint; endpoint = endpoint->next)
        if (was_accepted(endpoint))
            count = add_sides(sides, count, endpoint);
    qsort(sides, count, sizeof *sides, by_process_and_time);
    for (struct endpoint *endpoint = analysis->first; endpoint; endpoint = endpoint->next)
        if (was_made(endpoint))
            find(endpoint, sides, count);
}

bool relay_waits(const struct endpoint *endpoint, uint64_t when_us) {
    const struct endpoint *other = endpoint->relay;
    return other && other->shut_us && other->shut_us <= when_us && (!other->eof_us || other->eof_us >= when_us) &&
           (!other->reset_us || other->reset_us >= when_us) && (!other->gone_us || other->gone_us >= when_us);
}

bool relay_passes_on(const struct endpoint *endpoint) {
    const struct endpoint *other = endpoint->relay;
    const struct endpoint *accepted = was_accepted(endpoint) ? endpoint : other;
    const bool bytes_known = other && endpoint->has_traffic && other->has_traffic;
    return bytes_known && accepted->relayed == 1 && other->written <= endpoint->received;
}

/*
 * It had asked, or was to, and had no answer: its own peer sent nothing yet, or what it sent was passed on. A
 * connection to a database, of a server that owes its client no answer, was told things that went nowhere.
 */
static bool owed_an_answer(const struct endpoint *other, const struct endpoint *endpoint) {
    return other->received == 0 || (other->end_last == LAST_WRITE && other->received <= endpoint->sent);
}

bool relay_broke_off(const struct endpoint *endpoint, uint64_t when_us) {
    const struct endpoint *other = endpoint->relay;
    if (!other || !other->has_traffic || !owed_an_answer(other, endpoint))
        return false;
    const uint64_t ended = other->shut_both ? other->shut_us : ended_at(other);
    const bool by_its_peer = (other->eof_us && other->eof_us <= ended) || (other->reset_us && other->reset_us <= ended);
    return ended && !by_its_peer && (ended > when_us ? ended - when_us : when_us - ended) <= moment_us;
}
