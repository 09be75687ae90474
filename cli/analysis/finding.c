#include "analysis/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pure/names.h"

static const char *const names[FINDING_COUNT] = {
    [FINDING_FIN_WITHHELD] = "fin-withheld",
    [FINDING_RESET_ON_CLOSE] = "reset-on-close",
    [FINDING_HALF_CLOSE_AS_ABORT] = "half-close-as-abort",
    [FINDING_CLOSE_WAIT] = "close-wait",
    [FINDING_NEVER_CLOSED] = "never-closed",
    [FINDING_DOUBLE_CLOSE] = "double-close",
    [FINDING_CLOSED_IN_USE] = "closed-in-use",
    [FINDING_WRITE_AFTER_END] = "write-after-end",
    [FINDING_QUEUE_RESET] = "queue-reset",
    [FINDING_ANSWER_CUT] = "answer-cut",
    [FINDING_SHORT_WRITE] = "short-write",
    [FINDING_UNREAD_AT_END] = "unread-at-end",
    [FINDING_UPLOAD_CUT] = "upload-cut",
    [FINDING_REQUEST_AFTER_FIN] = "request-after-fin",
    [FINDING_PORT_HELD] = "port-held",
    [FINDING_CLOSED_ANOTHERS] = "closed-anothers",
    [FINDING_SHARED_CONNECTION] = "shared-connection",
    [FINDING_GAVE_UP] = "gave-up",
    [FINDING_QUEUE_FULL] = "queue-full",
};

const char *finding_name(enum finding_kind kind) {
    return (unsigned)kind < FINDING_COUNT ? names[kind] : NULL;
}

bool is_injected(const struct event *event) {
    return event->injected || event->why == WHY_PARKED;
}

struct event event_of_end(const struct endpoint *endpoint) {
    struct event event = {.time_us = endpoint->rst_us ? endpoint->rst_us : endpoint->gone_us, .pid = endpoint->end_pid};
    memcpy(event.comm, endpoint->end_comm, COMM_SIZE);
    return event;
}

bool by_signal(const struct event *event) {
    return event->call && strncmp(event->call, "SIG", 3) == 0;
}

const char *words_of_call(const struct event *event) {
    static char texts[2][128];
    static unsigned turn;
    char *const text = texts[turn++ % 2];
    const char *name = event->call ? event->call : op_name(event->op);
    char number[16] = "";
    if (event->has & HAS_FD)
        snprintf(number, sizeof number, "%d", event->fd);
    snprintf(text, sizeof texts[0], "%d %.*s %s(%s) at %llu.%06u", event->pid, COMM_SIZE, event->comm, name, number,
             (unsigned long long)(event->time_us / 1000000), (unsigned)(event->time_us % 1000000));
    return text;
}

const char *words_of_time(uint64_t microseconds) {
    static char texts[2][32];
    static unsigned turn;
    char *const text = texts[turn++ % 2];
    snprintf(text, sizeof texts[0], "%.3f s", (double)microseconds / 1e6);
    return text;
}

static const char *caller_text(struct analysis *analysis, const struct event *event) {
    char text[CALLER_MODULE_SIZE + 24];
    if (!event->caller_module[0])
        return "";
    const int length = snprintf(text, sizeof text, "%.*s+0x%llx", CALLER_MODULE_SIZE, event->caller_module,
                                (unsigned long long)event->caller_offset);
    return store_text(analysis, text, (size_t)length);
}

const char *certainty_name(enum certainty certainty) {
    static const char *const ranks[] = {[CERTAIN] = "finding", [POSSIBLE] = "possible", [NOTE] = "note"};
    return ranks[certainty];
}

struct finding *finding_add(struct analysis *analysis, enum finding_kind kind, enum certainty certainty,
                            const struct endpoint *endpoint, const struct event *event) {
    struct finding *finding = store_take(analysis, sizeof *finding);
    finding->kind = kind;
    finding->certainty = certainty;
    finding->endpoint = endpoint;
    finding->time_us = event->time_us;
    finding->pid = event->pid;
    memcpy(finding->comm, event->comm, COMM_SIZE);
    finding->caller = caller_text(analysis, event);
    finding->next = analysis->findings;
    analysis->findings = finding;
    uint64_t *const counts[] = {&analysis->totals.findings, &analysis->totals.possible, &analysis->totals.notes};
    ++*counts[certainty];
    return finding;
}

void finding_say(struct analysis *analysis, struct finding *finding, const char *format, ...) {
    char text[512];
    va_list arguments;
    if (finding->evidence_count == EVIDENCE_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    finding->evidence[finding->evidence_count++] = store_text(analysis, text, strlen(text));
}
