/* The ring of lines: two writers, who may die, and the reader; in a memory of two places and a bit. */
#define CLOSETRACE_RING_SIZE 64
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "pure/ring.c" // NOLINT(bugprone-suspicious-include): the code itself

enum { WRITERS = 2, LAP = 2 };

static struct shared {
    struct ring ring;
    unsigned char put[WRITERS];     /* lines that found room */
    unsigned char refused[WRITERS]; /* and that found none */
    unsigned char got[WRITERS];     /* by the reader */
} shared;
static struct ring_reader reader;
static uint64_t start;

/* A word of zeros, which looks like free memory; two such lines go once around. */
struct text {
    uint64_t nothing;
    uint32_t writer, n;
};

static void begin(void) {
    memset(&reader, 0, offsetof(struct ring_reader, line));
    shared.ring.head.position = shared.ring.tail = reader.tail = start;
}

static void write_lines(unsigned count) {
    unsigned writer = model_self();
    for (unsigned n = 0; n < count; n++) {
        struct text line = {.writer = writer, .n = n};
        if (ring_put(&shared.ring, (int)writer + 1, &line, sizeof line))
            shared.put[writer]++;
        else
            shared.refused[writer]++;
    }
}

static void write_one(void) {
    write_lines(1);
}

static void write_lap(void) {
    write_lines(LAP);
}

static void take_line(void) {
    struct text line;
    MODEL_CHECK(reader.length == sizeof line);
    memcpy(&line, reader.line, sizeof line);
    MODEL_CHECK(line.nothing == 0 && line.writer < WRITERS);
    MODEL_CHECK(line.n >= shared.got[line.writer]); /* in the order of its writer; what was dropped is left out */
    shared.got[line.writer]++;
    ring_take(&shared.ring, &reader);
}

static void read_turns(unsigned turns) {
    for (unsigned turn = 0; turn < turns; turn++) {
        enum ring_next next = ring_peek(&shared.ring, &reader);
        if (next == RING_LINE)
            take_line();
        else if (next == RING_EMPTY)
            ring_rewind(&shared.ring, &reader);
        else if (reader.pid && model_is_dead((unsigned)reader.pid - 1))
            ring_give_up(&shared.ring, &reader);
    }
}

static void read_some(void) {
    read_turns(LAP);
}

/* What is left is read; the places of the dead are given up. */
static void read_rest(void) {
    for (enum ring_next next; (next = ring_peek(&shared.ring, &reader)) != RING_EMPTY;) {
        if (next == RING_LINE) {
            take_line();
            continue;
        }
        bool dead = false;
        for (unsigned w = 0; w < WRITERS; w++)
            dead = dead || (model_is_dead(w) && (reader.pid == 0 || reader.pid == (int)w + 1));
        MODEL_CHECK(dead);
        ring_give_up(&shared.ring, &reader);
    }
}

/* Where the writers may die, a line may have been complete though nobody lived to count it. */
static void all_is_told(void) {
    read_rest();
    unsigned dropped = 0, died = 0;
    for (unsigned w = 0; w < WRITERS; w++) {
        bool dead = model_is_dead(w);
        MODEL_CHECK(shared.got[w] == shared.put[w] || (dead && shared.got[w] == shared.put[w] + 1));
        dropped += shared.refused[w];
        died += dead;
    }
    MODEL_CHECK(shared.ring.dropped == dropped);
    MODEL_CHECK(reader.abandoned <= died);
    MODEL_CHECK(shared.ring.tail == shared.ring.head.position);
}

/* There is room for all: none is dropped. */
static void none_is_dropped(void) {
    all_is_told();
    MODEL_CHECK(shared.ring.dropped == 0);
}

static void model(const char *name, uint64_t from, unsigned breaks, unsigned deaths, void (*first)(void),
                  void (*second)(void), void (*end)(void)) {
    start = from;
    model_run(&(struct model){.name = name,
                              .shared = &shared,
                              .size = sizeof shared,
                              .begin = begin,
                              .actors = {first, second, read_some},
                              .end = end,
                              .deaths = deaths,
                              .mortal = 3,
                              .breaks = breaks});
}

/* From each position at which a line ends otherwise: the second one at the end of the memory, before it, over it. */
int main(void) {
    model("ring: two writers who may die, and the reader", 0, 0, 1, write_one, write_one, all_is_told);
    model("ring: the same, over the end of the memory", 40, 3, 1, write_one, write_one, all_is_told);
    model("ring: nothing is dropped while there is room", 0, 0, 0, write_one, write_one, none_is_dropped);
    model("ring: one writer is slow, the other goes all around", 0, 3, 0, write_one, write_lap, all_is_told);
    model("ring: the same, where the laps differ", 16, 3, 0, write_one, write_lap, all_is_told);
    return 0;
}
