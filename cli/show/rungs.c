#include "rungs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit_status.h"
#include "pure/names.h"
#include "terminal/say.h"

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

static void call_cell(char cell[RUNG_CELL_SIZE], const struct event *event) {
    const char *name = event->call ? event->call : op_name(event->op);
    const char *how = event->has & HAS_HOW && how_name(event->how) ? how_name(event->how) : "";
    const bool has_fd = event->op == OP_ACCEPT || (event->has & HAS_FD && event->fd >= 0);
    char fd[24] = "";
    if (has_fd)
        snprintf(fd, sizeof fd, "%d%s", event->op == OP_ACCEPT ? (int)event->ret : event->fd, *how ? ", " : "");
    const bool is_call = has_fd || *how;
    snprintf(cell, RUNG_CELL_SIZE, "%d %.*s %s%s%s%s%s", event->pid, COMM_SIZE, event->comm, name, is_call ? "(" : "",
             fd, how, is_call ? ")" : "");
}

static void state_cell(char cell[RUNG_CELL_SIZE], const struct event *event) {
    const char *before = state_name(event->state_before), *after = state_name(event->state_after);
    size_t used = 0;
    cell[0] = '\0';
    if (event->op == OP_EOF)
        used += (size_t)snprintf(cell, RUNG_CELL_SIZE, "EOF ");
    if (event->op == OP_RESET)
        used += (size_t)snprintf(cell, RUNG_CELL_SIZE, "RST came ");
    if (event->has & HAS_REFS_BEFORE && event->has & HAS_REFS_AFTER)
        used +=
            (size_t)snprintf(cell + used, RUNG_CELL_SIZE - used, "refs %u->%u ", event->refs_before, event->refs_after);
    if (after && event->state_before != event->state_after)
        used += (size_t)snprintf(cell + used, RUNG_CELL_SIZE - used, "%s%s%s ", before ? before : "",
                                 before ? "->" : "", after);
    if (event->fin == FIN_WITHHELD && event->holders_named > 0 && used < RUNG_CELL_SIZE)
        snprintf(cell + used, RUNG_CELL_SIZE - used, "held by %d %.*s", event->holders[0].pid, COMM_SIZE,
                 event->holders[0].comm);
    for (size_t length = strlen(cell); length > 0 && cell[length - 1] == ' '; length--)
        cell[length - 1] = '\0';
}

/* Which end is the client's: the one that connected; where nobody knows, the higher port. */
static bool is_servers(const struct event *event) {
    if (event->role == ROLE_SERVER || event->role == ROLE_CLIENT)
        return event->role == ROLE_SERVER;
    return event->local.port < event->remote.port;
}

static enum tcp_state state_then(const struct event *event) {
    const bool opened = event->has & HAS_RET && event->ret >= 0 && (event->op == OP_ACCEPT || event->op == OP_CONNECT);
    return opened && !event->state_after ? STATE_ESTABLISHED : event->state_after;
}

static void grow(struct rungs *rungs) {
    const size_t room = rungs->room > 0 ? 2 * rungs->room : 64;
    void *list = realloc(rungs->list, room * sizeof *rungs->list);
    if (!list) {
        say("closetrace: out of memory");
        exit(EXIT_FAILED);
    }
    rungs->list = list;
    rungs->room = room;
}

void rungs_add(struct rungs *rungs, const struct event *event, unsigned source) {
    if (!(event->has & HAS_SOCKET) || event->op == OP_FINDING || address_is_unspecified(&event->remote))
        return;
    if (rungs->count == rungs->room)
        grow(rungs);
    struct rung *rung = &rungs->list[rungs->count];
    memset(rung, 0, sizeof *rung);
    rung->order = rungs->count++;
    rung->time_us = event_happened_at(event);
    rung->cookie = event->cookie;
    rung->pid = event->pid;
    rung->after = state_then(event);
    rung->moved = event->fin == FIN_SENT || event->fin == FIN_RESET || event->fin == FIN_QUEUED;
    rung->source = source;
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

int rungs_compare_connections(const struct rung *a, const struct rung *b) {
    const int client = by_address(&a->client, &b->client);
    return client != 0 ? client : by_address(&a->server, &b->server);
}

static int compare(const void *one, const void *other) {
    const struct rung *a = one, *b = other;
    const int connection = rungs_compare_connections(a, b);
    if (connection != 0)
        return connection;
    if (a->time_us != b->time_us)
        return a->time_us < b->time_us ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

void rungs_sort(struct rungs *rungs) {
    if (rungs->count > 0)
        qsort(rungs->list, rungs->count, sizeof *rungs->list, compare);
}

bool rung_left(const struct rung *rung) {
    return rung->wire[0] != '\0' && rung->wire[0] != '(';
}
