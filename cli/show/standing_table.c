#include "standing_table.h"

#include <stdlib.h>
#include <string.h>

#include "look/sighting_words.h"
#include "pure/names.h"
#include "terminal/say.h"

enum column { STATE, FOR, IDLE, UNREAD, UNSENT, HELD_BY, WOULD, CONNECTION, OTHER_END, COLUMNS };

static const char *const titles[COLUMNS] = {"STATE",   "FOR",           "IDLE",       "UNREAD",   "UNSENT",
                                            "HELD BY", "A CLOSE WOULD", "CONNECTION", "OTHER END"};

enum { CELL = HOLDERS_TEXT_SIZE };
struct cells {
    char text[COLUMNS][CELL];
};

static void number_cell(char cell[CELL], uint64_t number) {
    snprintf(cell, CELL, "%llu", (unsigned long long)number);
}

static void counted(char cell[CELL], const char *before, uint64_t count, const char *what) {
    snprintf(cell, CELL, "%s%llu %s%s", before, (unsigned long long)count, what, count == 1 ? "" : "s");
}

static void orphan_cell(char cell[CELL], const struct sighting *sighting) {
    char duration[DURATION_TEXT_SIZE];
    const uint64_t owed = sighting_owed(sighting);
    duration_text(sighting->expires_ms, duration);
    if (sighting->timer == TIMER_TIME_WAIT)
        snprintf(cell, CELL, "(kept for %s)", duration);
    else if (sighting->timer == TIMER_OFF)
        snprintf(cell, CELL, "(owes %llu)", (unsigned long long)owed);
    else
        snprintf(cell, CELL, "(owes %llu, next try in %s, %u failed)", (unsigned long long)owed, duration,
                 sighting->retransmits);
}

/* One of several descriptors is closed: who else holds it, of another process where there is one. */
static void shared_cell(char cell[CELL], const struct world *world, const struct sighting *sighting) {
    const struct holding *first = &world->holdings[sighting->holding], *other = &world->holdings[first->next];
    char one[64];
    for (int32_t at = first->next; at != NOBODY; at = world->holdings[at].next)
        if (world->holdings[at].process != first->process) {
            other = &world->holdings[at];
            break;
        }
    holding_text(world, other, one, sizeof one);
    snprintf(cell, CELL, "nothing: %s holds it too", one);
}

static void would_cell(char cell[CELL], const struct world *world, const struct sighting *sighting) {
    const enum event_fin would = sighting_would(sighting);
    if (sighting_is_orphan(sighting))
        orphan_cell(cell, sighting);
    else if (sighting->holders > 1)
        shared_cell(cell, world, sighting);
    else if (sighting->state == STATE_LISTEN && sighting->receive_queue > 0)
        counted(cell, "reset ", sighting->receive_queue, "waiting connection");
    else if (sighting->state == STATE_LISTEN)
        snprintf(cell, CELL, "close the port");
    else if (would == FIN_RESET)
        counted(cell, "RST: ", sighting_unread(sighting), "byte");
    else if (would == FIN_QUEUED)
        snprintf(cell, CELL, "FIN, after the unsent data");
    else if (would == FIN_SENT)
        snprintf(cell, CELL, "FIN");
    else
        snprintf(cell, CELL, "%s", would == FIN_ALREADY ? "nothing: FIN already sent" : "-");
    if (would == FIN_RESET && sighting->holders <= 1)
        strncat(cell, " unread", CELL - strlen(cell) - 1);
}

static void other_end_cell(char cell[CELL], const struct world *world, const struct sighting *sighting) {
    char holders[HOLDERS_TEXT_SIZE];
    if (sighting->peer == NOBODY) {
        snprintf(cell, CELL, "%s", sighting->state == STATE_LISTEN ? "" : "not here");
        return;
    }
    const struct sighting *peer = &world->list[sighting->peer];
    holders_text(world, peer, holders);
    snprintf(cell, CELL, "%s, %.*s", state_name(peer->state), CELL - 32, holders);
}

static void time_cells(struct cells *cells, const struct sighting *sighting) {
    char duration[DURATION_TEXT_SIZE];
    const uint64_t in_state = sighting_in_state_ms(sighting);
    snprintf(cells->text[FOR], CELL, "%s%s", in_state > 0 ? duration_text(in_state, duration) : "-",
             in_state > 0 && sighting->state != STATE_TIME_WAIT ? "+" : "");
    snprintf(cells->text[IDLE], CELL, "%s",
             sighting->has_info && sighting->state != STATE_LISTEN ? duration_text(sighting_idle_ms(sighting), duration)
                                                                   : "-");
}

static void fill(struct cells *cells, const struct world *world, const struct sighting *sighting) {
    char connection[SIGHTING_TEXT_SIZE];
    snprintf(cells->text[STATE], CELL, "%s", state_name(sighting->state) ? state_name(sighting->state) : "?");
    time_cells(cells, sighting);
    number_cell(cells->text[UNREAD], sighting_unread(sighting));
    number_cell(cells->text[UNSENT], sighting_unsent(sighting));
    if (sighting->state == STATE_LISTEN) {
        number_cell(cells->text[UNREAD], sighting->receive_queue);
        snprintf(cells->text[UNSENT], CELL, "of %u", sighting->send_queue);
    }
    holders_text(world, sighting, cells->text[HELD_BY]);
    would_cell(cells->text[WOULD], world, sighting);
    sighting_text(sighting, connection);
    snprintf(cells->text[CONNECTION], CELL, "%s", connection);
    other_end_cell(cells->text[OTHER_END], world, sighting);
}

/* A table that is too wide for the screen stands in two lines a row, the second with the last two columns. */
struct layout {
    unsigned widths[COLUMNS], columns;
    bool folded;
};

static const enum column second_line = CONNECTION;

static void measure(struct layout *layout, const struct cells *cells) {
    for (unsigned i = 0; i < COLUMNS; i++)
        if (strlen(cells->text[i]) > layout->widths[i])
            layout->widths[i] = (unsigned)strlen(cells->text[i]);
}

static void print_cells(FILE *out, const struct cells *cells, const struct layout *layout, unsigned from, unsigned to,
                        const char *before) {
    char text[COLUMNS * (CELL + 2) + 8];
    size_t used = (size_t)snprintf(text, sizeof text, "%s", before);
    for (unsigned i = from; i < to; i++) {
        const bool right = i >= FOR && i <= UNSENT;
        const int width = i == to - 1 ? 0 : (int)layout->widths[i];
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%*s", i > from ? "  " : "", right ? width : -width,
                                 cells->text[i]);
    }
    while (used > 0 && text[used - 1] == ' ')
        text[--used] = '\0';
    print_safely(out, text, layout->columns);
    putc('\n', out);
}

static void print_row(FILE *out, const struct cells *cells, const struct layout *layout) {
    if (!layout->folded) {
        print_cells(out, cells, layout, 0, COLUMNS, "");
        return;
    }
    print_cells(out, cells, layout, 0, second_line, "");
    print_cells(out, cells, layout, second_line, COLUMNS, "    ");
}

static void lay_out(struct layout *layout, const struct world *world, const struct sighting *const *rows,
                    size_t count) {
    struct cells cells;
    unsigned whole = 0;
    for (size_t i = 0; i < count; i++) {
        fill(&cells, world, rows[i]);
        measure(layout, &cells);
    }
    for (unsigned i = 0; i < COLUMNS; i++)
        whole += layout->widths[i] + (i > 0 ? 2 : 0);
    layout->folded = layout->columns > 0 && whole > layout->columns;
}

void standing_print(const struct world *world, const struct sighting *const *rows, size_t count, FILE *out,
                    const struct report_style *style) {
    struct layout layout = {.columns = style->width};
    struct cells cells;
    for (unsigned i = 0; i < COLUMNS; i++)
        snprintf(cells.text[i], CELL, "%s", titles[i]);
    measure(&layout, &cells);
    lay_out(&layout, world, rows, count);
    print_row(out, &cells, &layout);
    for (size_t i = 0; i < count; i++) {
        fill(&cells, world, rows[i]);
        print_row(out, &cells, &layout);
    }
}

void standing_print_one(const struct world *world, const struct sighting *sighting, FILE *out,
                        const struct report_style *style) {
    struct layout layout = {.columns = style->width};
    struct cells cells;
    fill(&cells, world, sighting);
    print_row(out, &cells, &layout);
}
