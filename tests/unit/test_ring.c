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

static struct ring *new_ring(void) {
    void *memory = mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void free_ring(struct ring *ring) {
    munmap(ring, sizeof *ring);
}

static bool next_is(struct ring *ring, const char *wanted) {
    const char *line;
    size_t length;
    int pid;
    if (ring_peek(ring, &line, &length, &pid) != RING_LINE)
        return false;
    bool is = length == strlen(wanted) && memcmp(line, wanted, length) == 0;
    ring_take(ring);
    return is;
}

static bool is_empty(struct ring *ring) {
    const char *line;
    size_t length;
    int pid;
    return ring_peek(ring, &line, &length, &pid) == RING_EMPTY;
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
        const char *there = NULL;
        size_t there_length = 0;
        int pid;
        line[0] = (char)('a' + i % 26);
        if (!ring_put(ring, 7, line, length) || ring_peek(ring, &there, &there_length, &pid) != RING_LINE ||
            there_length != length || there[0] != line[0]) {
            FAILED("line %u was lost or changed", i);
            break;
        }
        ring_take(ring);
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
        const char *there = NULL;
        size_t length;
        int pid;
        CHECK(ring_peek(ring, &there, &length, &pid) == RING_LINE && length == sizeof line && there[0] == line[0]);
        CHECK(there < (const char *)ring->bytes + 2 * (1 << 20));
        ring_rewind(ring); /* it is not empty */
        ring_take(ring);
        ring_rewind(ring);
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
    const char *there;
    size_t length;
    int pid;
    CHECK(ring_peek(ring, &there, &length, &pid) == RING_LINE && length == sizeof line);
    ring_take(ring);
    CHECK(ring_put(ring, 1, line, sizeof line));
    for (unsigned i = 0; i < fitted; i++) {
        CHECK(ring_peek(ring, &there, &length, &pid) == RING_LINE && length == sizeof line);
        ring_take(ring);
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
    const char *line;
    size_t length;
    unsigned wrong = 0;
    int pid;
    for (unsigned turns = 0; turns < 2000; turns++) {
        enum ring_next next = ring_peek(ring, &line, &length, &pid);
        if (next == RING_EMPTY) {
            ring_rewind(ring);
            break;
        }
        if (next == RING_LINE) {
            wrong += !is_right(line, length, last);
            ring_take(ring);
        } else if (all_dead || is_dead(pid)) {
            ring_give_up(ring);
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

/* What a writer leaves that dies with its claim made and nothing written: the next one completes it. */
static void claim_without_a_word(void) {
    struct ring *ring = new_ring();
    const char *line;
    size_t length;
    int pid;
    atomic_store(&ring->head.position, 64);
    atomic_store(&ring->head.last, 77ULL << 32 | 64);
    CHECK(ring_put(ring, 1, "next\n", 5));
    CHECK(ring_peek(ring, &line, &length, &pid) == RING_BUSY && pid == 77);
    ring_give_up(ring);
    CHECK(next_is(ring, "next\n"));
    CHECK(atomic_load(&ring->abandoned) == 1);
    CHECK(is_empty(ring));
    free_ring(ring);
}

int main(void) {
    lines_come_in_order();
    many_laps();
    rewound();
    full_and_then_not();
    too_long_a_line();
    claim_without_a_word();
    writers_that_are_killed();
    return unit_failures();
}
