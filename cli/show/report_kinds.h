/* The table of many connections: alike ones are one row, the most frequent first. */
#ifndef CLOSETRACE_REPORT_KINDS_H
#define CLOSETRACE_REPORT_KINDS_H

#include <stdio.h>

#include "connection_cells.h"
#include "report_words.h"

struct kind {
    uint64_t count;
    const struct endpoint *example;
    char ends[2][CELL_SIZE], first[CELL_SIZE], who[CELL_SIZE]; /* the client's end, the server's; who closed first */
};

/* All kinds, the most frequent first. */
struct kinds {
    struct kind *kinds;
    size_t count, room;
    size_t *index; /* of 2 * room; 0: empty, else one more than the kind's number */
};

struct kinds kinds_of(const struct endpoint *first);
/* Of a connection that has a row: its kind's number. */
size_t kinds_number(const struct kinds *all, const struct endpoint *endpoint);
void kinds_free(struct kinds *all);

/* Alike are: the same programs, the same address of the server, ended alike, the same end first. */
void kinds_print(const struct endpoint *first, FILE *out, const struct report_style *style);

#endif
