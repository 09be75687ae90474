/*
 * Lines of a report, and of what `closetrace run` says at its end.
 */
#ifndef CLOSETRACE_REPORT_WORDS_H
#define CLOSETRACE_REPORT_WORDS_H

#include <stdio.h>

#include "analysis/analysis.h"

struct report_style {
    bool color;
    unsigned width; /* columns; 0: lines are as long as they are */
    bool all;       /* each finding and each connection by itself, alike or not */
    unsigned most;  /* findings at the most; 0: as many as there are */
};

/* "127.0.0.1:51432 -> 127.0.0.1:80": from the client to the server, where that is known. */
enum { CONNECTION_TEXT_SIZE = 2 * ADDRESS_TEXT_SIZE + 4 };
void connection_text(const struct endpoint *endpoint, char text[CONNECTION_TEXT_SIZE]);

/* A sentence of its evidence for eyes: with the time of day, and with the caller by name, if that is known. */
enum { SENTENCE_SIZE = 1024 };
void finding_sentence(const struct finding *finding, unsigned i, char text[SENTENCE_SIZE]);

void finding_print(const struct finding *finding, FILE *out, const struct report_style *style);

/*
 * What is certain first, then what is possible, then notes (if notes says so); alike ones as one, with their number.
 * width 0: a line each, "finding fin-withheld CONNECTION: evidence; evidence". On a terminal the evidence is below.
 * Returns how many lines were left out for `most`.
 */
uint64_t findings_print(const struct analysis *analysis, FILE *out, const struct report_style *style, bool notes);

/* One line: how many connections, FINs, RSTs, findings. */
void summary_print(const struct analysis *analysis, FILE *out, unsigned width);

/* A line a process whose calls are not in the trace; nothing where there is none. */
void unseen_print(const struct analysis *analysis, FILE *out);

/* The table. */
void connections_print(const struct analysis *analysis, FILE *out, const struct report_style *style);

/*
 * The finding as an event for the log: op:"finding". lists: room for what the event points to, which lives as long as
 * the analysis does.
 */
struct finding_lists {
    char cookies[2][24];
    const char *sockets[3];
    const char *evidence[EVIDENCE_MAX + 1];
};
void finding_event(const struct finding *finding, struct event *event, struct finding_lists *lists);

#endif
