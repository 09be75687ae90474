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
#include <sanitizer/asan_interface.h>
#include <sys/syscall.h>

#include "look/destroyed.h"
#include "look/world.h"
#include "run/drain.h"
#include "run/endings.h"
#include "run/watch.h"
#include "faults/fault_count.h"
#include "kernel/clock.h"
#include "kernel/own_fds.h"
#include "kernel/process.h"
#include "kernel/scratch.h"
#include "kernel/sock_diag.h"
#include "kernel/thread.h"
#include "kernel/thread_call.h"
#include "pure/names.h"
#include "pure/pack.h"
#include "pure/render.h"
#include "refs/blocked_threads.h"
#include "refs/end_claims.h"
#include "refs/fd_table.h"
#include "refs/fds_in_flight.h"
#include "refs/ledger.h"
#include "refs/pending_releases.h"
#include "refs/references.h"
#include "refs/unix_queues.h"
#include "run/killed.h"
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

/* The memory. What the parts of it do not use is poisoned, so that a step out of them is seen. */
enum { PARTS_MAX = 8 };

static struct part {
    unsigned char *begin;
    size_t size;
} parts[PARTS_MAX];
static unsigned part_count;

static struct session *session;
static struct ring *ring;
static struct roster *roster;
static struct address_book *book;

static void *new_part(void *begin, size_t size) {
    MUST(part_count < PARTS_MAX);
    parts[part_count++] = (struct part){begin, size};
    return begin;
}

static void *new_part_of_session(enum session_part part, size_t size) {
    MUST(size <= SESSION_PART_SIZE);
    unsigned char *begin = session->parts[part];
    ASAN_POISON_MEMORY_REGION(begin + size, SESSION_PART_SIZE - size);
    return new_part(begin, size);
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
    MUST(part_count > 0);
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

/* The last inode that the kernel was said to have spoken of: so that it is found again, sometimes. */
static uint64_t inode = 7;

ssize_t meddled_readlink(const char *path, char *link, size_t size) {
    const uint8_t how = next_byte();
    (void)path;
    if (how < 64) {
        errno = how % 2 ? EACCES : ENOENT;
        return -1;
    }
    return snprintf(link, size, "socket:[%llu]", (unsigned long long)(how < 200 ? inode : how));
}

long meddled_call(long number, long a, long b, long c) {
    if (number == SYS_kill)
        return a % 3 == 0 ? -ESRCH : 0;
    if (number == SYS_readlink) {
        const ssize_t length = meddled_readlink(NULL, (char *)b, (size_t)c); // NOLINT(performance-no-int-to-ptr)
        return length < 0 ? -errno : length;
    }
    return -EPERM;
}

long own_open(long call, long a, long b, long c) {
    (void)call, (void)a, (void)b, (void)c;
    return -ENOENT;
}

void diag_look_up(const struct identity *identity, struct scratch *given, struct diag_answer *answer) {
    (void)given;
    *answer = (struct diag_answer){.asked = next_byte() % 8, .found = next_byte() % 4};
    MUST(address_is_sound(&identity->local) && address_is_sound(&identity->remote));
    answer->state = (enum tcp_state)(1 + next_byte() % (STATE_COUNT - 1));
    answer->inode = inode = next_byte() % 4;
    answer->fin_unsent = next_byte() % 2;
}

uint64_t clock_now(void) {
    return 1700000000000000;
}

void process_start(void) {}

int process_thread_id(void) {
    return process_id();
}

uint64_t socket_cookie(int fd) {
    return (uint64_t)fd % 12;
}

enum slot_kind table_kind(int fd) {
    return fd % 2 ? SLOT_OTHER : SLOT_TCP;
}

void table_set_found(int fd) {
    (void)fd;
}

unsigned queues_all(bool among_relatives, struct scratch *given, bool *partial) {
    (void)given;
    *partial = among_relatives;
    return next_byte() % 4;
}

int queues_of(uint64_t queue, struct scratch *given, bool *unreadable, struct search_row *holders) {
    (void)queue, (void)given, (void)holders;
    *unreadable = next_byte() % 2;
    return next_byte() % 5 - 1;
}

unsigned blocked_threads_of(uint64_t socket, struct scratch *given, struct holder *list, unsigned max) {
    (void)socket, (void)given, (void)list, (void)max;
    return 0;
}

unsigned blocked_threads_known(uint64_t socket, bool ends, struct scratch *given, struct holder *list, unsigned max) {
    (void)socket, (void)ends, (void)given, (void)list, (void)max;
    return 0;
}

unsigned blocked_threads_told(uint64_t cookie, bool ends, struct holder *list, unsigned max) {
    (void)cookie, (void)ends, (void)list, (void)max;
    return 0;
}

const char *thread_call_keeps(const struct thread_call *call, int pid, bool (*wanted)(uint64_t number, void *context),
                              void *context) {
    (void)call, (void)pid, (void)wanted, (void)context;
    return next_byte() % 2 ? "read" : NULL;
}

bool socket_closes_on_exec(int fd) {
    return fd % 3 == 0;
}

/* Nobody has looked at the world: nothing is known of an end but what the memory says. */

bool endings_look(bool wanted) {
    (void)wanted;
    return false;
}

const struct sighting *endings_of(uint64_t cookie) {
    (void)cookie;
    return NULL;
}

const struct sighting *watch_last(uint64_t cookie) {
    (void)cookie;
    return NULL;
}

uint64_t destroyed_unread(const struct sighting *gone, const struct sighting *before) {
    (void)gone, (void)before;
    return 0;
}

uint64_t sighting_unread(const struct sighting *sighting) {
    (void)sighting;
    return 0;
}

uint64_t sighting_unsent(const struct sighting *sighting) {
    (void)sighting;
    return 0;
}

uint64_t sighting_owed(const struct sighting *sighting) {
    (void)sighting;
    return 0;
}

uint64_t sighting_idle_ms(const struct sighting *sighting) {
    (void)sighting;
    return 0;
}

static _Atomic uint32_t odd_options;
_Atomic uint32_t *socket_odd_options = &odd_options;

bool sandbox_up;
bool sandbox_allows(long number, long a, long b, long c, long d, long e, long f) {
    (void)number, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
    return false;
}

struct thread_facts thread_facts;
atomic_bool thread_strangers;

bool thread_look(void) {
    return true;
}

static int self = 77;

int process_id(void) {
    return self;
}

static _Atomic uint32_t odd_tables;
_Atomic uint32_t *process_odd_tables = &odd_tables;

bool process_table_is_odd(void) {
    return next_byte() % 16 == 0;
}

bool process_tables_same(int one, int other) {
    return one == other || next_byte() % 16 == 0;
}

atomic_uint process_sharers;
atomic_bool process_any_private = true;

bool process_ask_private(void) {
    return next_byte() % 16 == 0;
}

bool process_ask_borrowed(void) {
    return false;
}

void *session_memory(enum session_part part, size_t size) {
    return new_part_of_session(part, size);
}

bool session_is_open(void) {
    return true;
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
    char line[512] = "";
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

static void keep_ledger(void) {
    const uint64_t of = cookie();
    const int fd = next_byte() % 8;
    self = pid();
    switch (next_byte() % 8) {
    case 0:
        ledger_born(of);
        break;
    case 1:
    case 2:
        ledger_add(of, fd);
        break;
    case 3:
        ledger_remove(of, fd);
        break;
    case 4:
        ledger_escaped(of);
        break;
    case 5:
        ledger_mark_leaving(of, fd, next_byte() % 2);
        break;
    case 6:
        ledger_end(next_byte() % 2);
        break;
    default:
        ledger_over(of);
    }
}

static uint64_t forked_cookie;

static void inherit(uint32_t who) {
    for (int fd = 0; fd < 4; fd++)
        ledger_inherit(who, forked_cookie + (uint64_t)fd, fd);
}

static void fork_in_ledger(void) {
    forked_cookie = cookie();
    if (next_byte() % 4 == 0) {
        ledger_enter(inherit);
        return;
    }
    ledger_forking(inherit);
    if (next_byte() % 2)
        ledger_forked(next_byte() % 8 ? pid() : -1);
    else
        ledger_started_child();
}

static void read_ledger(void) {
    const uint64_t of = cookie();
    struct ledger_cursor cursor = {0};
    struct ledger_reference it = {0};
    struct ledger_counts counts;
    unsigned count = 0;
    ledger_count(of, &counts);
    for (; ledger_next(of, &cursor, &it); count++) {
        MUST(it.pid == -1 || it.pid > 0);
        MUST(it.fd >= 0);
        if (next_byte() % 8 == 0)
            ledger_strike(of, &it);
    }
    MUST(count <= 64 * 7);
    ledger_is_leaving(of, pid(), next_byte());
    ledger_changes(of);
    if (next_byte() % 4 == 0)
        ledger_bury(pid());
}

static void count_references(void) {
    struct references references;
    struct event event;
    event_init(&event, OP_CLOSE);
    references_count(inode, cookie(), &scratch, &references);
    MUST(references.row.found_count <= FOUND_SHOWN && references.row.found_count <= references.row.descriptors);
    references_look_closer(cookie(), next_byte() % 2, &scratch, &references);
    references_leave_out(&references, next_byte() % 8);
    references_prove_one(&references);
    references_name_holders(&references, &event);
    references_note(&references, 1, &event);
    MUST(event.holders_named <= HOLDERS_SHOWN);
}

static void claim_ends(void) {
    const uint64_t of = cookie();
    struct claimant claimant = {.pid = pid(), .fd = next_byte(), .shut = next_byte() % 2};
    switch (next_byte() % 6) {
    case 0:
        claims_take(of, (enum claim)(next_byte() % CLAIMS), &claimant);
        break;
    case 1:
        claims_take_end(of, next_byte() % 2, &claimant);
        break;
    case 2:
        claims_forget_end(of, &claimant);
        break;
    case 3:
        claims_begin(of);
        break;
    default:
        claims_taken(of, (enum claim)(next_byte() % CLAIMS), &claimant);
    }
    MUST(claimant.pid >= 0 && claimant.fd >= 0);
}

static void check_pending(const struct pending_release *pending) {
    MUST(pending->before.state < STATE_COUNT && pending->fd >= 0);
    MUST(role_name(pending->identity.role) || pending->identity.role == ROLE_UNSET);
    MUST(address_is_sound(&pending->identity.local) && address_is_sound(&pending->identity.remote));
}

static void owe_releases(void) {
    const struct identity identity = {.cookie = cookie(), .role = ROLE_CLIENT};
    const struct before before = {.state = STATE_ESTABLISHED, .linger_zero = next_byte() % 2};
    const struct pending_release what = {
        .fd = next_byte() % 8, .shared = next_byte() % 2, .inode = inode, .before = before, .identity = identity};
    const struct holder holder = {.pid = pid(), .tid = pid()};
    struct release_place place = {0};
    struct pending_release pending;
    switch (next_byte() % 6) {
    case 0:
        release_expect(&what, &holder);
        release_is_owed(identity.cookie);
        break;
    case 1:
        release_closed(identity.cookie, next_byte() % 8);
        break;
    case 2:
        for (unsigned i = 0; release_next_place(identity.cookie, &place); i++)
            MUST(i < 1024 && place.pid > 0 && place.fd >= 0);
        break;
    case 3:
        for (unsigned at = 0; release_settle(holder.tid, &at, &pending);)
            check_pending(&pending);
        break;
    case 4:
        for (unsigned at = 0; release_next_of(holder.pid, 0, &at, &pending, next_byte() % 2);)
            check_pending(&pending);
        break;
    default:
        release_closed_at(holder.pid, next_byte() % 8);
        release_is_other(holder.tid, identity.cookie);
    }
}

static void report_death(void) {
    struct death death = {.pid = pid(), .signal = next_byte() % 2 ? 9 : 0, .status = next_byte() % 2 ? 0 : -1};
    memcpy(death.name, "victim", sizeof "victim");
    killed_report(&death, &drain);
    killed_bury(death.pid);
}

static void count_rules(void) {
    const unsigned rule = next_byte() % 64;
    fault_count_match(rule, (enum rule_scope)(next_byte() % 4), cookie());
    fault_count_fired(rule, next_byte() % 2 ? 1 : -1);
    fault_count_of(rule);
}

static void (*const calls[])(void) = {put_line,         put_event,   read_ring,    note_process,   read_roster,
                                      note_ends,        read_ends,   pass_copies,  count_copies,   count_rules,
                                      keep_ledger,      keep_ledger, keep_ledger,  fork_in_ledger, read_ledger,
                                      count_references, claim_ends,  owe_releases, owe_releases,   report_death};

static void begin_once(void) {
    session = aligned_alloc(4096, sizeof *session);
    MUST(session);
    memset(session, 0, sizeof *session);
    ring = new_part(&session->ring, sizeof *ring);
    roster = new_part(&session->roster, sizeof *roster);
    book = new_part(&session->book, sizeof *book);
    new_part_of_session(SESSION_LEDGER, ledger_size());
    new_part_of_session(SESSION_RELEASE, release_size());
    flight_start();
    fault_count_start();
    drain_begin(&drain, NULL, true);
    killed_begin(session);
}

static void begin(void) {
    if (!session)
        begin_once();
    for (unsigned i = 0; i < part_count; i++)
        memset(parts[i].begin, 0, parts[i].size);
    memset(&drain.reader, 0, offsetof(struct ring_reader, line));
    drain.filling.length = drain.leaving.length = 0;
    drain.busy_since_ms = 0;
    until_next = 0;
    self = 77;
    inode = 7;
    fault_count_forked();
    ledger_start(session->parts[SESSION_LEDGER], true);
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
