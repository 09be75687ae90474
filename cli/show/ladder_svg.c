#include "ladder_svg.h"

#include <string.h>

#include "clock_text.h"
#include "markup.h"
#include "pure/names.h"
#include "wrapped.h"

/* The page, from left to right: clock, words, lanes of processes, the end's line, the wire, and the same mirrored. */
enum {
    WIDTH = 1120,
    CLOCK_X = 4,
    CLIENT_TEXT_X = 126,
    CLIENT_X = 520,
    SERVER_X = 700,
    SERVER_TEXT_X = 780,
    LANE = 12,
    LANES = 5,
    SIDE = 43, /* characters of words */
    LINE = 17,
    RUNG_GAP = 9,
    PAUSE = 26,
    TOP = 64,
    PAUSE_US = 500000,
};

/* A process that worked on one end has a line beside it, from its first call to its last. */
struct lane {
    int pid;
    bool right;
    unsigned place, top, bottom;
};

struct picture {
    FILE *out;
    const struct rung *rungs;
    size_t count;
    unsigned y;
    struct lane lanes[2 * LANES];
    unsigned lane_count;
};

static struct lane *lane_of(struct picture *picture, const struct rung *rung) {
    unsigned place = 1;
    for (unsigned i = 0; i < picture->lane_count; i++) {
        if (picture->lanes[i].right != rung->right)
            continue;
        if (picture->lanes[i].pid == rung->pid)
            return &picture->lanes[i];
        place++;
    }
    if (place > LANES)
        return NULL;
    struct lane *lane = &picture->lanes[picture->lane_count++];
    *lane = (struct lane){.pid = rung->pid, .right = rung->right, .place = place, .top = picture->y};
    return lane;
}

static unsigned lane_x(const struct lane *lane) {
    return lane->right ? SERVER_X + lane->place * LANE : CLIENT_X - lane->place * LANE;
}

static const char *state_class(enum tcp_state state) {
    switch (state) {
    case STATE_ESTABLISHED:
        return "open";
    case STATE_FIN_WAIT1:
    case STATE_FIN_WAIT2:
    case STATE_CLOSE_WAIT:
    case STATE_CLOSING:
    case STATE_LAST_ACK:
        return "half";
    case STATE_TIME_WAIT:
    case STATE_CLOSE:
        return "over";
    default:
        return "new";
    }
}

static void text_begin(FILE *out, unsigned x, unsigned y, const char *class, const char *anchor) {
    fprintf(out, "<text x=\"%u\" y=\"%u\" class=\"%s\"%s>", x, y, class, anchor);
}

/* Lines below each other; returns how many. */
static unsigned text_lines(FILE *out, unsigned x, unsigned y, const char *class, const char *text) {
    unsigned lines = 0;
    while (*text) {
        char line[RUNG_CELL_SIZE];
        const size_t length = wrapped_length(text, SIDE);
        snprintf(line, sizeof line, "%.*s", (int)length, text);
        text_begin(out, x, y + lines++ * LINE, class, "");
        markup_print(out, line);
        fputs("</text>\n", out);
        text += length + strspn(text + length, " ");
    }
    return lines;
}

static void wire(FILE *out, const struct rung *rung, unsigned y) {
    const bool left = rung_left(rung);
    const char *class = !left ? "none" : strstr(rung->wire, "RST") ? "rst" : strstr(rung->wire, "FIN") ? "fin" : "syn";
    const int from = rung->right ? SERVER_X - 4 : CLIENT_X + 4, to = rung->right ? CLIENT_X + 6 : SERVER_X - 6;
    const int back = rung->right ? 9 : -9;
    if (!rung->wire[0])
        return;
    if (left) {
        fprintf(out, "<line x1=\"%d\" y1=\"%u\" x2=\"%d\" y2=\"%u\" class=\"wire %s\"/>", from, y, to, y, class);
        fprintf(out, "<polygon points=\"%d,%u %d,%u %d,%u\" class=\"tip %s\"/>\n", to, y, to + back, y - 5, to + back,
                y + 5, class);
    }
    text_begin(out, (CLIENT_X + SERVER_X) / 2, left ? y - 5 : y + 4, class, " text-anchor=\"middle\"");
    markup_print(out, rung->wire);
    fputs("</text>\n", out);
}

/* How the end stands, from here to its next rung, or the foot. */
static void state_line(struct picture *picture, const unsigned *ys, size_t at, unsigned bottom) {
    const struct rung *rung = &picture->rungs[at];
    const unsigned x = rung->right ? SERVER_X : CLIENT_X;
    if (rung->after == STATE_UNSET)
        return;
    for (size_t next = at + 1; next < picture->count; next++)
        if (picture->rungs[next].right == rung->right &&
            (picture->rungs[next].after != STATE_UNSET || picture->rungs[next].moved)) {
            bottom = ys[next];
            break;
        }
    fprintf(picture->out, "<line x1=\"%u\" y1=\"%u\" x2=\"%u\" y2=\"%u\" class=\"state %s\"/>\n", x, ys[at], x, bottom,
            state_class(rung->after));
}

static void pause_words(struct picture *picture, uint64_t before, uint64_t now) {
    if (now < before + PAUSE_US)
        return;
    text_begin(picture->out, (CLIENT_X + SERVER_X) / 2, picture->y + 4, "pause", " text-anchor=\"middle\"");
    fprintf(picture->out, "%.3f s later</text>\n", (double)(now - before) / 1e6);
    picture->y += PAUSE;
}

static void draw_rung(struct picture *picture, const struct rung *rung) {
    char clock[CLOCK_TEXT_SIZE];
    const unsigned y = picture->y, x = rung->right ? SERVER_TEXT_X : CLIENT_TEXT_X;
    struct lane *lane = lane_of(picture, rung);
    clock_text(rung->time_us, clock);
    text_begin(picture->out, CLOCK_X, y + 4, "clock", "");
    fprintf(picture->out, "%s</text>\n", clock);
    unsigned lines = text_lines(picture->out, x, y + 4, "call", rung->call);
    lines += text_lines(picture->out, x, y + 4 + lines * LINE, "what", rung->state);
    wire(picture->out, rung, y);
    if (lane) {
        lane->bottom = y;
        fprintf(picture->out, "<circle cx=\"%u\" cy=\"%u\" r=\"4\" class=\"dot\"/>\n", lane_x(lane), y);
    }
    picture->y += lines * LINE + RUNG_GAP;
}

static unsigned side_x(bool right) {
    return right ? SERVER_X : CLIENT_X;
}

static void draw_lines(struct picture *picture, const unsigned *ys) {
    const unsigned bottom = picture->y;
    for (unsigned side = 0; side < 2; side++)
        fprintf(picture->out, "<line x1=\"%u\" y1=\"%u\" x2=\"%u\" y2=\"%u\" class=\"life\"/>\n", side_x(side),
                TOP - 16U, side_x(side), bottom);
    for (size_t i = 0; i < picture->count; i++)
        state_line(picture, ys, i, bottom);
    for (unsigned i = 0; i < picture->lane_count; i++) {
        const struct lane *lane = &picture->lanes[i];
        fprintf(picture->out, "<line x1=\"%u\" y1=\"%u\" x2=\"%u\" y2=\"%u\" class=\"lane\"/>\n", lane_x(lane),
                lane->top, lane_x(lane), lane->bottom);
    }
}

/* Which trace tells of that end. */
static const char *source_name(const struct picture *picture, bool right, const char *const *sources) {
    for (size_t i = 0; sources && i < picture->count; i++)
        if (picture->rungs[i].right == right)
            return sources[picture->rungs[i].source];
    return "";
}

static void heading(struct picture *picture, bool right, const char *const *sources) {
    char address[ADDRESS_TEXT_SIZE];
    const unsigned x = right ? SERVER_TEXT_X : CLIENT_TEXT_X;
    address_to_text(right ? &picture->rungs->server : &picture->rungs->client, address);
    text_begin(picture->out, x, 18, "end", "");
    fprintf(picture->out, "%s %s</text>\n", right ? "server" : "client", address);
    text_begin(picture->out, x, 36, "what", "");
    markup_print(picture->out, source_name(picture, right, sources));
    fputs("</text>\n", picture->out);
}

static unsigned lines_of(const char *text) {
    unsigned lines = 0;
    for (; *text; lines++) {
        text += wrapped_length(text, SIDE);
        text += strspn(text, " ");
    }
    return lines;
}

/* Where each rung will stand; returns where the picture ends. */
static unsigned measure(const struct rung *rungs, size_t count, unsigned *ys) {
    unsigned y = TOP;
    for (size_t i = 0; i < count; i++) {
        y += i > 0 && rungs[i].time_us >= rungs[i - 1].time_us + PAUSE_US ? PAUSE : 0;
        ys[i] = y;
        y += (lines_of(rungs[i].call) + lines_of(rungs[i].state)) * LINE + RUNG_GAP;
    }
    return y;
}

static void in_words(FILE *out, const struct rung *rungs, size_t count) {
    fputs("<details class=\"words\"><summary>The same in words</summary><ol>\n", out);
    for (size_t i = 0; i < count; i++) {
        char clock[CLOCK_TEXT_SIZE];
        clock_text(rungs[i].time_us, clock);
        fprintf(out, "<li>%s, the %s: ", clock, rungs[i].right ? "server" : "client");
        markup_print(out, rungs[i].call);
        if (rungs[i].state[0])
            fputs("; ", out);
        markup_print(out, rungs[i].state);
        if (rungs[i].wire[0])
            fprintf(out, "; on the wire: %s", rungs[i].wire);
        fputs("</li>\n", out);
    }
    fputs("</ol></details>\n", out);
}

void ladder_svg(FILE *out, const struct rung *rungs, size_t count, const char *id, const char *const *sources) {
    unsigned ys[RUNGS_DRAWN_MAX];
    struct picture picture = {.out = out, .rungs = rungs, .y = TOP};
    char client[ADDRESS_TEXT_SIZE], server[ADDRESS_TEXT_SIZE];
    picture.count = count < RUNGS_DRAWN_MAX ? count : RUNGS_DRAWN_MAX;
    const unsigned bottom = measure(rungs, picture.count, ys);
    address_to_text(&rungs->client, client);
    address_to_text(&rungs->server, server);
    fprintf(out, "<figure><div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Ladder of %s to %s\">\n",
            client, server);
    fprintf(out,
            "<svg viewBox=\"0 0 %d %u\" role=\"img\" aria-labelledby=\"%s\"><title id=\"%s\">%s to %s, %zu events, "
            "time down the page</title>\n",
            WIDTH, bottom + 8, id, id, client, server, count);
    heading(&picture, false, sources);
    heading(&picture, true, sources);
    for (size_t i = 0; i < picture.count; i++) {
        if (i > 0)
            pause_words(&picture, rungs[i - 1].time_us, rungs[i].time_us);
        draw_rung(&picture, &rungs[i]);
    }
    draw_lines(&picture, ys);
    fputs("</svg></div>\n", out);
    if (picture.count < count)
        fprintf(out, "<p class=\"muted\">%zu more events: closetrace report --connection has them all.</p>\n",
                count - picture.count);
    in_words(out, rungs, picture.count);
    fputs("</figure>\n", out);
}
