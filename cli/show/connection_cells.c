#include "connection_cells.h"

#include <stdio.h>
#include <string.h>

#include "pure/names.h"

struct pair pair_of(const struct endpoint *endpoint) {
    if (endpoint->role == ROLE_SERVER)
        return (struct pair){endpoint->peer, endpoint, endpoint};
    return (struct pair){endpoint, endpoint->peer, endpoint};
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return !a || (b && b < a) ? b : a;
}

uint64_t life_of(const struct pair *pair) {
    const struct endpoint *a = pair->any, *b = a->peer;
    const uint64_t first = earlier(a->first_us, b ? b->first_us : 0);
    const uint64_t last = b && b->known_us > a->known_us ? b->known_us : a->known_us;
    return last > first ? last - first : 0;
}

void life_cell(char cell[CELL_SIZE], const struct pair *pair) {
    const struct endpoint *a = pair->any, *b = a->peer;
    const bool open = !a->gone_us || (b && !b->gone_us);
    snprintf(cell, CELL_SIZE, "%.3f s%s", (double)life_of(pair) / 1e6, open ? "+" : "");
}

/* What one end sent the other received, less what was lost or not yet there. */
void bytes_cell(char cell[CELL_SIZE], const struct endpoint *from, const struct endpoint *to) {
    const struct endpoint *sender = from && from->has_traffic ? from : NULL;
    const struct endpoint *receiver = to && to->has_traffic ? to : NULL;
    if (sender && !(sender->snapshot && receiver && !receiver->snapshot))
        snprintf(cell, CELL_SIZE, "%llu%s", (unsigned long long)sender->sent, sender->snapshot ? "+" : "");
    else if (receiver)
        snprintf(cell, CELL_SIZE, "%llu%s", (unsigned long long)receiver->received, receiver->snapshot ? "+" : "");
    else
        snprintf(cell, CELL_SIZE, "?");
}

/* When that end's FIN or RST is known to have left; seen: by the other one. */
static uint64_t left_at(const struct endpoint *endpoint, const struct endpoint *other) {
    const uint64_t own = endpoint ? earlier(endpoint->fin_us, endpoint->rst_us) : 0;
    return own ? own : other ? earlier(other->peer_fin_us, other->reset_us) : 0;
}

const char *closed_first(const struct pair *pair, const struct endpoint **end) {
    const uint64_t client = left_at(pair->client, pair->server), server = left_at(pair->server, pair->client);
    const bool is_client = client && (!server || client <= server);
    const struct endpoint *first = is_client ? pair->client : pair->server;
    const bool is_known = client || server;
    *end = is_known && first && first->end_fin ? first : NULL;
    return !is_known ? "-" : is_client ? "client" : "server";
}

static const char *what_left(const struct endpoint *endpoint) {
    if (endpoint->rst_us)
        return endpoint->fin_us ? "FIN, RST" : "RST";
    if (endpoint->fin_us)
        return endpoint->end_fin == FIN_QUEUED ? "FIN queued" : "FIN";
    switch (endpoint->died) {
    case WHY_TIMED_OUT:
        return "nothing, timed out";
    case WHY_DESTROYED:
        return "nothing, destroyed";
    default:
        return "nothing";
    }
}

static const char *what_failed(const struct endpoint *endpoint) {
    switch (endpoint->failed_why) {
    case WHY_REFUSED:
        return "refused";
    case WHY_TIMED_OUT:
        return "timed out";
    default:
        return "failed";
    }
}

void end_cell(char cell[CELL_SIZE], const struct endpoint *endpoint, const struct endpoint *other) {
    if (!endpoint) {
        const bool reset = other->reset_us != 0;
        snprintf(cell, CELL_SIZE, "%s", reset ? "(RST)" : other->peer_fin_us ? "(FIN)" : "?");
        return;
    }
    if (endpoint->failed)
        snprintf(cell, CELL_SIZE, "%s", what_failed(endpoint));
    else if (endpoint->shut_us && endpoint->fin_us && endpoint->fin_us <= endpoint->shut_us)
        snprintf(cell, CELL_SIZE, "shutdown %s%s", what_left(endpoint), endpoint->gone_us ? "" : ", open");
    else if (endpoint->end_fin)
        snprintf(cell, CELL_SIZE, "%s %s", op_name(endpoint->end_op), what_left(endpoint));
    else if (other && (other->peer_fin_us || other->reset_us))
        snprintf(cell, CELL_SIZE, "%s", other->peer_fin_us ? "(FIN)" : "(RST)");
    else if (endpoint->gone_us)
        snprintf(cell, CELL_SIZE, "killed ?");
    else
        snprintf(cell, CELL_SIZE, "open");
}

void references_cell(char cell[CELL_SIZE], const struct pair *pair) {
    const struct endpoint *a = pair->any, *b = a->peer;
    const struct endpoint *const late = a->late ? a : b && b->late ? b : NULL;
    unsigned most = b && b->max_refs > a->max_refs ? b->max_refs : a->max_refs;
    const int used = most > 0 ? snprintf(cell, CELL_SIZE, "%u", most) : snprintf(cell, CELL_SIZE, "?");
    if (late)
        snprintf(cell + used, CELL_SIZE - (size_t)used, ", withheld %.3f s until %d %.*s",
                 (double)(late->late->event.time_us - late->gave_up->event.time_us) / 1e6, late->late->event.pid,
                 COMM_SIZE, late->late->event.comm);
}

bool connection_has_row(const struct endpoint *endpoint) {
    return endpoint_stands(endpoint) || endpoint_is_failed_connect(endpoint);
}

void cell_narrow(char cell[CELL_SIZE], unsigned most) {
    const size_t length = strlen(cell);
    const size_t head = most / 2 - 1, tail = most - head - 2;
    if (length <= most)
        return;
    cell[head] = cell[head + 1] = '.';
    memmove(cell + head + 2, cell + length - tail, tail + 1);
}
