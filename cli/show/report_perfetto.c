#include "report_perfetto.h"

#include <string.h>

#include "connection_cells.h"
#include "json_object.h"
#include "pure/names.h"
#include "report_words.h"

/* Each event but the first has a comma before it. */
static void begin(struct object *object, const char *phase, const char *name, uint64_t time_us, int pid) {
    object_begin(object);
    object_text(object, "ph", phase);
    object_text(object, "name", name);
    object_number(object, "ts", time_us);
    object_number(object, "pid", pid > 0 ? (uint64_t)pid : 0);
    object_number(object, "tid", pid > 0 ? (uint64_t)pid : 0);
}

static void finish(struct object *object, FILE *out) {
    object_print(object, out, ",\n");
}

static int process_of(const struct endpoint *endpoint) {
    return endpoint->opener > 0 ? endpoint->opener : endpoint->end_pid > 0 ? endpoint->end_pid : endpoint->gone_pid;
}

static const char *comm_of(const struct endpoint *endpoint) {
    return endpoint->opener > 0 && endpoint->opener_comm[0] ? endpoint->opener_comm : endpoint->end_comm;
}

/* Said anew where the process is another than the last one's: once would be enough, and is not worth a table. */
static void process_name(int pid, const char *comm, int *last, FILE *out) {
    struct object object;
    if (pid == *last || !comm[0])
        return;
    *last = pid;
    begin(&object, "M", "process_name", 0, pid);
    object_name(&object, "args");
    object_open(&object);
    object_comm(&object, "name", comm);
    object_close(&object);
    finish(&object, out);
}

/* An asynchronous slice: those of one process may overlap. */
static void slice(struct object *object, const char *phase, const char *name, uint64_t time_us,
                  const struct endpoint *endpoint) {
    char id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)endpoint->cookie);
    begin(object, phase, name, time_us, process_of(endpoint));
    object_text(object, "cat", "connection");
    object_text(object, "id", id);
}

static void mark(const char *name, uint64_t time_us, const struct endpoint *endpoint, FILE *out) {
    struct object object;
    if (!time_us)
        return;
    slice(&object, "n", name, time_us, endpoint);
    finish(&object, out);
}

static void arguments(struct object *object, const struct endpoint *endpoint) {
    char cell[CELL_SIZE];
    object_name(object, "args");
    object_open(object);
    object_text(object, "role", role_name(endpoint->role));
    end_cell(cell, endpoint, endpoint->peer);
    object_text(object, "end", cell);
    if (endpoint->has_traffic) {
        object_number(object, "sent", endpoint->sent);
        object_number(object, "received", endpoint->received);
    }
    object_true(object, "open", !endpoint->gone_us && !endpoint->failed);
    object_close(object);
}

static void connection(const struct endpoint *endpoint, uint64_t last_us, FILE *out) {
    char name[CONNECTION_TEXT_SIZE];
    struct object object;
    const uint64_t end = endpoint->gone_us ? endpoint->gone_us : endpoint->failed ? endpoint->last_us : last_us;
    connection_text(endpoint, name);
    slice(&object, "b", name, endpoint->first_us, endpoint);
    arguments(&object, endpoint);
    finish(&object, out);
    mark("FIN sent", endpoint->fin_us, endpoint, out);
    mark("RST sent", endpoint->rst_us, endpoint, out);
    mark("EOF read", endpoint->eof_us, endpoint, out);
    mark("RST received", endpoint->reset_us, endpoint, out);
    slice(&object, "e", name, end > endpoint->first_us ? end : endpoint->first_us, endpoint);
    finish(&object, out);
}

static void instant(const struct finding *finding, FILE *out) {
    static const char *const ranks[] = {[CERTAIN] = "finding", [POSSIBLE] = "possible", [NOTE] = "note"};
    char name[64], connection[CONNECTION_TEXT_SIZE];
    struct object object;
    snprintf(name, sizeof name, "%s %s", ranks[finding->certainty], finding_name(finding->kind));
    begin(&object, "i", name, finding->time_us, finding->pid);
    object_text(&object, "cat", "finding");
    object_text(&object, "s", "p");
    object_name(&object, "args");
    object_open(&object);
    connection_text(finding->endpoint, connection);
    object_text(&object, "connection", connection);
    object_text(&object, "caller", finding->caller);
    object_texts(&object, "evidence", finding->evidence, finding->evidence_count);
    object_close(&object);
    finish(&object, out);
}

void report_perfetto(const struct analysis *analysis, FILE *out) {
    const struct totals totals = analysis_totals(analysis);
    struct object object;
    int last = -1;
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", out);
    for (const struct endpoint *endpoint = analysis_endpoints(analysis); endpoint; endpoint = endpoint->next) {
        if (!endpoint_is_connection(endpoint) && !endpoint_is_failed_connect(endpoint))
            continue;
        process_name(process_of(endpoint), comm_of(endpoint), &last, out);
        connection(endpoint, totals.last_us, out);
    }
    for (const struct finding *finding = analysis_findings(analysis); finding; finding = finding->next) {
        process_name(finding->pid, finding->comm, &last, out);
        instant(finding, out);
    }
    begin(&object, "i", "end of the trace", totals.last_us, 0);
    object_text(&object, "s", "g");
    object_print(&object, out, "\n]}\n");
}
