#include "ladder.h"

#include <stdlib.h>
#include <string.h>

#include "clock_text.h"
#include "rungs.h"
#include "terminal/say.h"
#include "wrapped.h"

struct ladder {
    char address[ADDRESS_TEXT_SIZE]; /* or only a port, */
    unsigned port;                   /* this one */
    struct rungs rungs;
};

/* How the columns of the page are divided. */
struct layout {
    unsigned clock, side, wire;
};

static unsigned port_of(const char *text) {
    char *end;
    const unsigned long port = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && port <= 65535 ? (unsigned)port : 0;
}

struct ladder *ladder_new(const char *address) {
    struct ladder *ladder = calloc(1, sizeof *ladder);
    if (!ladder)
        return NULL;
    snprintf(ladder->address, sizeof ladder->address, "%s", address);
    ladder->port = port_of(address);
    return ladder;
}

void ladder_free(struct ladder *ladder) {
    if (ladder)
        free(ladder->rungs.list);
    free(ladder);
}

static bool is(const struct ladder *ladder, const struct address *address) {
    char text[ADDRESS_TEXT_SIZE];
    if (ladder->port > 0)
        return address->port == ladder->port;
    address_to_text(address, text);
    return strcmp(text, ladder->address) == 0;
}

void ladder_event(struct ladder *ladder, const struct event *event) {
    if (event->has & HAS_SOCKET && (is(ladder, &event->local) || is(ladder, &event->remote)))
        rungs_add(&ladder->rungs, event, 0);
}

static void print_padded(FILE *out, const char *text, size_t length, unsigned width) {
    char cell[RUNG_CELL_SIZE];
    snprintf(cell, sizeof cell, "%.*s", (int)length, text);
    print_safely(out, cell, width);
    for (; length < width; length++)
        putc(' ', out);
}

static const char *wire_color(const struct rung *rung) {
    return !rung_left(rung) ? "\x1b[33m" : strstr(rung->wire, "RST") ? "\x1b[31m" : "\x1b[32m";
}

static void print_times(FILE *out, char c, unsigned count) {
    while (count-- > 0)
        putc(c, out);
}

/* An arrow where something left, only the line where nothing did, or where this is not the rung's first line. */
static void print_wire(FILE *out, const struct rung *rung, bool first, unsigned width, bool color) {
    const bool left = first && rung_left(rung);
    const char *word = !first ? "" : strlen(rung->wire) > width ? "(queued)" : rung->wire;
    const unsigned pad = width - (unsigned)strlen(word);
    const bool painted = color && *word;
    fputs(rung->right && left ? "|<" : "| ", out);
    print_times(out, left ? '-' : ' ', pad / 2);
    fprintf(out, "%s%s%s", painted ? wire_color(rung) : "", word, painted ? "\x1b[0m" : "");
    print_times(out, left ? '-' : ' ', pad - pad / 2);
    fputs(!rung->right && left ? ">|" : " |", out);
}

static void print_clock(FILE *out, const struct rung *rung, bool first, unsigned width) {
    char clock[CLOCK_TEXT_SIZE] = "";
    if (first)
        clock_text(rung->time_us, clock);
    fprintf(out, "%-*.*s", (int)width, (int)width - 1, clock);
}

/* A line of its end, at most a side wide; returns how much of the text that is. */
static size_t print_line(FILE *out, const struct rung *rung, const struct layout *layout, const char *text, bool first,
                         bool color) {
    const size_t length = wrapped_length(text, layout->side);
    print_clock(out, rung, first, layout->clock);
    print_padded(out, text, rung->right ? 0 : length, layout->side);
    putc(' ', out);
    print_wire(out, rung, first, layout->wire, color);
    if (rung->right) {
        putc(' ', out);
        print_padded(out, text, length, 0);
    }
    putc('\n', out);
    return length + strspn(text + length, " ");
}

static void print_text(FILE *out, const struct rung *rung, const struct layout *layout, const char *text, bool first,
                       bool color) {
    for (; *text; first = false)
        text += print_line(out, rung, layout, text, first, color);
}

static void print_heading(FILE *out, const struct rung *rung, const struct layout *layout) {
    char client[ADDRESS_TEXT_SIZE], server[ADDRESS_TEXT_SIZE];
    address_to_text(&rung->client, client);
    address_to_text(&rung->server, server);
    for (const char *left = client, *right = server; *left || *right;) {
        const size_t left_length = wrapped_length(left, layout->side),
                     right_length = wrapped_length(right, layout->side);
        fprintf(out, "%*s", (int)layout->clock, "");
        print_padded(out, left, left_length, layout->side);
        fprintf(out, " %*s ", (int)layout->wire + 4, "");
        print_padded(out, right, right_length, 0);
        putc('\n', out);
        left += left_length;
        right += right_length;
    }
}

/* Where there is little room, microseconds and the long arrow go first. */
static struct layout layout_for(unsigned columns) {
    enum { CLOCK = 17, CLOCK_SHORT = 13, WIRE_SHORT = 10, AROUND_WIRE = 6, WIDE = 56, ENOUGH = 28, LEAST = 8 };
    struct layout layout = {CLOCK, WIDE, WIRE_SIZE};
    if (columns == 0)
        return layout;
    const unsigned around = CLOCK + WIRE_SIZE + AROUND_WIRE;
    if (columns < around + 2 * ENOUGH)
        layout = (struct layout){CLOCK_SHORT, WIDE, WIRE_SHORT};
    const unsigned rest = layout.clock + layout.wire + AROUND_WIRE;
    const unsigned side = columns > rest + 2 * LEAST ? (columns - rest) / 2 : LEAST;
    layout.side = side < WIDE ? side : WIDE;
    return layout;
}

unsigned ladder_print(struct ladder *ladder, FILE *out, const struct report_style *style) {
    const struct layout layout = layout_for(style->width);
    unsigned connections = 0;
    rungs_sort(&ladder->rungs);
    for (size_t i = 0; i < ladder->rungs.count; i++) {
        const struct rung *rung = &ladder->rungs.list[i];
        if (i == 0 || rungs_compare_connections(rung, rung - 1) != 0) {
            fputs(connections++ > 0 ? "\n" : "", out);
            print_heading(out, rung, &layout);
        }
        print_text(out, rung, &layout, rung->call, true, style->color);
        print_text(out, rung, &layout, rung->state, false, style->color);
    }
    return connections;
}
