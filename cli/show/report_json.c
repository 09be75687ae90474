#include "report_json.h"

#include <string.h>

#include "connection_cells.h"
#include "json_object.h"
#include "pure/names.h"
#include "symbols/callers.h"

static void begin(struct object *object, const char *kind) {
    object_begin(object);
    object_number(object, "schema", 1);
    object_text(object, "kind", kind);
}

static void say_address(struct object *object, const char *key, const struct address *address) {
    char text[ADDRESS_TEXT_SIZE];
    if (address_is_unspecified(address) && address->port == 0)
        return;
    address_to_text(address, text);
    object_text(object, key, text);
}

/* Whose address is the client's, is known from the role; of an unknown one the local end is taken for it. */
static void say_addresses(struct object *object, const struct endpoint *endpoint) {
    const bool is_server = endpoint->role == ROLE_SERVER;
    if (endpoint->listened) {
        say_address(object, "listener", &endpoint->local);
        return;
    }
    say_address(object, "client", is_server ? &endpoint->remote : &endpoint->local);
    say_address(object, "server", is_server ? &endpoint->local : &endpoint->remote);
}

static void say_cookie(struct object *object, const struct endpoint *endpoint) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)endpoint->cookie);
    object_text(object, "socket", text);
}

static void say_end(struct object *object, const char *key, const struct endpoint *endpoint,
                    const struct endpoint *other) {
    char cell[CELL_SIZE];
    end_cell(cell, endpoint, other);
    object_name(object, key);
    object_open(object);
    object_text(object, "end", cell);
    if (endpoint) {
        say_cookie(object, endpoint);
        if (endpoint->end_fin) {
            object_text(object, "op", op_name(endpoint->end_op));
            object_text(object, "fin", fin_name(endpoint->end_fin));
            object_number(object, "pid", (uint64_t)endpoint->end_pid);
            object_comm(object, "comm", endpoint->end_comm);
        }
        object_true(object, "open", !endpoint->gone_us && !endpoint->failed);
    }
    object_close(object);
}

static void say_bytes(struct object *object, const char *key, const struct endpoint *from, const struct endpoint *to) {
    if (from && from->has_traffic)
        object_number(object, key, from->sent);
    else if (to && to->has_traffic)
        object_number(object, key, to->received);
}

static void connection(const struct endpoint *endpoint, FILE *out) {
    const struct pair pair = pair_of(endpoint);
    const struct endpoint *const b = endpoint->peer, *end;
    const struct endpoint *const late = endpoint->late ? endpoint : b && b->late ? b : NULL;
    const uint64_t first = b && b->first_us < endpoint->first_us ? b->first_us : endpoint->first_us;
    const unsigned refs = b && b->max_refs > endpoint->max_refs ? b->max_refs : endpoint->max_refs;
    struct object object;
    begin(&object, "connection");
    object_seconds(&object, "time", first);
    object_seconds(&object, "life", life_of(&pair));
    say_addresses(&object, endpoint);
    say_end(&object, "client_end", pair.client, pair.server);
    say_end(&object, "server_end", pair.server, pair.client);
    const char *word = closed_first(&pair, &end);
    object_text(&object, "closed_first", *word == '-' ? NULL : word);
    say_bytes(&object, "sent", pair.client, pair.server);
    say_bytes(&object, "received", pair.server, pair.client);
    if (refs > 0)
        object_number(&object, "references", refs);
    if (late)
        object_seconds(&object, "withheld", late->late->event.time_us - late->gave_up->event.time_us);
    object_print(&object, out, "\n");
}

static void finding_line(const struct finding *finding, FILE *out) {
    struct object object;
    begin(&object, "finding");
    object_text(&object, "finding", finding_name(finding->kind));
    object_text(&object, "rank", certainty_name(finding->certainty));
    object_seconds(&object, "time", finding->time_us);
    if (finding->pid > 0)
        object_number(&object, "pid", (uint64_t)finding->pid);
    object_comm(&object, "comm", finding->comm);
    object_text(&object, "caller", finding->caller);
    object_text(&object, "source", caller_source(finding->caller));
    say_addresses(&object, finding->endpoint);
    say_cookie(&object, finding->endpoint);
    if (finding->alike > 0)
        object_number(&object, "alike", finding->alike);
    object_texts(&object, "evidence", finding->evidence, finding->evidence_count);
    object_print(&object, out, "\n");
}

static void summary(const struct analysis *analysis, FILE *out) {
    const struct totals totals = analysis_totals(analysis);
    struct object object;
    begin(&object, "summary");
    object_number(&object, "connections", totals.connections);
    object_number(&object, "fins", totals.fins);
    object_number(&object, "rsts", totals.rsts);
    object_number(&object, "refused", totals.refused);
    object_number(&object, "timed_out", totals.timed_out);
    object_number(&object, "failed", totals.failed);
    object_number(&object, "findings", totals.findings);
    object_number(&object, "possible", totals.possible);
    object_number(&object, "notes", totals.notes);
    object_number(&object, "unseen", totals.unseen);
    object_number(&object, "events", totals.events);
    object_number(&object, "lost", totals.lost);
    object_true(&object, "goes_on", totals.goes_on_us != 0);
    object_print(&object, out, "\n");
}

static void unseen_line(const struct unseen *unseen, FILE *out) {
    struct object object;
    begin(&object, "unseen");
    object_number(&object, "pid", (uint64_t)unseen->pid);
    object_comm(&object, "comm", unseen->comm);
    object_text(&object, "reach", reach_name(unseen->reach));
    object_print(&object, out, "\n");
}

void report_json(const struct analysis *analysis, FILE *out) {
    summary(analysis, out);
    for (const struct unseen *unseen = analysis_unseen(analysis); unseen; unseen = unseen->next)
        unseen_line(unseen, out);
    for (const struct finding *finding = analysis_findings(analysis); finding; finding = finding->next)
        finding_line(finding, out);
    for (const struct endpoint *endpoint = analysis_endpoints(analysis); endpoint; endpoint = endpoint->next)
        if (connection_has_row(endpoint))
            connection(endpoint, out);
}
