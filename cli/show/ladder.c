#include "ladder.h"

#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "pure/names.h"
#include "terminal/say.h"

enum { CELL_SIZE = 96, WIRE_SIZE = 16, NARROW = 28, WIDE = 56 };

/* One rung: what one end did. */
struct rung {
    uint64_t time_us, cookie;
    size_t order;
    struct address client, server;
    bool right; /* the server's end did it */
    char call[CELL_SIZE], state[CELL_SIZE], wire[WIRE_SIZE];
};

struct ladder {
    char address[ADDRESS_TEXT_SIZE];
    struct rung *rungs;
    size_t count, room;
};

struct ladder *ladder_new(const char *address) {
    struct ladder *ladder = calloc(1, sizeof *ladder);
    if (ladder)
        snprintf(ladder->address, sizeof ladder->address, "%s", address);
    return ladder;
}

void ladder_free(struct ladder *ladder) {
    if (ladder)
        free(ladder->rungs);
    free(ladder);
}

static bool is(const struct ladder *ladder, const struct address *address) {
    char text[ADDRESS_TEXT_SIZE];
    address_to_text(address, text);
    return strcmp(text, ladder->address) == 0;
}

static const char *wire_of(const struct event *event) {
    if (event->op == OP_CONNECT)
        return event->ret == 0 || event->fd >= 0 ? "SYN" : "";
    switch (event->fin) {
    case FIN_SENT:
        return "FIN";
    case FIN_QUEUED:
        return "(FIN queued)";
    case FIN_WITHHELD:
        return "(no FIN)";
    case FIN_RESET:
        return event->why == WHY_LINGER2 ? "FIN, RST" : "RST";
    default:
        return "";
    }
}

static void call_cell(char cell[CELL_SIZE], const struct event *event) {
    const char *name = event->call ? event->call : op_name(event->op);
    const char *how = event->has & HAS_HOW && how_name(event->how) ? how_name(event->how) : "";
    const int fd = event->op == OP_ACCEPT ? (int)event->ret : event->fd;
    snprintf(cell, CELL_SIZE, "%d %.*s %s(%d%s%s)", event->pid, COMM_SIZE, event->comm, name, fd, *how ? ", " : "",
             how);
}

static void state_cell(char cell[CELL_SIZE], const struct event *event) {
    const char *before = state_name(event->state_before), *after = state_name(event->state_after);
    size_t used = 0;
    cell[0] = '\0';
    if (event->op == OP_EOF)
        used += (size_t)snprintf(cell, CELL_SIZE, "EOF ");
    if (event->op == OP_RESET)
        used += (size_t)snprintf(cell, CELL_SIZE, "RST came ");
    if (event->has & HAS_REFS_BEFORE && event->has & HAS_REFS_AFTER)
        used += (size_t)snprintf(cell + used, CELL_SIZE - used, "refs %u->%u ", event->refs_before, event->refs_after);
    if (after && event->state_before != event->state_after)
        used +=
            (size_t)snprintf(cell + used, CELL_SIZE - used, "%s%s%s ", before ? before : "", before ? "->" : "", after);
    if (event->fin == FIN_WITHHELD && event->holders_named > 0 && used < CELL_SIZE)
        snprintf(cell + used, CELL_SIZE - used, "held by %d %.*s", event->holders[0].pid, COMM_SIZE,
                 event->holders[0].comm);
}

/* Which end is the client's: the one that connected; where nobody knows, the higher port. */
static bool is_servers(const struct event *event) {
    if (event->role == ROLE_SERVER || event->role == ROLE_CLIENT)
        return event->role == ROLE_SERVER;
    return event->local.port < event->remote.port;
}

void ladder_event(struct ladder *ladder, const struct event *event) {
    if (!(event->has & HAS_SOCKET) || event->op == OP_FINDING || address_is_unspecified(&event->remote) ||
        (!is(ladder, &event->local) && !is(ladder, &event->remote)))
        return;
    if (ladder->count == ladder->room) {
        const size_t room = ladder->room > 0 ? 2 * ladder->room : 64;
        struct rung *rungs = realloc(ladder->rungs, room * sizeof *rungs);
        if (!rungs)
            return;
        ladder->rungs = rungs;
        ladder->room = room;
    }
    struct rung *rung = &ladder->rungs[ladder->count];
    memset(rung, 0, sizeof *rung);
    rung->order = ladder->count++;
    rung->time_us = event_happened_at(event);
    rung->cookie = event->cookie;
    rung->right = is_servers(event);
    rung->client = rung->right ? event->remote : event->local;
    rung->server = rung->right ? event->local : event->remote;
    call_cell(rung->call, event);
    state_cell(rung->state, event);
    snprintf(rung->wire, sizeof rung->wire, "%s", wire_of(event));
}

static int by_address(const struct address *a, const struct address *b) {
    const int ip = memcmp(a->ip, b->ip, sizeof a->ip);
    if (ip != 0 || a->port != b->port)
        return ip != 0 ? ip : (int)a->port - (int)b->port;
    return a->scope_id < b->scope_id ? -1 : a->scope_id > b->scope_id;
}

static int by_connection(const struct rung *a, const struct rung *b) {
    const int client = by_address(&a->client, &b->client);
    return client != 0 ? client : by_address(&a->server, &b->server);
}

static int compare(const void *one, const void *other) {
    const struct rung *a = one, *b = other;
    const int connection = by_connection(a, b);
    if (connection != 0)
        return connection;
    if (a->time_us != b->time_us)
        return a->time_us < b->time_us ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static void print_padded(FILE *out, const char *text, unsigned width) {
    print_safely(out, text, width);
    for (size_t length = strlen(text); length < width; length++)
        putc(' ', out);
}

/* The wire, WIRE_SIZE columns: an arrow where something left, only the line where nothing did. */
static void print_wire(FILE *out, const struct rung *rung, bool color) {
    const bool left = rung->wire[0] != '\0' && rung->wire[0] != '(';
    const unsigned length = (unsigned)strlen(rung->wire);
    const unsigned pad = WIRE_SIZE - length;
    const char fill = left ? '-' : ' ';
    fputs(rung->right && left ? "|<" : "| ", out);
    for (unsigned i = 0; i < pad / 2; i++)
        putc(fill, out);
    fputs(color && rung->wire[0] ? left && strstr(rung->wire, "RST") ? "\x1b[31m"
                                   : left                            ? "\x1b[32m"
                                                                     : "\x1b[33m"
                                 : "",
          out);
    fputs(rung->wire, out);
    fputs(color && rung->wire[0] ? "\x1b[0m" : "", out);
    for (unsigned i = pad / 2; i < pad; i++)
        putc(fill, out);
    fputs(!rung->right && left ? ">|" : " |", out);
}

static void print_time(FILE *out, uint64_t time_us) {
    const uint64_t day = 24 * 3600;
    const uint64_t second = (time_us / 1000000 + (uint64_t)((int64_t)day + local_offset(time_us))) % day;
    fprintf(out, "%02u:%02u:%02u.%06u  ", (unsigned)(second / 3600), (unsigned)(second / 60 % 60),
            (unsigned)(second % 60), (unsigned)(time_us % 1000000));
}

static void print_line(FILE *out, const struct rung *rung, unsigned side, const char *text, bool first, bool color) {
    struct rung nothing = *rung;
    nothing.wire[0] = '\0';
    if (first)
        print_time(out, rung->time_us);
    else
        fprintf(out, "%17s", "");
    print_padded(out, rung->right ? "" : text, side);
    putc(' ', out);
    print_wire(out, first ? rung : &nothing, color);
    if (rung->right) {
        putc(' ', out);
        print_safely(out, text, side);
    }
    putc('\n', out);
}

static void print_heading(FILE *out, const struct rung *rung, unsigned side) {
    char client[ADDRESS_TEXT_SIZE], server[ADDRESS_TEXT_SIZE];
    address_to_text(&rung->client, client);
    address_to_text(&rung->server, server);
    fprintf(out, "%17s", "");
    print_padded(out, client, side);
    fprintf(out, " %*s %s\n", WIRE_SIZE + 4, "", server);
}

unsigned ladder_print(struct ladder *ladder, FILE *out, const struct report_style *style) {
    enum { AROUND = 17 + WIRE_SIZE + 4 + 2 };
    unsigned connections = 0;
    unsigned side = style->width > AROUND ? (style->width - AROUND) / 2 : NARROW;
    side = style->width == 0 || side > WIDE ? WIDE : side < NARROW ? NARROW : side;
    if (ladder->count > 0)
        qsort(ladder->rungs, ladder->count, sizeof *ladder->rungs, compare);
    for (size_t i = 0; i < ladder->count; i++) {
        const struct rung *rung = &ladder->rungs[i];
        if (i == 0 || by_connection(rung, rung - 1) != 0) {
            fputs(connections++ > 0 ? "\n" : "", out);
            print_heading(out, rung, side);
        }
        print_line(out, rung, side, rung->call, true, style->color);
        if (rung->state[0])
            print_line(out, rung, side, rung->state, false, style->color);
    }
    return connections;
}
