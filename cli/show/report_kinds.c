#include "report_kinds.h"

#include <stdlib.h>
#include <string.h>

#include "exit_status.h"
#include "terminal/say.h"
#include "reader/hash.h"

enum { TEXT_SIZE = 5 * CELL_SIZE, SHOWN_MAX = 20 };

static const char *name_of(const struct endpoint *endpoint) {
    if (!endpoint)
        return "?";
    return endpoint->opener_comm[0] ? endpoint->opener_comm : endpoint->end_comm[0] ? endpoint->end_comm : "?";
}

/* "curl -> nginx 127.0.0.1:80" */
static void describe(struct kind *kind, const struct endpoint *endpoint) {
    const struct pair pair = pair_of(endpoint);
    const struct endpoint *end;
    char server[ADDRESS_TEXT_SIZE];
    memset(kind, 0, sizeof *kind);
    kind->example = endpoint;
    end_cell(kind->ends[0], pair.client, pair.server);
    end_cell(kind->ends[1], pair.server, pair.client);
    const char *word = closed_first(&pair, &end);
    snprintf(kind->first, CELL_SIZE, "%s%s%.*s", word, end ? ": " : "", COMM_SIZE, end ? end->end_comm : "");
    address_to_text(pair.server ? &pair.server->local : &pair.any->remote, server);
    snprintf(kind->who, CELL_SIZE, "%.*s -> %.*s %s", COMM_SIZE, name_of(pair.client), COMM_SIZE, name_of(pair.server),
             server);
}

static bool is_alike(const struct kind *a, const struct kind *b) {
    return strcmp(a->ends[0], b->ends[0]) == 0 && strcmp(a->ends[1], b->ends[1]) == 0 &&
           strcmp(a->first, b->first) == 0 && strcmp(a->who, b->who) == 0;
}

static uint64_t hash_of(const struct kind *kind) {
    const uint64_t hash = hash_text(hash_text(0, kind->ends[0]), kind->ends[1]);
    return hash_text(hash_text(hash, kind->first), kind->who);
}

static size_t place_of(const struct kinds *all, const struct kind *kind) {
    const size_t mask = 2 * all->room - 1;
    size_t at = hash_of(kind) & mask;
    while (all->index[at] && !is_alike(&all->kinds[all->index[at] - 1], kind))
        at = (at + 1) & mask;
    return at;
}

static void index_again(struct kinds *all) {
    memset(all->index, 0, 2 * all->room * sizeof *all->index);
    for (size_t i = 0; i < all->count; i++)
        all->index[place_of(all, &all->kinds[i])] = i + 1;
}

static void grow(struct kinds *all) {
    const size_t room = all->room ? 2 * all->room : 64;
    struct kind *kinds = realloc(all->kinds, room * sizeof *kinds);
    free(all->index);
    all->index = malloc(2 * room * sizeof *all->index);
    if (!kinds || !all->index) {
        say("closetrace: out of memory");
        exit(EXIT_FAILED);
    }
    all->kinds = kinds;
    all->room = room;
    index_again(all);
}

static void count_one(struct kinds *all, const struct endpoint *endpoint) {
    struct kind kind;
    if (all->count == all->room)
        grow(all);
    describe(&kind, endpoint);
    const size_t at = place_of(all, &kind);
    if (!all->index[at]) {
        all->kinds[all->count++] = kind;
        all->index[at] = all->count;
    }
    all->kinds[all->index[at] - 1].count++;
}

static int by_count(const void *a, const void *b) {
    const struct kind *one = a, *other = b;
    if (one->count != other->count)
        return one->count > other->count ? -1 : 1;
    return strcmp(one->who, other->who);
}

static void print_kind(const struct kind *kind, const unsigned widths[3], FILE *out, const struct report_style *style) {
    char text[TEXT_SIZE], number[24] = "COUNT";
    if (kind->count > 0)
        snprintf(number, sizeof number, "%llu", (unsigned long long)kind->count);
    snprintf(text, sizeof text, "%7s  %-*s  %-*s  %-*s  %s", number, (int)widths[0], kind->ends[0], (int)widths[1],
             kind->ends[1], (int)widths[2], kind->first, kind->who);
    print_safely(out, text, style->width);
    putc('\n', out);
}

struct shape {
    unsigned widths[3], whole; /* of the columns but the last, and of the longest line */
};

static struct shape shape_of(const struct kind *kinds, size_t count) {
    enum { BETWEEN = 7 + 4 * 2 };
    struct shape shape = {{10, 10, 12}, 0};
    unsigned who = 0;
    for (size_t i = 0; i < count; i++) {
        const char *const texts[3] = {kinds[i].ends[0], kinds[i].ends[1], kinds[i].first};
        for (unsigned c = 0; c < 3; c++)
            shape.widths[c] = strlen(texts[c]) > shape.widths[c] ? (unsigned)strlen(texts[c]) : shape.widths[c];
        who = strlen(kinds[i].who) > who ? (unsigned)strlen(kinds[i].who) : who;
    }
    shape.whole = BETWEEN + shape.widths[0] + shape.widths[1] + shape.widths[2] + who;
    return shape;
}

/* Who closed first is named in the last column too; then the middle of that one is cut out. */
static struct shape fit(struct kind *kinds, size_t count, unsigned width) {
    enum { LEAST = 16 };
    struct shape shape = shape_of(kinds, count);
    if (width == 0 || shape.whole <= width)
        return shape;
    for (size_t i = 0; i < count; i++)
        kinds[i].first[strcspn(kinds[i].first, ":")] = '\0';
    shape = shape_of(kinds, count);
    if (shape.whole <= width)
        return shape;
    const unsigned ends = shape.widths[0] + shape.widths[1] + shape.widths[2] + 15;
    for (size_t i = 0; i < count; i++)
        cell_narrow(kinds[i].who, width > ends + LEAST ? width - ends : LEAST);
    return shape;
}

static void print_kinds(struct kinds *all, FILE *out, const struct report_style *style) {
    const struct kind head = {.ends = {"CLIENT END", "SERVER END"}, .first = "CLOSED FIRST", .who = "CONNECTIONS"};
    const size_t shown = all->count < SHOWN_MAX ? all->count : SHOWN_MAX;
    const struct shape shape = fit(all->kinds, shown, style->width);
    print_kind(&head, shape.widths, out, style);
    for (size_t i = 0; i < shown; i++)
        print_kind(&all->kinds[i], shape.widths, out, style);
    if (shown < all->count)
        fprintf(out, "        and %zu kinds more\n", all->count - shown);
    fputs("        (--all: a row for each connection)\n", out);
}

struct kinds kinds_of(const struct endpoint *first) {
    struct kinds all = {0};
    for (const struct endpoint *endpoint = first; endpoint; endpoint = endpoint->next)
        if (connection_has_row(endpoint))
            count_one(&all, endpoint);
    if (all.count > 0) {
        qsort(all.kinds, all.count, sizeof *all.kinds, by_count);
        index_again(&all);
    }
    return all;
}

size_t kinds_number(const struct kinds *all, const struct endpoint *endpoint) {
    struct kind kind;
    describe(&kind, endpoint);
    return all->index[place_of(all, &kind)] - 1;
}

void kinds_free(struct kinds *all) {
    free(all->kinds);
    free(all->index);
}

void kinds_print(const struct endpoint *first, FILE *out, const struct report_style *style) {
    struct kinds all = kinds_of(first);
    print_kinds(&all, out, style);
    kinds_free(&all);
}
