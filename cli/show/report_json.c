#include "report_json.h"

#include <string.h>

#include "connection_cells.h"
#include "pure/line.h"
#include "pure/names.h"
#include "symbols/callers.h"

enum { LINE_SIZE = 16384 };

/* One object under construction. */
struct object {
    struct line line;
    char text[LINE_SIZE];
    bool first;
};

static void name(struct object *object, const char *key) {
    line_text(&object->line, object->first ? "\"" : ",\"");
    line_text(&object->line, key);
    line_text(&object->line, "\":");
    object->first = false;
}

static void open_object(struct object *object) {
    line_char(&object->line, '{');
    object->first = true;
}

static void close_object(struct object *object) {
    line_char(&object->line, '}');
    object->first = false;
}

static void quote(struct object *object, const char *text, size_t length) {
    line_char(&object->line, '"');
    line_json_escaped(&object->line, text, length);
    line_char(&object->line, '"');
}

static void say_text(struct object *object, const char *key, const char *text) {
    if (!text || !*text)
        return;
    name(object, key);
    quote(object, text, strlen(text));
}

static void say_comm(struct object *object, const char comm[COMM_SIZE]) {
    if (!comm[0])
        return;
    name(object, "comm");
    quote(object, comm, strnlen(comm, COMM_SIZE));
}

static void say_number(struct object *object, const char *key, uint64_t number) {
    name(object, key);
    line_unsigned(&object->line, number);
}

static void say_seconds(struct object *object, const char *key, uint64_t microseconds) {
    name(object, key);
    line_seconds(&object->line, microseconds);
}

static void say_true(struct object *object, const char *key, bool is_true) {
    if (!is_true)
        return;
    name(object, key);
    line_text(&object->line, "true");
}

static void begin(struct object *object, const char *kind) {
    line_init(&object->line, object->text, sizeof object->text);
    open_object(object);
    say_number(object, "schema", 1);
    say_text(object, "kind", kind);
}

static void finish(struct object *object, FILE *out) {
    close_object(object);
    line_char(&object->line, '\n');
    if (!object->line.cut)
        fwrite(object->text, 1, object->line.length, out);
}

static void say_address(struct object *object, const char *key, const struct address *address) {
    char text[ADDRESS_TEXT_SIZE];
    if (address_is_unspecified(address) && address->port == 0)
        return;
    address_to_text(address, text);
    say_text(object, key, text);
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
    say_text(object, "socket", text);
}

static void say_end(struct object *object, const char *key, const struct endpoint *endpoint,
                    const struct endpoint *other) {
    char cell[CELL_SIZE];
    end_cell(cell, endpoint, other);
    name(object, key);
    open_object(object);
    say_text(object, "end", cell);
    if (endpoint) {
        say_cookie(object, endpoint);
        if (endpoint->end_fin) {
            say_text(object, "op", op_name(endpoint->end_op));
            say_text(object, "fin", fin_name(endpoint->end_fin));
            say_number(object, "pid", (uint64_t)endpoint->end_pid);
            say_comm(object, endpoint->end_comm);
        }
        say_true(object, "open", !endpoint->gone_us && !endpoint->failed);
    }
    close_object(object);
}

static void say_bytes(struct object *object, const char *key, const struct endpoint *from, const struct endpoint *to) {
    if (from && from->has_traffic)
        say_number(object, key, from->sent);
    else if (to && to->has_traffic)
        say_number(object, key, to->received);
}

static void connection(const struct endpoint *endpoint, FILE *out) {
    const struct pair pair = pair_of(endpoint);
    const struct endpoint *const b = endpoint->peer, *end;
    const struct endpoint *const late = endpoint->late ? endpoint : b && b->late ? b : NULL;
    const uint64_t first = b && b->first_us < endpoint->first_us ? b->first_us : endpoint->first_us;
    const unsigned refs = b && b->max_refs > endpoint->max_refs ? b->max_refs : endpoint->max_refs;
    struct object object;
    begin(&object, "connection");
    say_seconds(&object, "time", first);
    say_seconds(&object, "life", life_of(&pair));
    say_addresses(&object, endpoint);
    say_end(&object, "client_end", pair.client, pair.server);
    say_end(&object, "server_end", pair.server, pair.client);
    const char *word = closed_first(&pair, &end);
    say_text(&object, "closed_first", *word == '-' ? NULL : word);
    say_bytes(&object, "sent", pair.client, pair.server);
    say_bytes(&object, "received", pair.server, pair.client);
    if (refs > 0)
        say_number(&object, "references", refs);
    if (late)
        say_seconds(&object, "withheld", late->late->event.time_us - late->gave_up->event.time_us);
    finish(&object, out);
}

static void finding_line(const struct finding *finding, FILE *out) {
    struct object object;
    begin(&object, "finding");
    say_text(&object, "finding", finding_name(finding->kind));
    say_text(&object, "rank", certainty_name(finding->certainty));
    say_seconds(&object, "time", finding->time_us);
    if (finding->pid > 0)
        say_number(&object, "pid", (uint64_t)finding->pid);
    say_comm(&object, finding->comm);
    say_text(&object, "caller", finding->caller);
    say_text(&object, "source", caller_source(finding->caller));
    say_addresses(&object, finding->endpoint);
    say_cookie(&object, finding->endpoint);
    if (finding->alike > 0)
        say_number(&object, "alike", finding->alike);
    name(&object, "evidence");
    line_char(&object.line, '[');
    for (unsigned i = 0; i < finding->evidence_count; i++) {
        if (i > 0)
            line_char(&object.line, ',');
        quote(&object, finding->evidence[i], strlen(finding->evidence[i]));
    }
    line_char(&object.line, ']');
    finish(&object, out);
}

static void summary(const struct analysis *analysis, FILE *out) {
    const struct totals totals = analysis_totals(analysis);
    struct object object;
    begin(&object, "summary");
    say_number(&object, "connections", totals.connections);
    say_number(&object, "fins", totals.fins);
    say_number(&object, "rsts", totals.rsts);
    say_number(&object, "refused", totals.refused);
    say_number(&object, "timed_out", totals.timed_out);
    say_number(&object, "failed", totals.failed);
    say_number(&object, "findings", totals.findings);
    say_number(&object, "possible", totals.possible);
    say_number(&object, "notes", totals.notes);
    say_number(&object, "unseen", totals.unseen);
    say_number(&object, "events", totals.events);
    say_number(&object, "lost", totals.lost);
    say_true(&object, "goes_on", totals.goes_on_us != 0);
    finish(&object, out);
}

static void unseen_line(const struct unseen *unseen, FILE *out) {
    struct object object;
    begin(&object, "unseen");
    say_number(&object, "pid", (uint64_t)unseen->pid);
    say_comm(&object, unseen->comm);
    say_text(&object, "reach", reach_name(unseen->reach));
    finish(&object, out);
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
