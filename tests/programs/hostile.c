/*
 * What a process of a session can do that has dropped its privileges and been taken over: it writes into the memory
 * that all share. hostile WHERE MILLISECONDS: as another user, for so long; WHERE: ring, roster, book, parts, header or
 * all. It prints how often it wrote.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pure/session_layout.h"

enum { NOBODY = 65534 };

static uint64_t state;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static struct session *find_session(void) {
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    unsigned long begin = 0;
    while (maps && !begin && fgets(line, sizeof line, maps))
        if (strstr(line, SESSION_FILE_PREFIX) && strstr(line, " rw-s "))
            begin = strtoul(line, NULL, 16);
    if (maps)
        fclose(maps);
    return (struct session *)begin; // NOLINT(performance-no-int-to-ptr)
}

/* Values at which something turns, or any. */
static uint64_t value(void) {
    static const uint64_t edges[] = {0,          1,          2,          3,          7,     0x7fffffff,
                                     0x80000000, 0xffffffff, 1ULL << 32, 1ULL << 63, ~0ULL, ~0ULL - 1};
    const uint64_t random = next_random();
    switch (random >> 60) {
    case 0:
    case 1:
    case 2:
        return edges[random % (sizeof edges / sizeof *edges)];
    case 3:
        return random % 4096;
    case 4:
        return random % 64 << 32 | random % 100000; /* a state and a process, a turn and a process */
    default:
        return random;
    }
}

static void spoil(void *begin, size_t size) {
    _Atomic uint64_t *words = begin;
    const size_t count = size / sizeof *words, at = next_random() % count;
    const size_t some = 1 + next_random() % 32;
    for (size_t i = at; i < at + some && i < count; i++)
        atomic_store_explicit(&words[i], value(), memory_order_relaxed);
}

/* A place that looks as if it were right, of a size that is not. */
static void forge_place(struct ring *ring) {
    const uint64_t position = atomic_load(&ring->head.position), size = next_random() % 65536;
    _Atomic uint64_t *word = (_Atomic uint64_t *)(void *)&ring->bytes[position % RING_SIZE / 8 * 8];
    atomic_store(word,
                 ((position / 8 & 0xffffff) << 22 | (uint64_t)getpid()) << 18 | size << 2 | (2 + next_random() % 2));
    atomic_store(&ring->head.position, position + (next_random() % 4 ? size * 8 : value()));
}

static void spoil_ring(struct session *session) {
    struct ring *ring = &session->ring;
    switch (next_random() % 8) {
    case 0:
        atomic_store(&ring->head.position, value());
        break;
    case 1:
        atomic_store(&ring->head.last, value());
        break;
    case 2:
        atomic_store(&ring->tail, value());
        break;
    case 3:
    case 4:
        forge_place(ring);
        break;
    default:
        spoil(&ring->bytes[atomic_load(&ring->tail) % (RING_SIZE - 4096) / 8 * 8], 4096);
    }
}

static void spoil_parts(struct session *session) {
    for (int part = 0; part < SESSION_PARTS; part++) {
        spoil(session->parts[part], 64);
        spoil(session->parts[part], 4096);
        spoil(session->parts[part], 1 << 16);
        spoil(session->parts[part], SESSION_PART_SIZE);
    }
}

static void spoil_header(struct session *session) {
    memcpy(session->name, "evil", sizeof "evil");
    memcpy(session->version, "another", sizeof "another");
    atomic_store(&session->ended, (uint32_t)value());
}

static unsigned long long go_on(struct session *session, const char *where, clock_t milliseconds) {
    struct timespec begin, now;
    unsigned long long times = 0;
    const bool all = strcmp(where, "all") == 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        if (all || strcmp(where, "ring") == 0)
            spoil_ring(session);
        if (all || strcmp(where, "roster") == 0)
            spoil(&session->roster, sizeof session->roster);
        if (all || strcmp(where, "book") == 0)
            spoil(&session->book, sizeof session->book);
        if (all || strcmp(where, "parts") == 0)
            spoil_parts(session);
        if (all || strcmp(where, "header") == 0)
            spoil_header(session);
        if (++times % 64 == 0)
            usleep(200);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < milliseconds);
    return times;
}

int main(int argc, char **argv) {
    struct session *session = find_session();
    if (argc != 3 || !session)
        return 2;
    if (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        return 77;
    state = (uint64_t)time(NULL) << 20 | (uint64_t)getpid();
    fprintf(stderr, "hostile: seed %llu\n", (unsigned long long)state);
    printf("%llu\n", go_on(session, argv[1], atol(argv[2])));
    return 0;
}
