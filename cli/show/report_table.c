/*
 * The table of connections: a row each, columns as wide as what stands in them. What became of the two ends comes first
 * after the connection, so that 80 columns hold it. Where there are many connections, alike ones are one row: the same
 * programs, the same listener, ended alike.
 */
#include <stdlib.h>
#include <string.h>

#include "report_kinds.h"
#include "report_table.h"
#include "report_words.h"
#include "terminal/say.h"

const struct row row_heads = {
    {"CONNECTION", "CLIENT END", "SERVER END", "CLOSED FIRST", "LIFE", "SENT", "RECEIVED", "REFERENCES"}};

static void first_cell(char cell[CELL_SIZE], const struct pair *pair) {
    const struct endpoint *end;
    const char *word = closed_first(pair, &end);
    if (end)
        snprintf(cell, CELL_SIZE, "%s: %d %.*s", word, end->end_pid, COMM_SIZE, end->end_comm);
    else
        snprintf(cell, CELL_SIZE, "%s", word);
}

/* On a terminal an address that both ends have is said once: ":51432 -> 127.0.0.1:80". */
static void connection_cell(char cell[CELL_SIZE], const struct endpoint *endpoint, bool is_short) {
    const bool same = endpoint->local.family == endpoint->remote.family &&
                      memcmp(endpoint->local.ip, endpoint->remote.ip, sizeof endpoint->local.ip) == 0;
    const struct address *client = endpoint->role == ROLE_SERVER ? &endpoint->remote : &endpoint->local;
    char server[ADDRESS_TEXT_SIZE];
    connection_text(endpoint, cell);
    if (!is_short || !same)
        return;
    address_to_text(endpoint->role == ROLE_SERVER ? &endpoint->local : &endpoint->remote, server);
    snprintf(cell, CELL_SIZE, ":%u -> %s", client->port, server);
}

void row_fill(struct row *row, const struct endpoint *endpoint, bool is_short) {
    const struct pair pair = pair_of(endpoint);
    connection_cell(row->cells[CONNECTION], endpoint, is_short);
    life_cell(row->cells[LIFE], &pair);
    bytes_cell(row->cells[TO_SERVER], pair.client, pair.server);
    bytes_cell(row->cells[TO_CLIENT], pair.server, pair.client);
    first_cell(row->cells[FIRST], &pair);
    end_cell(row->cells[CLIENT_END], pair.client, pair.server);
    end_cell(row->cells[SERVER_END], pair.server, pair.client);
    references_cell(row->cells[REFERENCES], &pair);
}

static void widen(unsigned widths[COLUMNS], const char cells[COLUMNS][CELL_SIZE]) {
    for (unsigned i = 0; i < COLUMNS; i++)
        if (strlen(cells[i]) > widths[i])
            widths[i] = (unsigned)strlen(cells[i]);
}

/* So many columns find room; the two ends do, or are cut off. */
static unsigned columns_shown(const unsigned widths[COLUMNS], const struct report_style *style) {
    unsigned used = widths[CONNECTION], shown = 1;
    while (shown < COLUMNS && (style->width == 0 || shown <= SERVER_END || used + 2 + widths[shown] <= style->width))
        used += 2 + widths[shown++];
    return shown;
}

/* Numbers stand at the right. */
static void print_row(FILE *out, const char cells[COLUMNS][CELL_SIZE], const unsigned widths[COLUMNS],
                      const struct report_style *style) {
    char text[COLUMNS * (CELL_SIZE + 2) + 1];
    size_t used = 0;
    for (unsigned i = 0; i < columns_shown(widths, style); i++) {
        const bool right = i == LIFE || i == TO_SERVER || i == TO_CLIENT;
        const int width = i == COLUMNS - 1 ? 0 : (int)widths[i];
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%*s", i > 0 ? "  " : "", right ? width : -width,
                                 cells[i]);
    }
    while (used > 0 && text[used - 1] == ' ')
        text[--used] = '\0';
    print_safely(out, text, style->width);
    putc('\n', out);
}

static unsigned room_for_connection(const struct report_style *style, const unsigned widths[COLUMNS]) {
    enum { LEAST = 24 };
    const unsigned ends = widths[CLIENT_END] + widths[SERVER_END] + 4;
    return style->width > ends + LEAST ? style->width - ends : LEAST;
}

static void print_each(const struct endpoint *first, FILE *out, const struct report_style *style) {
    unsigned widths[COLUMNS] = {0};
    struct row row;
    widen(widths, row_heads.cells);
    for (const struct endpoint *endpoint = first; endpoint; endpoint = endpoint->next)
        if (connection_has_row(endpoint)) {
            row_fill(&row, endpoint, style->width > 0);
            widen(widths, (const char(*)[CELL_SIZE])row.cells);
        }
    const unsigned most = style->width > 0 ? room_for_connection(style, widths) : CELL_SIZE;
    widths[CONNECTION] = widths[CONNECTION] < most ? widths[CONNECTION] : most;
    print_row(out, row_heads.cells, widths, style);
    for (const struct endpoint *endpoint = first; endpoint; endpoint = endpoint->next)
        if (connection_has_row(endpoint)) {
            row_fill(&row, endpoint, style->width > 0);
            cell_narrow(row.cells[CONNECTION], most);
            print_row(out, (const char(*)[CELL_SIZE])row.cells, widths, style);
        }
}

void connections_print(const struct analysis *analysis, FILE *out, const struct report_style *style) {
    enum { EACH_MAX = 30 };
    const struct endpoint *const first = analysis_endpoints(analysis);
    uint64_t rows = 0;
    for (const struct endpoint *endpoint = first; endpoint; endpoint = endpoint->next)
        rows += connection_has_row(endpoint);
    if (rows == 0)
        return;
    if (style->all || rows <= EACH_MAX)
        print_each(first, out, style);
    else
        kinds_print(first, out, style);
}
