#include "ring.h"

#include <stdatomic.h>
#include <string.h>

#include "arch/machine.h"

/*
 * A place begins with a word: tag:24 pid:22 words:16 state:2. The tag is its position, so that a word left from an
 * earlier lap is not taken for one of this. Then a word with the line's length, then the line. No place goes over the
 * end of the memory: what is left there becomes a place without a line.
 */
enum state { CLAIMED = 1, COMPLETE = 2, GIVEN_UP = 3 };
enum { WORD = 8, PLACE_HEAD = 2 * WORD, PID_BITS = 22, SIZE_BITS = 16, STATE_BITS = 2 };

static uint64_t head_word(uint64_t position, uint32_t pid, uint64_t size, enum state state) {
    uint64_t tag = position / WORD & 0xffffff;
    uint64_t owner = pid & ((1U << PID_BITS) - 1);
    return ((tag << PID_BITS | owner) << SIZE_BITS | size / WORD) << STATE_BITS | state;
}

static uint64_t tag_of(uint64_t word) {
    return word >> (PID_BITS + SIZE_BITS + STATE_BITS);
}

static int pid_of(uint64_t word) {
    return (int)(word >> (SIZE_BITS + STATE_BITS) & ((1U << PID_BITS) - 1));
}

static uint64_t size_of(uint64_t word) {
    return (word >> STATE_BITS & ((1U << SIZE_BITS) - 1)) * WORD;
}

static enum state state_of(uint64_t word) {
    return (enum state)(word & 3);
}

static _Atomic uint64_t *word_at(struct ring *ring, uint64_t position) {
    return (_Atomic uint64_t *)(void *)&ring->bytes[position % RING_SIZE];
}

static bool is_of(uint64_t word, uint64_t position) {
    return state_of(word) && tag_of(word) == (position / WORD & 0xffffff);
}

/* Both halves of the head as one. On failure *position and *last are what is there. */
static bool exchange(struct ring *ring, uint64_t *position, uint64_t *last, uint64_t new_position, uint64_t new_last) {
    struct machine_pair expected = {*position, *last};
    bool done = machine_exchange(&ring->head, &expected, (struct machine_pair){new_position, new_last});
    *position = expected.first;
    *last = expected.second;
    return done;
}

static void read_head(struct ring *ring, uint64_t *position, uint64_t *last) {
    *position = *last = 0;
    exchange(ring, position, last, 0, 0);
}

static uint64_t claimed_word(uint64_t position, uint64_t last) {
    return head_word(position, (uint32_t)(last >> 32), (uint32_t)last, CLAIMED);
}

/*
 * The first word of the last claim, whose writer may have died before it wrote it; all earlier ones are there. What was
 * read is zeroed. Whoever comes here late, after a whole lap, finds a word of a line, which is not zero and stays, or
 * one that is yet to be written.
 */
static void complete_last(struct ring *ring, uint64_t position, uint64_t last) {
    uint64_t size = (uint32_t)last, nothing = 0;
    if (size && position - size >= atomic_load(&ring->tail))
        atomic_compare_exchange_strong(word_at(ring, position - size), &nothing, claimed_word(position - size, last));
}

/* The same by the writer, to whom the place belongs whatever stands there. */
static void write_first_word(struct ring *ring, uint64_t position, uint64_t last) {
    _Atomic uint64_t *word = word_at(ring, position);
    uint64_t there = atomic_load(word);
    while (!is_of(there, position) && !atomic_compare_exchange_weak(word, &there, claimed_word(position, last))) {
    }
}

/* The position of size bytes that are the caller's now, or of fewer, to the end of the memory (*size says so). */
static bool claim(struct ring *ring, int pid, uint64_t *size, uint64_t *position) {
    uint64_t at, last, ours, wanted = *size;
    read_head(ring, &at, &last);
    do {
        uint64_t left = RING_SIZE - at % RING_SIZE;
        *size = left < wanted ? left : wanted;
        if (at + *size - atomic_load(&ring->tail) > RING_SIZE)
            return false;
        ours = (uint64_t)(uint32_t)pid << 32 | *size;
        complete_last(ring, at, last);
    } while (!exchange(ring, &at, &last, at + *size, ours));
    write_first_word(ring, at, ours);
    *position = at;
    return true;
}

/* False: it was taken for abandoned. */
static bool complete(struct ring *ring, uint64_t position, uint64_t size, int pid) {
    uint64_t claimed = head_word(position, (uint32_t)pid, size, CLAIMED);
    return atomic_compare_exchange_strong(word_at(ring, position), &claimed,
                                          head_word(position, (uint32_t)pid, size, COMPLETE));
}

bool ring_put(struct ring *ring, int pid, const void *line, size_t length) {
    uint64_t wanted = PLACE_HEAD + (length + WORD - 1) / WORD * WORD, size = wanted, position;
    if (length > RING_LINE_MAX) {
        atomic_fetch_add(&ring->dropped, 1);
        return false;
    }
    while (claim(ring, pid, &size, &position)) {
        if (size == wanted) {
            unsigned char *place = &ring->bytes[position % RING_SIZE];
            atomic_store_explicit(word_at(ring, position + WORD), length, memory_order_relaxed);
            memcpy(place + PLACE_HEAD, line, length);
            return complete(ring, position, size, pid);
        }
        /* Too little to the end: an empty place (its second word, if there is one, is zero). */
        complete(ring, position, size, pid);
        size = wanted;
    }
    atomic_fetch_add(&ring->dropped, 1);
    return false;
}

void ring_expect(struct ring *ring) {
    enum { CACHE_LINE = 64, USUAL_LINE = 320 };
    uint64_t position = atomic_load_explicit(&ring->head.position, memory_order_relaxed);
    for (unsigned at = 0; at < USUAL_LINE; at += CACHE_LINE)
        __builtin_prefetch(&ring->bytes[(position + at) % RING_SIZE], 1);
}

static void read_past(struct ring *ring, uint64_t word) {
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    memset(&ring->bytes[tail % RING_SIZE], 0, size_of(word));
    atomic_store(&ring->tail, tail + size_of(word));
}

enum ring_next ring_peek(struct ring *ring, const char **line, size_t *length, int *pid) {
    for (;;) {
        uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        uint64_t position, last;
        read_head(ring, &position, &last);
        if (position == tail)
            return RING_EMPTY;
        uint64_t word = atomic_load(word_at(ring, tail));
        if (!is_of(word, tail)) {
            complete_last(ring, position, last);
            *pid = 0;
            return RING_BUSY;
        }
        *pid = pid_of(word);
        if (state_of(word) == CLAIMED)
            return RING_BUSY;
        *length = size_of(word) > PLACE_HEAD ? atomic_load(word_at(ring, tail + WORD)) : 0;
        *line = (const char *)&ring->bytes[tail % RING_SIZE] + PLACE_HEAD;
        if (state_of(word) == COMPLETE && *length > 0 && *length <= size_of(word) - PLACE_HEAD)
            return RING_LINE;
        read_past(ring, word);
    }
}

void ring_take(struct ring *ring) {
    read_past(ring, atomic_load(word_at(ring, atomic_load(&ring->tail))));
}

/*
 * All that is left to the end is claimed, for nobody, and read. Until the tail follows the head, writers have only as
 * much room as lies before it in the memory: so not sooner than that is much.
 */
void ring_rewind(struct ring *ring) {
    enum { MUCH = 1 << 20 };
    uint64_t position, last;
    read_head(ring, &position, &last);
    uint64_t end = position + RING_SIZE - position % RING_SIZE;
    if (position == atomic_load(&ring->tail) && position % RING_SIZE >= MUCH &&
        exchange(ring, &position, &last, end, 0))
        atomic_store(&ring->tail, end);
}

void ring_give_up(struct ring *ring) {
    uint64_t tail = atomic_load(&ring->tail), position, last;
    _Atomic uint64_t *word = word_at(ring, tail);
    uint64_t there = atomic_load(word);
    read_head(ring, &position, &last);
    if (!is_of(there, tail)) {
        /* Whose it is, and how far it goes, is not known: all that was claimed until now goes with it. */
        memset(&ring->bytes[tail % RING_SIZE], 0, WORD);
        atomic_store(&ring->tail, position);
    } else if (state_of(there) != CLAIMED ||
               !atomic_compare_exchange_strong(word, &there, (there & ~3ULL) | GIVEN_UP)) {
        return;
    }
    atomic_fetch_add(&ring->abandoned, 1);
}
