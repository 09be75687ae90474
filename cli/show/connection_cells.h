/* What a report says of one connection, a cell of its table each. */
#ifndef CLOSETRACE_CONNECTION_CELLS_H
#define CLOSETRACE_CONNECTION_CELLS_H

#include "analysis/analysis.h"

enum { CELL_SIZE = 144 };

/* One connection: either end may be unknown. */
struct pair {
    const struct endpoint *client, *server, *any;
};
struct pair pair_of(const struct endpoint *endpoint);

/* In microseconds: from connect or accept to its last end, or as long as is known. */
uint64_t life_of(const struct pair *pair);
/* "0.553 s", "0.553 s+" of one that is still open. */
void life_cell(char cell[CELL_SIZE], const struct pair *pair);
/* What one end sent, or the other received. */
void bytes_cell(char cell[CELL_SIZE], const struct endpoint *from, const struct endpoint *to);
/* "client", "server" or "-": whose FIN or RST left first; *end: that end, if the trace tells who ended it, else NULL.
 */
const char *closed_first(const struct pair *pair, const struct endpoint **end);
/* "close FIN": what ended that end, and what left. In brackets what only the other end tells. */
void end_cell(char cell[CELL_SIZE], const struct endpoint *endpoint, const struct endpoint *other);
void references_cell(char cell[CELL_SIZE], const struct pair *pair);

/* What is longer than that loses its middle. most: 4 or more */
void cell_narrow(char cell[CELL_SIZE], unsigned most);

/* Whether it has a row: of two ends in the trace one stands for both. */
bool connection_has_row(const struct endpoint *endpoint);

#endif
