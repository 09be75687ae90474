#include "ring.h"

#include <stdatomic.h>
#include <string.h>

#include "arch/machine.h"
#include "unroll.h"

/*
 * A place begins with a word: tag:24 pid:22 words:16 state:2. The tag is its position, so that a word left from an
 * earlier lap is not taken for one of this. Then a word with the line's length and its sum, then the line. No place
 * goes over the end of the memory: what is left there becomes a place without a line.
 */
enum state { CLAIMED = 1, COMPLETE = 2, GIVEN_UP = 3 };
enum { WORD = 8, PLACE_HEAD = 2 * WORD, PID_BITS = 22, SIZE_BITS = 16, STATE_BITS = 2, LENGTH_BITS = 16 };

_Static_assert(RING_LINE_MAX < 1 << LENGTH_BITS, "a length has room");

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

/* Nobody who keeps to the rules makes anybody try so often; who does not keeps nobody at it for ever. */
enum { TRIES = 10000 };

/* The place belongs to the writer, whatever stands there: the reader may have written it already. */
static void write_first_word(struct ring *ring, uint64_t position, uint64_t last) {
    _Atomic uint64_t *word = word_at(ring, position);
    uint64_t there = atomic_load(word), ours = claimed_word(position, last);
    for (int i = 0; i < TRIES && there >> STATE_BITS != ours >> STATE_BITS; i++)
        if (atomic_compare_exchange_weak(word, &there, ours))
            break;
}

/*
 * How far the reader is, and where the next place begins, as it was before. A tail that is past that is newer: the head
 * is read again, which is past it in its turn. False: it is not, or it goes on so; then it is no ring of ours.
 */
static bool read_ends(struct ring *ring, uint64_t *at, uint64_t *last, uint64_t *tail) {
    for (int i = 0; i < TRIES; i++) {
        *tail = atomic_load(&ring->tail);
        if (*tail <= *at)
            return *at % WORD == 0;
        read_head(ring, at, last);
        if (*at < *tail)
            return false;
    }
    return false;
}

/* The position of size bytes that are the caller's now, or of fewer, to the end of the memory (*size says so). */
static bool claim(struct ring *ring, int pid, uint64_t *size, uint64_t *position) {
    uint64_t at, last, tail, ours, wanted = *size;
    int tries = 0;
    read_head(ring, &at, &last);
    do {
        if (tries++ == TRIES || !read_ends(ring, &at, &last, &tail))
            return false;
        uint64_t left = RING_SIZE - at % RING_SIZE;
        *size = left < wanted ? left : wanted;
        if (at + *size - tail > RING_SIZE)
            return false;
        ours = (uint64_t)(uint32_t)pid << 32 | *size;
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

/*
 * Copies a line into its place, or out of it; returns a sum of its words and its position. It tells whether the place
 * was written to by somebody who did not own it any more: who was stopped for so long that he was given up.
 */
static uint64_t copy_in(struct ring *ring, uint64_t position, const unsigned char *line, size_t length) {
    _Atomic uint64_t *to = word_at(ring, position);
    const size_t whole = length / WORD, left = length % WORD;
    uint64_t sum = position;
    UNROLL(4)
    for (size_t i = 0; i < whole; i++) {
        uint64_t word;
        memcpy(&word, line + i * WORD, WORD);
        sum += word;
        atomic_store_explicit(&to[i], word, memory_order_relaxed);
    }
    if (left > 0) {
        uint64_t word = 0;
        memcpy(&word, line + whole * WORD, left);
        sum += word;
        atomic_store_explicit(&to[whole], word, memory_order_relaxed);
    }
    return sum;
}

static uint64_t copy_out(struct ring *ring, uint64_t position, char *line, size_t length) {
    uint64_t sum = position;
    for (size_t at = 0; at < length; at += WORD) {
        uint64_t word = atomic_load_explicit(word_at(ring, position + at), memory_order_relaxed);
        sum += word;
        memcpy(line + at, &word, WORD);
    }
    return sum;
}

static void write_second_word(struct ring *ring, uint64_t position, size_t length, uint64_t sum) {
    atomic_store_explicit(word_at(ring, position + WORD), sum << LENGTH_BITS | length, memory_order_relaxed);
}

bool ring_put(struct ring *ring, int pid, const void *line, size_t length) {
    uint64_t wanted = PLACE_HEAD + (length + WORD - 1) / WORD * WORD, size = wanted, position;
    bool fits = length > 0 && length <= RING_LINE_MAX;
    while (fits && claim(ring, pid, &size, &position)) {
        if (size == wanted) {
            uint64_t sum = copy_in(ring, position + PLACE_HEAD, line, length);
            write_second_word(ring, position, length, sum);
            return complete(ring, position, size, pid);
        }
        /* Too little to the end: a place without a line. */
        if (size >= PLACE_HEAD)
            write_second_word(ring, position, 0, 0);
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

/* Past so many bytes, which are free again. */
static void read_past(struct ring *ring, struct ring_reader *reader, uint64_t size) {
    for (uint64_t at = 0; at < size; at += WORD)
        atomic_store_explicit(word_at(ring, reader->tail + at), 0, memory_order_relaxed);
    reader->tail += size;
    atomic_store(&ring->tail, reader->tail);
}

/*
 * Its head as it stands; false: nobody could have brought it there who kept to the rules. Then the ring begins anew
 * where it was read to, without whatever was in it.
 */
static bool head_is_right(struct ring *ring, struct ring_reader *reader, uint64_t *position, uint64_t *last) {
    if (atomic_load_explicit(&ring->tail, memory_order_relaxed) != reader->tail)
        atomic_store(&ring->tail, reader->tail);
    read_head(ring, position, last);
    if (*position - reader->tail <= RING_SIZE && *position % WORD == 0)
        return true;
    if (exchange(ring, position, last, reader->tail, 0)) {
        memset(ring->bytes, 0, RING_SIZE);
        atomic_store(&ring->tail, reader->tail);
        reader->abandoned++;
    }
    return false;
}

/* Whether a place of a size that can be begins with that word; so much is claimed from there on. */
static bool begins_place(uint64_t word, uint64_t position, uint64_t claimed) {
    uint64_t size = size_of(word), left = RING_SIZE - position % RING_SIZE;
    return is_of(word, position) && size > 0 && size <= claimed && size <= left;
}

/* What is in the complete place at the tail. */
enum content { NO_LINE, WHOLE, SPOILED };

static enum content read_line(struct ring *ring, struct ring_reader *reader) {
    if (reader->size < PLACE_HEAD)
        return NO_LINE;
    uint64_t word = atomic_load(word_at(ring, reader->tail + WORD));
    if (word == 0)
        return NO_LINE;
    reader->length = word & ((1U << LENGTH_BITS) - 1);
    if (reader->length == 0 || reader->length > RING_LINE_MAX || reader->length > reader->size - PLACE_HEAD)
        return SPOILED;
    uint64_t sum = copy_out(ring, reader->tail + PLACE_HEAD, reader->line, reader->length);
    return sum << LENGTH_BITS >> LENGTH_BITS == word >> LENGTH_BITS ? WHOLE : SPOILED;
}

/* The first word of the last claim, whose writer may have died before it wrote it. */
static void complete_last(struct ring *ring, const struct ring_reader *reader, uint64_t position, uint64_t last) {
    uint64_t size = (uint32_t)last, nothing = 0;
    if (position - size == reader->tail && size % WORD == 0)
        atomic_compare_exchange_strong(word_at(ring, reader->tail), &nothing, claimed_word(reader->tail, last));
}

enum ring_next ring_peek(struct ring *ring, struct ring_reader *reader) {
    for (int i = 0; i < TRIES; i++) {
        uint64_t position, last;
        reader->size = 0;
        reader->pid = 0;
        if (!head_is_right(ring, reader, &position, &last) || position == reader->tail)
            return RING_EMPTY;
        uint64_t word = atomic_load(word_at(ring, reader->tail));
        if (!begins_place(word, reader->tail, position - reader->tail)) {
            complete_last(ring, reader, position, last);
            return RING_BUSY;
        }
        reader->pid = pid_of(word);
        if (state_of(word) == CLAIMED)
            return RING_BUSY;
        reader->size = size_of(word);
        enum content content = state_of(word) == COMPLETE ? read_line(ring, reader) : NO_LINE;
        if (content == WHOLE)
            return RING_LINE;
        if (content == SPOILED)
            reader->abandoned++;
        read_past(ring, reader, reader->size);
    }
    return RING_EMPTY; /* for now: whoever has claimed so many places without a line can wait */
}

bool ring_is_empty(struct ring *ring, const struct ring_reader *reader) {
    return atomic_load(&ring->head.position) == reader->tail;
}

void ring_take(struct ring *ring, struct ring_reader *reader) {
    read_past(ring, reader, reader->size);
    reader->size = 0;
}

/*
 * All that is left to the end is claimed, for nobody, and read. Until the tail follows the head, writers have only as
 * much room as lies before it in the memory: so not sooner than that is much.
 */
void ring_rewind(struct ring *ring, struct ring_reader *reader) {
    enum { MUCH = RING_SIZE / 16 };
    uint64_t position, last;
    read_head(ring, &position, &last);
    uint64_t end = position + RING_SIZE - position % RING_SIZE;
    if (position == reader->tail && position % RING_SIZE >= MUCH && exchange(ring, &position, &last, end, 0)) {
        reader->tail = end;
        atomic_store(&ring->tail, end);
    }
}

/* Whose the place at the tail is, and how far it goes, is not known: the next one that can be told goes on. */
static uint64_t distance_to_next(struct ring *ring, const struct ring_reader *reader, uint64_t claimed) {
    uint64_t at = WORD;
    while (at < claimed &&
           !begins_place(atomic_load(word_at(ring, reader->tail + at)), reader->tail + at, claimed - at))
        at += WORD;
    return at;
}

void ring_give_up(struct ring *ring, struct ring_reader *reader) {
    uint64_t position, last;
    if (!head_is_right(ring, reader, &position, &last) || position == reader->tail)
        return;
    _Atomic uint64_t *word = word_at(ring, reader->tail);
    uint64_t there = atomic_load(word), claimed = position - reader->tail;
    if (!begins_place(there, reader->tail, claimed)) {
        read_past(ring, reader, distance_to_next(ring, reader, claimed));
    } else if (state_of(there) != CLAIMED ||
               !atomic_compare_exchange_strong(word, &there, (there & ~3ULL) | GIVEN_UP)) {
        return;
    }
    reader->abandoned++;
}
