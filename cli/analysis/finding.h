/* What the files of the findings have in common: how one is said, and of what. */
#ifndef CLOSETRACE_FINDING_H
#define CLOSETRACE_FINDING_H

#include "analysis/store.h"

/* Says so of the endpoint; the event is what it is about. The caller adds evidence. */
struct finding *finding_add(struct analysis *analysis, enum finding_kind kind, enum certainty certainty,
                            const struct endpoint *endpoint, const struct event *event);
/* One sentence, as printf() makes it. */
void finding_say(struct analysis *analysis, struct finding *finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "4711 nginx close(7) at 1700000000.000001": who did what when; in a buffer of the function's, of two in turn. */
const char *words_of_call(const struct event *event);
/* "1.204 s" */
const char *words_of_time(uint64_t microseconds);

/* Who ended the endpoint, and when: for a finding that is about no event that was kept. */
struct event event_of_end(const struct endpoint *endpoint);

/* A signal ended the process: nothing that it did. */
bool by_signal(const struct event *event);

/* The event had a fault injected: what follows from it is no fault of the program's. */
bool is_injected(const struct event *event);

/* finding_withheld.c */
void withheld_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event);
void withheld_draw(struct analysis *analysis, struct endpoint *endpoint);
/* finding_close.c: reset-on-close, queue-reset, closed-in-use, double-close */
void close_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event);
void close_draw(struct analysis *analysis, struct endpoint *endpoint);
/* finding_abort.c */
void abort_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event);
void abort_draw(struct analysis *analysis, struct endpoint *endpoint);
/* finding_quiet.c: close-wait, never-closed */
void quiet_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event);
void quiet_draw(struct analysis *analysis, struct endpoint *endpoint);
/* finding_answer.c: answer-cut, short-write */
void answer_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event);
void answer_draw(struct analysis *analysis, struct endpoint *endpoint);
/* finding_unread.c: unread-at-end */
void unread_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event);
void unread_draw(struct analysis *analysis, struct endpoint *endpoint);
/* finding_relay.c: upload-cut; upload_is_cut(): then an RST by this end is a part of that. */
bool upload_is_cut(const struct endpoint *endpoint);
void relay_draw(struct analysis *analysis, struct endpoint *endpoint);
/* finding_request.c: request-after-fin, gave-up; request_is_late(): then what was refused is a part of that. */
bool request_is_late(const struct endpoint *endpoint);
void request_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event);
void request_draw(struct analysis *analysis, struct endpoint *endpoint);
/* finding_shared.c: shared-connection, port-held */
void shared_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event);
/* Once, before they are drawn. */
void shared_prepare(struct analysis *analysis);
void shared_draw(struct analysis *analysis, struct endpoint *endpoint);
/* finding_write.c */
void write_look(struct analysis *analysis, struct endpoint *endpoint, const struct event *event);
void write_draw(struct analysis *analysis, struct endpoint *endpoint);

#endif
