#include "report_words.h"

#include "clock_text.h"
#include "pure/names.h"
#include "wrapped.h"

#include <stdlib.h>
#include <string.h>

#include "symbols/callers.h"
#include "terminal/say.h"

enum { INDENT = 4 };

static const char yellow[] = "\x1b[33m", red[] = "\x1b[31m", faint[] = "\x1b[2m", plain[] = "\x1b[0m";

static bool points_back(const struct endpoint *endpoint) {
    return endpoint->role == ROLE_SERVER;
}

void connection_text(const struct endpoint *endpoint, char text[CONNECTION_TEXT_SIZE]) {
    char local[ADDRESS_TEXT_SIZE], remote[ADDRESS_TEXT_SIZE];
    address_to_text(&endpoint->local, local);
    address_to_text(&endpoint->remote, remote);
    if (!endpoint_is_connection(endpoint) && address_is_unspecified(&endpoint->remote))
        snprintf(text, CONNECTION_TEXT_SIZE, "%s", local);
    else if (points_back(endpoint))
        snprintf(text, CONNECTION_TEXT_SIZE, "%s -> %s", remote, local);
    else
        snprintf(text, CONNECTION_TEXT_SIZE, "%s -> %s", local, remote);
}

static const char *word_of(const struct finding *finding) {
    switch (finding->certainty) {
    case NOTE:
        return "note";
    case POSSIBLE:
        return "possible";
    default:
        return "finding";
    }
}

static const char *color_of(const struct finding *finding) {
    return finding->certainty == CERTAIN ? red : finding->certainty == POSSIBLE ? yellow : faint;
}

/* "; 199 more like it, the last at 20:11:09.071234": where more than one is told as one. */
static void more_text(const struct finding *finding, const struct report_style *style, char text[128]) {
    char last[CLOCK_TEXT_SIZE];
    text[0] = '\0';
    if (style->all || finding->alike < 2)
        return;
    clock_text(finding->last_us, last);
    snprintf(text, 128, "%llu more like it, the last at %s", (unsigned long long)finding->alike - 1, last);
}

void finding_sentence(const struct finding *finding, unsigned i, char text[SENTENCE_SIZE]) {
    char with_clock[SENTENCE_SIZE];
    clock_sentence(finding->evidence[i], with_clock, sizeof with_clock);
    caller_sentence(with_clock, finding->caller, text, SENTENCE_SIZE);
}

static void sentence_print(const char *text, bool first, FILE *out, const struct report_style *style) {
    if (style->width > 0) {
        print_wrapped(out, text, INDENT, style->width);
        return;
    }
    fputs(first ? ": " : "; ", out);
    print_safely(out, text, 0);
}

/* On a terminal what it rests on stands below it, else behind it. */
void finding_print(const struct finding *finding, FILE *out, const struct report_style *style) {
    char connection[CONNECTION_TEXT_SIZE], more[128], sentence[SENTENCE_SIZE];
    connection_text(finding->endpoint, connection);
    more_text(finding, style, more);
    fprintf(out, "%s%s %s%s %s", style->color ? color_of(finding) : "", word_of(finding), finding_name(finding->kind),
            style->color ? plain : "", connection);
    if (style->width > 0)
        putc('\n', out);
    for (unsigned i = 0; i < finding->evidence_count; i++) {
        finding_sentence(finding, i, sentence);
        sentence_print(sentence, i == 0, out, style);
    }
    if (more[0])
        sentence_print(more, false, out, style);
    if (style->width == 0)
        putc('\n', out);
}

uint64_t findings_print(const struct analysis *analysis, FILE *out, const struct report_style *style, bool notes) {
    uint64_t printed = 0, left_out = 0;
    for (enum certainty rank = CERTAIN; rank <= (notes ? NOTE : POSSIBLE); rank++)
        for (const struct finding *finding = analysis_findings(analysis); finding; finding = finding->next) {
            if (finding->certainty != rank || (!style->all && finding->alike == 0))
                continue;
            if (style->most > 0 && printed == style->most) {
                left_out++;
                continue;
            }
            finding_print(finding, out, style);
            printed++;
        }
    return left_out;
}

void unseen_print(const struct analysis *analysis, FILE *out) {
    const uint64_t count = analysis_totals(analysis).unseen;
    uint64_t named = 0;
    for (const struct unseen *unseen = analysis_unseen(analysis); unseen; unseen = unseen->next, named++) {
        char comm[COMM_SIZE + 1];
        snprintf(comm, sizeof comm, "%.*s", COMM_SIZE, unseen->comm);
        fputs("not seen: ", out);
        print_safely(out, comm, 0);
        const char *why = reach_reason(unseen->reach);
        fprintf(out, ", process %d%s%s%s: what it did is not in the trace\n", unseen->pid, why ? " (" : "",
                why ? why : "", why ? ")" : "");
    }
    if (count > named)
        fprintf(out, "not seen: %llu more processes\n", (unsigned long long)(count - named));
}

static void count_print(FILE *out, const char *before, uint64_t count, const char *one, const char *many) {
    fprintf(out, "%s%llu %s", before, (unsigned long long)count, count == 1 ? one : many);
}

static void summary_words(const struct analysis *analysis, FILE *out) {
    const struct totals totals = analysis_totals(analysis);
    count_print(out, "", totals.connections, "connection", "connections");
    count_print(out, ", ", totals.fins, "FIN", "FINs");
    count_print(out, ", ", totals.rsts, "RST", "RSTs");
    if (totals.refused > 0)
        count_print(out, ", ", totals.refused, "connect refused", "connects refused");
    if (totals.timed_out > 0)
        count_print(out, ", ", totals.timed_out, "connect timed out", "connects timed out");
    if (totals.failed > 0)
        count_print(out, ", ", totals.failed, "connect failed", "connects failed");
    count_print(out, "; ", totals.findings, "finding", "findings");
    if (totals.possible > 0)
        count_print(out, ", ", totals.possible, "possible one", "possible ones");
    if (totals.notes > 0)
        count_print(out, ", ", totals.notes, "note", "notes");
    count_print(out, "; ", totals.events, "event", "events");
    if (totals.lost > 0)
        count_print(out, ", ", totals.lost, "lost", "lost");
    if (totals.goes_on_us)
        fputs("; the session goes on", out);
}

void summary_print(const struct analysis *analysis, FILE *out, unsigned width) {
    char *text = NULL;
    size_t size;
    FILE *memory = width > 0 ? open_memstream(&text, &size) : NULL;
    if (!memory) {
        summary_words(analysis, out);
        putc('\n', out);
        return;
    }
    summary_words(analysis, memory);
    if (fclose(memory) == 0)
        print_wrapped(out, text, 0, width);
    free(text);
}

/* "nginx+0x3a1b", taken apart again. */
static void set_caller(struct event *event, const char *caller) {
    const char *plus = strrchr(caller, '+');
    if (!plus || (size_t)(plus - caller) > CALLER_MODULE_SIZE)
        return;
    memcpy(event->caller_module, caller, (size_t)(plus - caller));
    event->caller_offset = strtoull(plus + 1, NULL, 16);
}

void finding_event(const struct finding *finding, struct event *event, struct finding_lists *lists) {
    const struct endpoint *endpoint = finding->endpoint;
    event_init(event, OP_FINDING);
    memset(lists, 0, sizeof *lists);
    event->time_us = finding->time_us;
    event->pid = event->tid = finding->pid;
    memcpy(event->comm, finding->comm, COMM_SIZE);
    event->has |= HAS_SOCKET;
    event->cookie = endpoint->cookie;
    event->local = endpoint->local;
    event->remote = endpoint->remote;
    event->role = endpoint->role;
    event->finding = finding_name(finding->kind);
    set_caller(event, finding->caller);
    event->possible = finding->certainty == POSSIBLE;
    snprintf(lists->cookies[0], sizeof lists->cookies[0], "%llu", (unsigned long long)endpoint->cookie);
    lists->sockets[0] = lists->cookies[0];
    if (endpoint->peer) {
        snprintf(lists->cookies[1], sizeof lists->cookies[1], "%llu", (unsigned long long)endpoint->peer->cookie);
        lists->sockets[1] = lists->cookies[1];
    }
    for (unsigned i = 0; i < finding->evidence_count; i++)
        lists->evidence[i] = finding->evidence[i];
    event->sockets = lists->sockets;
    event->evidence = lists->evidence;
}
