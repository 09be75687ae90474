/*
 * Lines of many processes on their way to one reader, in memory that they share. Lock-free: a writer claims a place,
 * copies its line into it and marks it as complete; nobody waits for anybody. A writer that dies in between (SIGKILL)
 * leaves a place that is known to be its own, and the reader goes past it. What finds no room is dropped, and counted.
 *
 * What must hold, whatever happens at the same moment (tests/model/model_ring.c tries it all):
 *   - The tail never passes the head. Whoever compares them reads the head first: then a tail that is before it was so.
 *   - The place of a claim is the writer's alone from the exchange of the head until the reader has gone past it.
 *   - Only the reader touches the place of another: the first word of the last claim, which its writer may have died
 *     before it wrote it, while it is zero. Where several claims follow such a one, the reader knows neither whose it
 * is nor how far it goes, and waits for it in vain; then it goes on at the next place that can be told.
 *   - A line is complete, and given to the reader once; or dropped, or abandoned, and counted once.
 *
 * Every process of the session can write into it. The reader keeps what is its own to itself, copies what it reads
 * once, and holds it against what it knows.
 *
 * Pure: memory only. Zeroed memory is an empty ring. ring_put() is async-signal-safe.
 */
#ifndef CLOSETRACE_RING_H
#define CLOSETRACE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session_size.h"

/* For tests: a very small one. */
#ifndef CLOSETRACE_RING_SIZE
#define CLOSETRACE_RING_SIZE SESSION_SIZE(1 << 24, 1 << 12)
#endif

enum { RING_SIZE = CLOSETRACE_RING_SIZE, RING_LINE_MAX = 1 << 14 };

struct ring {
    unsigned char bytes[RING_SIZE] __attribute__((aligned(64)));
    /*
     * Where the next place begins, in bytes since ever, and who claimed the last one (pid << 32 | its size): changed
     * as one, so that the reader can complete a claim whose writer dies at once.
     */
    struct {
        _Atomic uint64_t position;
        _Atomic uint64_t last;
    } head __attribute__((aligned(16)));
    _Atomic uint64_t dropped;  /* lines that found no room */
    unsigned char between[40]; /* writers and reader have a line of the cache each */
    _Atomic uint64_t tail;     /* what is before it was read: the reader's word for the writers */
};

/* One line, length at most RING_LINE_MAX, of the process pid. False: it found no room. */
bool ring_put(struct ring *ring, int pid, const void *line, size_t length);

/* Before ring_put(): where the line will stand is fetched while something else is done. */
void ring_expect(struct ring *ring);

/* The reader's: there is one. Zeroed at first. */
struct ring_reader {
    uint64_t tail;      /* how far it has read */
    uint64_t size;      /* of the place at the tail; 0: not known */
    int pid;            /* whose it is; 0: not known */
    uint64_t abandoned; /* places that were claimed and never completed, or were spoiled */
    size_t length;
    _Alignas(8) char line[RING_LINE_MAX];
};

enum ring_next {
    RING_EMPTY,
    RING_LINE, /* line and length */
    RING_BUSY, /* pid has not completed it yet */
};

/* The next line, without taking it. */
enum ring_next ring_peek(struct ring *ring, struct ring_reader *reader);

/* Whether nothing has been claimed that was not read. */
bool ring_is_empty(struct ring *ring, const struct ring_reader *reader);

/* It was read. */
void ring_take(struct ring *ring, struct ring_reader *reader);

/*
 * To be called where it is empty, now and then: what comes next stands at the beginning of the memory again, so that
 * little of it is used, and the same again and again, as long as the reader keeps up. Nothing is lost by it.
 */
void ring_rewind(struct ring *ring, struct ring_reader *reader);

/* The place that is RING_BUSY is given up: its writer is dead, or has not come back to it for too long. */
void ring_give_up(struct ring *ring, struct ring_reader *reader);

#endif
