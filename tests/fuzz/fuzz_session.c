/*
 * A session's memory in which a hostile process writes, between the reads of others and during them: the command and
 * the library's readers take what is there for what it is. Nothing is read or written out of bounds (the sanitizers say
 * so: each part of the memory stands alone), nothing goes on for ever (reads are counted), and what comes out is
 * checked.
 *
 * An input is a script: from its front, what is called with which arguments; from its back, what the hostile process
 * writes, and when.
 */
#include "meddled/meddle.h"

#include <errno.h>
#include <sys/syscall.h>

#include "run/drain.h"
#include "faults/fault_count.h"
#include "kernel/process.h"
#include "kernel/scratch.h"
#include "kernel/thread.h"
#include "pure/address_book.h"
#include "pure/pack.h"
#include "pure/render.h"
#include "pure/roster.h"
#include "refs/fds_in_flight.h"
#include "refs/references.h"
#include "session/session.h"

#include "../unit/json_check.h"
#include "fuzz.h"

/* The input. */
static const uint8_t *front, *back;

static uint8_t next_byte(void) {
    return front < back ? *front++ : 0;
}

static uint64_t next_word(void) {
    uint64_t word = 0;
    for (int i = 0; i < 8; i++)
        word = word << 8 | next_byte();
    return word;
}

static uint8_t last_byte(void) {
    return front < back ? *--back : 0;
}

static uint64_t last_word(void) {
    uint64_t word = 0;
    for (int i = 0; i < 8; i++)
        word = word << 8 | last_byte();
    return word;
}

/* The memory: each part by itself, so that a step out of it is seen. */
enum { PARTS_MAX = 8 };

static struct part {
    unsigned char *begin;
    size_t size;
} parts[PARTS_MAX];
static unsigned part_count;

static struct ring *ring;
static struct roster *roster;
static struct address_book *book;

static void *new_part(size_t size) {
    MUST(part_count < PARTS_MAX);
    struct part *part = &parts[part_count++];
    *part = (struct part){aligned_alloc(64, (size + 63) / 64 * 64), (size + 63) / 64 * 64};
    MUST(part->begin);
    return part->begin;
}

/* The hostile process. */
static unsigned until_next;
static unsigned long reads;
enum { READS_MAX = 4000000 };

static uint64_t evil_value(uint64_t there) {
    static const uint64_t edges[] = {
        0,    1,     2,          7,          8,          9,          63,         64,        255,   4095,
        4096, 65535, 0x7fffffff, 0x80000000, 0xffffffff, 1ULL << 32, 1ULL << 63, ~0ULL - 1, ~0ULL, 3ULL << 32 | 77};
    const uint8_t how = last_byte();
    if (how < 64)
        return edges[how % (sizeof edges / sizeof *edges)];
    if (how < 96)
        return there ^ 1ULL << how % 64;
    if (how < 128)
        return there + how - 112;
    if (how < 160)
        return (uint64_t)last_byte() << 32 | last_byte();
    return last_word();
}

static bool is_in(const struct part *part, const volatile void *place) {
    return (const volatile unsigned char *)place >= part->begin &&
           (const volatile unsigned char *)place < part->begin + part->size;
}

static void write_word(struct part *part, size_t at) {
    uint64_t word;
    at = at % part->size / sizeof word * sizeof word;
    memcpy(&word, part->begin + at, sizeof word);
    word = evil_value(word);
    memcpy(part->begin + at, &word, sizeof word);
}

static void write_something(const volatile void *place) {
    const uint8_t where = last_byte();
    for (unsigned i = 0; i < part_count; i++)
        if (is_in(&parts[i], place) && where < 192) {
            const size_t offset = (size_t)((const volatile unsigned char *)place - parts[i].begin);
            write_word(&parts[i], where < 128 ? offset : offset + (where - 160U) * 8);
            return;
        }
    struct part *part = &parts[where % part_count];
    const size_t at = (size_t)last_word();
    for (unsigned some = 1 + last_byte() % 4; some > 0; some--)
        write_word(part, at + some * 8);
}

void meddle(const volatile void *place, size_t size) {
    MUST(++reads < READS_MAX);
    MUST((uintptr_t)place % size == 0); /* the sanitizers do not look at that of atomic words */
    if (until_next == 0 || --until_next > 0)
        return;
    write_something(place);
    until_next = front < back ? 1U + last_byte() % 64 : 0;
}

/* What stands in for the rest of the library and of the command. */

long meddled_call(long number, long a, long b) {
    (void)b;
    if (number == SYS_kill)
        return a % 3 == 0 ? -ESRCH : 0;
    return -EPERM;
}

bool sandbox_up;
bool sandbox_allows(long number, long a, long b, long c, long d, long e, long f) {
    (void)number, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
    return false;
}

struct thread_facts thread_facts;

bool thread_look(void) {
    return true;
}

static int self = 77;

int process_id(void) {
    return self;
}

bool process_is_borrowed(void) {
    return false;
}

void *session_memory(enum session_part part, size_t size) {
    (void)part;
    return new_part(size);
}

bool search_own_begin(struct listing *listing, struct scratch *scratch) {
    (void)listing, (void)scratch;
    return false;
}

int search_own_next(struct listing *listing) {
    (void)listing;
    return -1;
}

void search_own_end(struct listing *listing) {
    (void)listing;
}

static struct scratch scratch;

struct scratch *scratch_take(void) {
    return &scratch;
}

void scratch_give(struct scratch *given) {
    (void)given;
}

/* The trace: every line of it is JSON. */
static void see_lines(const char *text, size_t length) {
    for (const char *end = text + length; text < end;) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        MUST(newline && is_json_line(text, (size_t)(newline + 1 - text)));
        text = newline + 1;
    }
}

void writer_begin(struct writer *writer, int fd) {
    (void)writer, (void)fd;
}

bool writer_is_free(struct writer *writer, size_t *written, int *error) {
    (void)writer;
    *written = 0;
    *error = 0;
    return true;
}

void writer_give(struct writer *writer, const char *text, size_t length) {
    (void)writer;
    see_lines(text, length);
}

void writer_await(struct writer *writer, int milliseconds) {
    (void)writer, (void)milliseconds;
}

void say(const char *format, ...) {
    (void)format;
}

bool output_in_color(int fd) {
    (void)fd;
    return false;
}

int32_t local_offset(uint64_t time_us) {
    (void)time_us;
    return 0;
}

/* What is called. */

static uint64_t cookie(void) {
    const uint8_t which = next_byte();
    return which < 200 ? which % 12U : next_word();
}

static int pid(void) {
    const uint8_t which = next_byte();
    return which < 128 ? 60 + which % 24 : 1 + (which - 128) * 40000;
}

static struct drain drain;

static void put_line(void) {
    char line[512];
    const size_t length = 2U * next_byte();
    for (size_t i = 0; i < length; i++)
        line[i] = (char)next_byte();
    ring_put(ring, pid(), line, length);
}

static void put_event(void) {
    char packed[1024];
    struct event event;
    event_init(&event, (enum event_op)(1 + next_byte() % (OP_COUNT - 1)));
    event.pid = pid();
    event.cookie = cookie();
    event.call = "close";
    event.has = HAS_SOCKET | next_byte();
    const size_t length = event_pack(&event, packed, sizeof packed);
    if (length > 0)
        ring_put(ring, event.pid, packed, length);
}

static void read_ring(void) {
    const size_t came = drain_ring(&drain, ring, next_byte() % 4 == 0);
    MUST(came < RING_SIZE + RING_LINE_MAX && drain.reader.tail % 8 == 0);
}

/* Left alone, it works again, whatever stands there. */
static void recover(void) {
    static const char line[] = "{\"time\":1,\"pid\":7,\"comm\":\"x\",\"op\":\"close\"}\n";
    enum { ENOUGH = 2 * RING_SIZE / 8 };
    reads = 0;
    until_next = 0;
    drain_ring(&drain, ring, true);
    for (int i = 0; i < ENOUGH && ring->head.position != drain.reader.tail; i++)
        drain_ring(&drain, ring, true);
    MUST(ring->head.position == drain.reader.tail);
    MUST(ring_put(ring, 7, line, sizeof line - 1));
    MUST(drain_ring(&drain, ring, true) == sizeof line - 1);
}

static void note_process(void) {
    char name[32];
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = (char)next_byte();
    name[sizeof name - 1] = '\0';
    if (next_byte() % 4 == 0)
        roster_note_spawned(roster, pid(), ROSTER_EXEC, name);
    else
        roster_note(roster, pid(), (enum roster_state)(1 + next_byte() % (ROSTER_STATES - 1)), name);
}

static void read_roster(void) {
    for (unsigned i = 0; i < ROSTER_SIZE; i++) {
        char name[ROSTER_NAME];
        int its_pid;
        const enum roster_state state = roster_at(roster, i, &its_pid, name);
        MUST(state < ROSTER_STATES && memchr(name, '\0', sizeof name));
        MUST(state == ROSTER_FREE || its_pid > 0);
        if (state != ROSTER_FREE && next_byte() % 2)
            MUST(roster_gone(roster, its_pid) < ROSTER_STATES);
    }
    unsigned place;
    MUST(!roster_find(roster, pid(), &place) || place < ROSTER_SIZE);
    roster_has_heard(roster, pid());
}

static void note_ends(void) {
    struct ends ends = {.role = ROLE_CLIENT, .fin_left = next_byte() % 2};
    ends.local.family = next_byte() % 2 ? ADDRESS_V4 : ADDRESS_V6;
    address_book_note(book, cookie(), &ends);
}

static void read_ends(void) {
    struct ends ends;
    char text[ADDRESS_TEXT_SIZE];
    if (!address_book_find(book, cookie(), &ends))
        return;
    MUST(address_is_sound(&ends.local) && address_is_sound(&ends.remote));
    MUST(ends.role < ROLE_COUNT && ends.fin_left <= 1);
    address_to_text(&ends.local, text);
}

static void pass_copies(void) {
    const uint64_t receiver = next_byte() % 5;
    switch (next_byte() % 6) {
    case 0:
    case 1:
        flight_sent(cookie(), receiver);
        break;
    case 2:
        flight_received(cookie(), receiver);
        break;
    case 3:
        flight_forget_older(receiver, next_byte());
        break;
    case 4:
        flight_over(cookie());
        break;
    default:
        flight_meet_strangers();
    }
}

static void count_copies(void) {
    const uint64_t of = cookie();
    uint64_t queue = 0;
    for (unsigned i = 0; i < 64 && (queue = flight_next_queue(of, queue)); i++)
        flight_among_last(of, queue, next_byte());
    flight_any();
    flight_met_strangers();
}

static void count_rules(void) {
    const unsigned rule = next_byte() % 64;
    fault_count_match(rule, (enum rule_scope)(next_byte() % 4), cookie());
    fault_count_fired(rule, next_byte() % 2 ? 1 : -1);
    fault_count_of(rule);
}

static void (*const calls[])(void) = {put_line,  put_event, read_ring,   note_process, read_roster,
                                      note_ends, read_ends, pass_copies, count_copies, count_rules};

static void begin(void) {
    if (part_count == 0) {
        ring = new_part(sizeof *ring);
        roster = new_part(sizeof *roster);
        book = new_part(sizeof *book);
        flight_start();
        fault_count_start();
        drain_begin(&drain, NULL, true);
    }
    for (unsigned i = 0; i < part_count; i++)
        memset(parts[i].begin, 0, parts[i].size);
    memset(&drain.reader, 0, offsetof(struct ring_reader, line));
    drain.filling.length = drain.leaving.length = 0;
    drain.busy_since_ms = 0;
    until_next = 0;
    fault_count_forked();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    front = data;
    back = data + size;
    begin();
    until_next = last_byte();
    while (front < back) {
        reads = 0;
        calls[next_byte() % (sizeof calls / sizeof *calls)]();
    }
    recover();
    return 0;
}
