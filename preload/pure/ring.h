/*
 * Lines of many processes on their way to one reader, in memory that they share. Lock-free: a writer claims a place,
 * copies its line into it and marks it as complete; nobody waits for anybody. A writer that dies in between (SIGKILL)
 * leaves a place that is known to be its own, and the reader goes past it. What finds no room is dropped, and counted.
 *
 * Pure: memory only. Zeroed memory is an empty ring. ring_put() is async-signal-safe.
 */
#ifndef CLOSETRACE_RING_H
#define CLOSETRACE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RING_SIZE = 1 << 24, RING_LINE_MAX = 1 << 14 };

struct ring {
    unsigned char bytes[RING_SIZE] __attribute__((aligned(64)));
    /*
     * Where the next place begins, in bytes since ever, and who claimed the last one (pid << 32 | its size): changed
     * as one, so that a claim whose writer dies at once is completed by whoever comes next.
     */
    struct {
        _Atomic uint64_t position;
        _Atomic uint64_t last;
    } head __attribute__((aligned(16)));
    _Atomic uint64_t dropped;   /* lines that found no room */
    unsigned char between[40];  /* writers and reader have a line of the cache each */
    _Atomic uint64_t tail;      /* what is before it was read */
    _Atomic uint64_t abandoned; /* places that were claimed and never completed */
};

/* One line, length at most RING_LINE_MAX, of the process pid. False: it found no room. */
bool ring_put(struct ring *ring, int pid, const void *line, size_t length);

/* Before ring_put(): where the line will stand is fetched while something else is done. */
void ring_expect(struct ring *ring);

/* The reader's: there is one. */
enum ring_next {
    RING_EMPTY,
    RING_LINE,
    RING_BUSY, /* its writer has not completed it yet */
};

/*
 * The next line, without taking it. RING_LINE: *line and *length, valid until ring_take(). RING_BUSY: *pid is the
 * writer's.
 */
enum ring_next ring_peek(struct ring *ring, const char **line, size_t *length, int *pid);

/* It was read. */
void ring_take(struct ring *ring);

/*
 * To be called where it is empty, now and then: what comes next stands at the beginning of the memory again, so that
 * little of it is used, and the same again and again, as long as the reader keeps up. Nothing is lost by it.
 */
void ring_rewind(struct ring *ring);

/* The place that is RING_BUSY is given up: its writer is dead, or has not come back to it for too long. */
void ring_give_up(struct ring *ring);

#endif
