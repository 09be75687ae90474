/* The cells of a connection's row. */
#ifndef CLOSETRACE_REPORT_TABLE_H
#define CLOSETRACE_REPORT_TABLE_H

#include "connection_cells.h"

enum column { CONNECTION, CLIENT_END, SERVER_END, FIRST, LIFE, TO_SERVER, TO_CLIENT, REFERENCES, COLUMNS };

struct row {
    char cells[COLUMNS][CELL_SIZE];
};

/* "CONNECTION", "CLIENT END" ... */
extern const struct row row_heads;

/* is_short: an address that both ends have is said once. */
void row_fill(struct row *row, const struct endpoint *endpoint, bool is_short);

#endif
