/* The ring of lines: order, laps, writers that die at any moment, no room. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pure/ring.h"
#include "unit.h"

static struct ring_reader reader;

static struct ring *new_ring(void) {
    memset(&reader, 0, sizeof reader);
    void *memory = mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void free_ring(struct ring *ring) {
    munmap(ring, sizeof *ring);
}

static bool next_is(struct ring *ring, const char *wanted) {
    if (ring_peek(ring, &reader) != RING_LINE)
        return false;
    bool is = reader.length == strlen(wanted) && memcmp(reader.line, wanted, reader.length) == 0;
    ring_take(ring, &reader);
    return is;
}

static bool is_empty(struct ring *ring) {
    return ring_peek(ring, &reader) == RING_EMPTY;
}

/* The next line, so long, begins with that letter. */
static bool line_is_there(struct ring *ring, size_t length, char letter) {
    return ring_peek(ring, &reader) == RING_LINE && reader.length == length && reader.line[0] == letter;
}

static void lines_come_in_order(void) {
    struct ring *ring = new_ring();
    CHECK(is_empty(ring));
    CHECK(ring_put(ring, 1, "one\n", 4));
    CHECK(ring_put(ring, 2, "seventeen\n", 10));
    CHECK(next_is(ring, "one\n"));
    CHECK(ring_put(ring, 1, "3\n", 2));
    CHECK(next_is(ring, "seventeen\n"));
    CHECK(next_is(ring, "3\n"));
    CHECK(is_empty(ring));
    free_ring(ring);
}

static void many_laps(void) {
    struct ring *ring = new_ring();
    char line[3001];
    memset(line, 'x', sizeof line);
    for (unsigned i = 0; i < 40000; i++) {
        size_t length = 1 + i * 7919 % 3000;
        line[0] = (char)('a' + i % 26);
        if (!ring_put(ring, 7, line, length) || !line_is_there(ring, length, line[0])) {
            FAILED("line %u was lost or changed", i);
            break;
        }
        ring_take(ring, &reader);
    }
    CHECK(is_empty(ring));
    free_ring(ring);
}

/* As long as the reader keeps up, little of the memory is used. */
static void rewound(void) {
    struct ring *ring = new_ring();
    char line[1000];
    memset(line, 'z', sizeof line);
    for (unsigned i = 0; i < 40000; i++) {
        line[0] = (char)('a' + i % 26);
        CHECK(ring_put(ring, 7, line, sizeof line));
        CHECK(line_is_there(ring, sizeof line, line[0]));
        CHECK(reader.tail % RING_SIZE < 2 * (1 << 20));
        ring_rewind(ring, &reader); /* it is not empty */
        ring_take(ring, &reader);
        ring_rewind(ring, &reader);
    }
    CHECK(is_empty(ring));
    CHECK(atomic_load(&ring->dropped) == 0);
    free_ring(ring);
}

static void full_and_then_not(void) {
    struct ring *ring = new_ring();
    char line[1000];
    unsigned fitted = 0;
    memset(line, 'y', sizeof line);
    while (ring_put(ring, 1, line, sizeof line))
        fitted++;
    CHECK(fitted > RING_SIZE / 1100);
    CHECK(atomic_load(&ring->dropped) == 1);
    CHECK(!ring_put(ring, 1, line, sizeof line));
    CHECK(atomic_load(&ring->dropped) == 2);
    CHECK(line_is_there(ring, sizeof line, 'y'));
    ring_take(ring, &reader);
    CHECK(ring_put(ring, 1, line, sizeof line));
    for (unsigned i = 0; i < fitted; i++) {
        CHECK(line_is_there(ring, sizeof line, 'y'));
        ring_take(ring, &reader);
    }
    CHECK(is_empty(ring));
    free_ring(ring);
}

static void too_long_a_line(void) {
    struct ring *ring = new_ring();
    static char line[RING_LINE_MAX + 1];
    CHECK(!ring_put(ring, 1, line, sizeof line));
    CHECK(atomic_load(&ring->dropped) == 1);
    free_ring(ring);
}

static void write_until_killed(struct ring *ring, unsigned who) {
    char line[200];
    for (unsigned n = 0;; n++) {
        int length = snprintf(line, sizeof line, "%u %u ", who, n);
        size_t whole = (size_t)length + n % 150;
        memset(line + length, (int)('a' + who), whole - (size_t)length);
        ring_put(ring, (int)getpid(), line, whole);
    }
}

/* Each line is whole, and a writer's lines come in its order. */
static bool is_right(const char *line, size_t length, long last[]) {
    unsigned who, n;
    int at;
    char text[256] = "";
    if (length >= sizeof text)
        return false;
    memcpy(text, line, length);
    if (sscanf(text, "%u %u %n", &who, &n, &at) != 2 || who >= 8 || (long)n <= last[who] || length != at + n % 150)
        return false;
    last[who] = n;
    for (size_t i = (size_t)at; i < length; i++)
        if (text[i] != (char)('a' + who))
            return false;
    return true;
}

static bool is_dead(int pid) {
    return pid && kill(pid, 0) != 0;
}

/* Reads what is there; a place whose writer is dead is given up. */
static unsigned drain(struct ring *ring, long last[], bool all_dead) {
    unsigned wrong = 0;
    for (unsigned turns = 0; turns < 2000; turns++) {
        enum ring_next next = ring_peek(ring, &reader);
        if (next == RING_EMPTY) {
            ring_rewind(ring, &reader);
            break;
        }
        if (next == RING_LINE) {
            wrong += !is_right(reader.line, reader.length, last);
            ring_take(ring, &reader);
        } else if (all_dead || is_dead(reader.pid)) {
            ring_give_up(ring, &reader);
        }
    }
    return wrong;
}

static void writers_that_are_killed(void) {
    struct ring *ring = new_ring();
    unsigned wrong = 0;
    long most = 0;
    for (unsigned round = 0; round < 60; round++) {
        pid_t writers[4];
        long last[8];
        memset(last, -1, sizeof last);
        for (unsigned w = 0; w < 4; w++)
            if ((writers[w] = fork()) == 0)
                write_until_killed(ring, w);
        for (unsigned w = 0; w < 4; w++) {
            for (unsigned turns = 0; turns < 3 + round % 5; turns++)
                wrong += drain(ring, last, false);
            kill(writers[w], SIGKILL);
            waitpid(writers[w], NULL, 0);
        }
        while (!is_empty(ring))
            wrong += drain(ring, last, true);
        for (unsigned w = 0; w < 4; w++)
            most = last[w] > most ? last[w] : most;
    }
    CHECK(wrong == 0);
    CHECK(most > 100);
    /* It works on. */
    CHECK(ring_put(ring, 1, "after\n", 6));
    CHECK(next_is(ring, "after\n"));
    free_ring(ring);
}

/* What a writer leaves that dies with its claim made and nothing written: its last claim is known, */
static void claim_without_a_word(void) {
    struct ring *ring = new_ring();
    atomic_store(&ring->head.position, 64);
    atomic_store(&ring->head.last, 77ULL << 32 | 64);
    CHECK(ring_peek(ring, &reader) == RING_BUSY);
    CHECK(ring_peek(ring, &reader) == RING_BUSY && reader.pid == 77);
    ring_give_up(ring, &reader);
    CHECK(is_empty(ring));
    CHECK(reader.abandoned == 1);
    CHECK(ring_put(ring, 1, "next\n", 5));
    CHECK(next_is(ring, "next\n"));
    free_ring(ring);
}

/* an earlier one is not: nothing is lost of what comes after it. */
static void claim_of_nobody(void) {
    struct ring *ring = new_ring();
    atomic_store(&ring->head.position, 64);
    atomic_store(&ring->head.last, 77ULL << 32 | 64);
    CHECK(ring_put(ring, 1, "next\n", 5));
    CHECK(ring_put(ring, 2, "and one more\n", 13));
    CHECK(ring_peek(ring, &reader) == RING_BUSY && reader.pid == 0);
    ring_give_up(ring, &reader);
    CHECK(next_is(ring, "next\n"));
    CHECK(next_is(ring, "and one more\n"));
    CHECK(reader.abandoned == 1);
    CHECK(is_empty(ring));
    free_ring(ring);
}

/* Who was given up and writes on spoils what stands there now: that is seen, and counted. */
static void written_over(void) {
    struct ring *ring = new_ring();
    CHECK(ring_put(ring, 1, "a line of some length\n", 22));
    CHECK(ring_put(ring, 2, "next\n", 5));
    ring->bytes[24] = 'A';
    CHECK(next_is(ring, "next\n"));
    CHECK(is_empty(ring));
    CHECK(reader.abandoned == 1);
    free_ring(ring);
}

/* Whatever stands there (any process of the session can write there): an end, nothing out of bounds, and then it works.
 */
static void forged(uint64_t position, uint64_t last, uint64_t tail, uint64_t first, uint64_t second) {
    struct ring *ring = new_ring();
    atomic_store(&ring->head.position, position);
    atomic_store(&ring->head.last, last);
    atomic_store(&ring->tail, tail);
    for (unsigned i = 0; i < 8; i++) {
        ring->bytes[i] = (unsigned char)(first >> 8 * i);
        ring->bytes[8 + i] = (unsigned char)(second >> 8 * i);
    }
    ring_put(ring, 1, "lost, or not\n", 13);
    for (unsigned turn = 0; turn < 4; turn++) {
        enum ring_next next = ring_peek(ring, &reader);
        if (next == RING_BUSY)
            ring_give_up(ring, &reader);
        else if (next == RING_LINE)
            ring_take(ring, &reader);
    }
    CHECK(is_empty(ring));
    /* What looks like a place costs the line that comes to stand there. */
    if (ring_put(ring, 1, "next\n", 5))
        CHECK(next_is(ring, "next\n"));
    CHECK(is_empty(ring));
    CHECK(ring_put(ring, 1, "and the next\n", 13));
    CHECK(next_is(ring, "and the next\n"));
    free_ring(ring);
}

static void forgeries(void) {
    static const uint64_t positions[] = {0, 12, 64, RING_SIZE + 8, ~0ULL - 7};
    static const uint64_t words[] = {
        0, ~0ULL, /* the first word of a place at 0 has no tag: a process, its size in words, its state */
        1, 2,     3, 1 << 2 | 2, 2 << 2 | 2, 4 << 2 | 1, 0xffff << 2 | 2, 77 << 18 | 4 << 2 | 2};
    for (size_t p = 0; p < sizeof positions / sizeof *positions; p++)
        for (size_t t = 0; t < sizeof positions / sizeof *positions; t++)
            for (size_t w = 0; w < sizeof words / sizeof *words; w++)
                forged(positions[p], words[w], positions[t], words[w], words[(w + p) % 8]);
}

int main(void) {
    lines_come_in_order();
    many_laps();
    rewound();
    full_and_then_not();
    too_long_a_line();
    claim_without_a_word();
    claim_of_nobody();
    written_over();
    forgeries();
    writers_that_are_killed();
    return unit_failures();
}
