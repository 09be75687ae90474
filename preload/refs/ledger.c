#define _GNU_SOURCE
#include "ledger.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "kernel/clock.h"
#include "kernel/process.h"
#include "kernel/procfs.h"
#include "kernel/seccomp_guard.h"
#include "kernel/thread.h"
#include "pure/session_size.h"

/* For tests: a library that asks the kernel alone. */
#ifndef CLOSETRACE_LEDGER
#define CLOSETRACE_LEDGER 1
#endif
/* And one that is soon full. */
#ifndef CLOSETRACE_LEDGER_BUCKETS
#define CLOSETRACE_LEDGER_BUCKETS SESSION_SIZE(32768, 8)
#endif
#ifndef CLOSETRACE_LEDGER_PLACES
#define CLOSETRACE_LEDGER_PLACES SESSION_SIZE(8192, 32)
#endif

/*
 * A record says that a process has a socket as a descriptor. Both words are read and written together, by
 * cmpxchg16b. Empty: cookie 0. The record of a socket itself, by which the ledger answers for it, has who == SOCKET
 * and its marks in fd.
 */
struct record {
    _Atomic uint64_t cookie;
    _Atomic uint64_t holder; /* who << 32 | fd */
} __attribute__((aligned(16)));

enum { SOCKET = 0, MARK_ESCAPED = 1 };

/*
 * A socket's records stand in the bucket that its cookie leads to or, where that is full, in those that follow.
 * strays: how many of them do not stand in their own; it is raised before a record is put elsewhere, so that a
 * process that dies in between leaves it too high, which costs a longer look and nothing else.
 */
enum { BUCKET_RECORDS = 7, BUCKETS = CLOSETRACE_LEDGER_BUCKETS };
enum { REACH = BUCKETS < 64 ? BUCKETS : 64 };

struct bucket {
    _Atomic uint64_t strays;
    _Atomic uint64_t changes; /* to the records of the sockets whose own bucket it is */
    struct record records[BUCKET_RECORDS];
};

/* A process of the tree: its id and how often the place was given away, so that old records do not name a new one. */
enum { PLACES = CLOSETRACE_LEDGER_PLACES, PLACE_BITS = 13 };

struct ledger {
    _Atomic uint64_t places[PLACES]; /* turn << 32 | pid; pid 0: free */
    _Atomic uint32_t
        left_at[PLACES]; /* when it last said that it is leaving, or some of what it has: see ticks_now() */
    struct bucket buckets[BUCKETS];
};

/* Nobody who keeps to the rules makes anybody try so often; who does not keeps nobody at it for ever. */
enum { TRIES = 1000 };

enum { FREE = 0 };
static const uint32_t UNBORN = 1U << 31; /* a child that is being made, by the process of that id */
static const uint32_t ENDING = 1U << 30; /* it is about to end: all that it has is leaving */

/* Of a record's fd: it is about to be given up, by an exec. */
static const uint32_t LEAVING = 1U << 30;

static struct ledger *ledger;
static uint32_t self_who;        /* who this process is, see who_at(); 0: there was no place for it */
THREAD_OWN(uint32_t, child_self) /* who the child is that this thread is making */

static bool exchange_record(struct record *record, uint64_t cookie, uint64_t holder, uint64_t new_cookie,
                            uint64_t new_holder) {
    struct machine_pair expected = {cookie, holder};
    return machine_exchange(record, &expected, (struct machine_pair){new_cookie, new_holder});
}

static uint64_t holder_of(uint32_t who, int fd) {
    return (uint64_t)who << 32 | (uint32_t)fd;
}

/* Not below 0, whatever anybody has written there. */
static int fd_of(uint64_t holder) {
    return (int)((uint32_t)holder & ~LEAVING & INT32_MAX);
}

static size_t home_of(uint64_t cookie) {
    return (size_t)(cookie % BUCKETS);
}

/* The i-th bucket in which the socket's records may stand. */
static struct bucket *bucket_at(uint64_t cookie, unsigned i) {
    return &ledger->buckets[(home_of(cookie) + i) % BUCKETS];
}

void ledger_expect(uint64_t cookie) {
    if (ledger) {
        __builtin_prefetch(bucket_at(cookie, 0), 1);
        __builtin_prefetch(&bucket_at(cookie, 0)->records[BUCKET_RECORDS - 1], 1);
    }
}

static unsigned reach_of(uint64_t cookie) {
    return atomic_load(&bucket_at(cookie, 0)->strays) ? REACH : 1;
}

static struct record *find_record(uint64_t cookie, uint64_t holder, unsigned *distance) {
    for (unsigned i = 0, reach = reach_of(cookie); i < reach; i++) {
        struct bucket *bucket = bucket_at(cookie, i);
        for (unsigned r = 0; r < BUCKET_RECORDS; r++) {
            struct record *record = &bucket->records[r];
            if (atomic_load(&record->cookie) == cookie && atomic_load(&record->holder) == holder) {
                *distance = i;
                return record;
            }
        }
    }
    return NULL;
}

/* Said after each change, before the next one. */
static void changed(uint64_t cookie) {
    atomic_fetch_add(&bucket_at(cookie, 0)->changes, 1);
}

uint64_t ledger_changes(uint64_t cookie) {
    return ledger ? atomic_load(&bucket_at(cookie, 0)->changes) : 0;
}

static bool take_out(uint64_t cookie, uint64_t holder) {
    unsigned distance;
    struct record *record = find_record(cookie, holder, &distance);
    if (!record || !exchange_record(record, cookie, holder, 0, 0))
        return false;
    changed(cookie);
    if (distance)
        atomic_fetch_sub(&bucket_at(cookie, 0)->strays, 1);
    return true;
}

/* Free places of a bucket are looked for only where something is put in, so a reader may pass a writer by. */
static bool put_into(struct bucket *bucket, uint64_t cookie, uint64_t holder) {
    for (unsigned r = 0; r < BUCKET_RECORDS; r++)
        if (atomic_load(&bucket->records[r].cookie) == 0 &&
            exchange_record(&bucket->records[r], 0, 0, cookie, holder)) {
            changed(cookie);
            return true;
        }
    return false;
}

/* Below: who is alive. */
static int pid_of_who(uint32_t who);
static bool is_ending(uint32_t who);
static void note_leaving(uint32_t who);
static void forget_dead_in(uint64_t cookie);
static void forget_ended_in(uint64_t cookie);

static bool put_somewhere(uint64_t cookie, uint64_t holder) {
    if (put_into(bucket_at(cookie, 0), cookie, holder))
        return true;
    atomic_fetch_add(&bucket_at(cookie, 0)->strays, 1);
    for (unsigned i = 1; i < REACH; i++)
        if (put_into(bucket_at(cookie, i), cookie, holder))
            return true;
    atomic_fetch_sub(&bucket_at(cookie, 0)->strays, 1);
    return false;
}

static bool put_in(uint64_t cookie, uint64_t holder) {
    unsigned distance;
    if (find_record(cookie, holder, &distance) || put_into(bucket_at(cookie, 0), cookie, holder))
        return true;
    forget_ended_in(cookie);
    if (put_somewhere(cookie, holder))
        return true;
    forget_dead_in(cookie);
    return put_somewhere(cookie, holder);
}

/* The record of the socket itself; its marks. */
static bool marks_of(uint64_t cookie, uint32_t *marks) {
    for (uint32_t m = 0; m <= MARK_ESCAPED; m++) {
        unsigned distance;
        if (find_record(cookie, holder_of(SOCKET, (int)m), &distance)) {
            *marks = m;
            return true;
        }
    }
    return false;
}

void ledger_born(uint64_t cookie) {
    uint32_t marks;
    /* What another process, or a thread with a table of its own, does with it is not seen here. */
    if (ledger && self_who && !process_table_is_odd() && !marks_of(cookie, &marks))
        put_in(cookie, holder_of(SOCKET, 0));
}

void ledger_escaped(uint64_t cookie) {
    if (ledger && take_out(cookie, holder_of(SOCKET, 0)))
        put_in(cookie, holder_of(SOCKET, MARK_ESCAPED));
}

void ledger_add(uint64_t cookie, int fd) {
    /* What cannot be put in is not known: the ledger must not answer for it any more. */
    if (ledger && self_who && !put_in(cookie, holder_of(self_who, fd)))
        take_out(cookie, holder_of(SOCKET, 0));
}

void ledger_remove(uint64_t cookie, int fd) {
    if (ledger && self_who && !take_out(cookie, holder_of(self_who, fd)))
        take_out(cookie, holder_of(self_who, fd) | LEAVING);
}

void ledger_mark_leaving(uint64_t cookie, int fd, bool leaving) {
    if (!ledger || !self_who)
        return;
    uint64_t stays = holder_of(self_who, fd), leaves = stays | LEAVING;
    unsigned distance;
    if (leaving)
        note_leaving(self_who);
    struct record *record = find_record(cookie, leaving ? stays : leaves, &distance);
    if (record && exchange_record(record, cookie, leaving ? stays : leaves, cookie, leaving ? leaves : stays))
        changed(cookie);
}

/* Walks over all records of a socket, its own included. */
struct walk {
    uint64_t cookie;
    unsigned reach, bucket, place;
    struct record *record; /* where it stands */
    uint64_t holder;       /* what stood there */
    bool strayed;
};

static struct walk walk_over(uint64_t cookie) {
    return (struct walk){.cookie = cookie, .reach = reach_of(cookie)};
}

static bool walk_on(struct walk *walk) {
    for (; walk->bucket < walk->reach; walk->bucket++, walk->place = 0) {
        struct bucket *bucket = bucket_at(walk->cookie, walk->bucket);
        while (walk->place < BUCKET_RECORDS) {
            struct record *record = &bucket->records[walk->place++];
            if (atomic_load(&record->cookie) != walk->cookie)
                continue;
            walk->record = record;
            walk->holder = atomic_load(&record->holder);
            walk->strayed = walk->bucket > 0;
            if (atomic_load(&record->cookie) == walk->cookie) /* still: it is that one's holder */
                return true;
        }
    }
    return false;
}

static void walk_take_out(const struct walk *walk) {
    if (!exchange_record(walk->record, walk->cookie, walk->holder, 0, 0))
        return;
    changed(walk->cookie);
    if (walk->strayed)
        atomic_fetch_sub(&bucket_at(walk->cookie, 0)->strays, 1);
}

bool ledger_next(uint64_t cookie, struct ledger_cursor *cursor, struct ledger_reference *reference) {
    if (!ledger)
        return false;
    struct walk walk = walk_over(cookie);
    walk.bucket = cursor->bucket;
    walk.place = cursor->place;
    while (walk_on(&walk)) {
        int pid = pid_of_who((uint32_t)(walk.holder >> 32));
        if (pid == 0)
            continue;
        *cursor = (struct ledger_cursor){walk.bucket, walk.place};
        *reference = (struct ledger_reference){
            .pid = pid,
            .fd = fd_of(walk.holder),
            .place = (uint32_t)(walk.holder >> 32) & (PLACES - 1),
            .leaving = (walk.holder & LEAVING) || is_ending((uint32_t)(walk.holder >> 32)),
        };
        return true;
    }
    return false;
}

bool ledger_count(uint64_t cookie, struct ledger_counts *counts) {
    uint32_t marks;
    *counts = (struct ledger_counts){0};
    if (!ledger || !marks_of(cookie, &marks) || marks)
        return false;
    struct ledger_cursor cursor = {0};
    struct ledger_reference reference;
    while (ledger_next(cookie, &cursor, &reference)) {
        counts->staying += !reference.leaving;
        counts->leaving += reference.leaving;
    }
    return true;
}

void ledger_over(uint64_t cookie) {
    if (!ledger)
        return;
    for (struct walk walk = walk_over(cookie); walk_on(&walk);)
        walk_take_out(&walk);
}

void ledger_strike(uint64_t cookie, const struct ledger_reference *reference) {
    if (!ledger)
        return;
    for (struct walk walk = walk_over(cookie); walk_on(&walk);)
        if (fd_of(walk.holder) == reference->fd && pid_of_who((uint32_t)(walk.holder >> 32)) == reference->pid)
            walk_take_out(&walk);
}

/* Processes: who is turn << PLACE_BITS | place. Place 0 is nobody's, so that SOCKET is nobody. */

static uint32_t who_at(uint32_t place, uint64_t entry) {
    return (uint32_t)(entry >> 32) << PLACE_BITS | place;
}

static bool is_dead(int pid) {
    return pid > 0 && probe(SYS_kill, pid, 0, 0, 0, 0, 0) == -ESRCH;
}

/* The process's id; 0 if it is gone, or nobody; -1 for a child that is being made, as long as there is somebody to. */
static int pid_of_who(uint32_t who) {
    uint32_t place = who & (PLACES - 1);
    uint64_t entry = atomic_load(&ledger->places[place]);
    uint32_t pid = (uint32_t)entry;
    if (who_at(place, entry) != who || pid == FREE)
        return 0;
    if (pid & UNBORN)
        return is_dead((int)(pid & ~UNBORN)) ? 0 : -1;
    return (int)(pid & ~ENDING);
}

static bool is_ending(uint32_t who) {
    uint64_t entry = atomic_load(&ledger->places[who & (PLACES - 1)]);
    return who_at(who & (PLACES - 1), entry) == who && ((uint32_t)entry & ENDING);
}

/* As /proc says when a process was started. 0: not known. */
static uint32_t ticks_now(void) {
    struct timespec now = {0};
    probe(SYS_clock_gettime, CLOCK_BOOTTIME, (long)&now, 0, 0, 0, 0);
    return (uint32_t)(now.tv_sec * 100 + now.tv_nsec / (CLOCK_SECOND / 100));
}

static void note_leaving(uint32_t who) {
    atomic_store(&ledger->left_at[who & (PLACES - 1)], ticks_now());
}

/*
 * Who said that he is leaving has left, and was not looked for since: his id has come to be another process's, or he is
 * another program by now. To leave takes moments.
 */
static bool has_left_long_ago(uint32_t place, int pid) {
    enum { LONG = 10 * 100 };
    const uint32_t left = atomic_load(&ledger->left_at[place]), now = ticks_now();
    uint64_t started;
    if (!left || !now)
        return false;
    return now - left > LONG || (proc_started_at(pid, &started) && (int32_t)((uint32_t)started - left) > 0);
}

bool ledger_is_ending(int pid) {
    for (uint32_t place = 1; ledger && place < PLACES; place++)
        if ((uint32_t)atomic_load(&ledger->places[place]) == ((uint32_t)pid | ENDING) && !has_left_long_ago(place, pid))
            return true;
    return false;
}

bool ledger_is_leaving(uint64_t cookie, int pid, int fd) {
    struct ledger_cursor cursor = {0};
    struct ledger_reference it = {0};
    while (ledger_next(cookie, &cursor, &it)) {
        if (it.pid != pid || it.fd != fd)
            continue;
        if (!it.leaving || !has_left_long_ago(it.place, pid))
            return it.leaving;
    }
    return ledger_is_ending(pid);
}

static bool give_place(uint32_t place, uint64_t entry, uint32_t pid) {
    uint64_t turn = (entry >> 32) + 1;
    return atomic_compare_exchange_strong(&ledger->places[place], &entry, turn << 32 | pid);
}

static uint32_t take_place(uint32_t pid) {
    for (int round = 0; round < 2; round++) {
        uint32_t start = (uint32_t)process_id();
        for (uint32_t i = 0; i < PLACES; i++) {
            uint32_t place = (start + i) % PLACES;
            uint64_t entry = atomic_load(&ledger->places[place]);
            bool free = (uint32_t)entry == FREE || ((round == 1 || ((uint32_t)entry & ENDING)) &&
                                                    is_dead((int)((uint32_t)entry & ~(UNBORN | ENDING))));
            if (place != 0 && free && give_place(place, entry, pid))
                return who_at(place, atomic_load(&ledger->places[place]));
        }
    }
    return 0;
}

static void free_place(uint32_t who) {
    uint32_t place = who & (PLACES - 1);
    uint64_t entry = atomic_load(&ledger->places[place]);
    if (who && who_at(place, entry) == who)
        atomic_compare_exchange_strong(&ledger->places[place], &entry, entry & ~0xffffffffULL);
}

/* It is born: said by its parent and by itself, who may have gone when the other says so. */
static void name_place(uint32_t who, uint32_t pid) {
    uint32_t place = who & (PLACES - 1);
    uint64_t entry = atomic_load(&ledger->places[place]);
    if (who && who_at(place, entry) == who && ((uint32_t)entry & UNBORN))
        atomic_compare_exchange_strong(&ledger->places[place], &entry, (entry & ~0xffffffffULL) | pid);
}

static void mark_place(uint32_t who, bool ending) {
    uint32_t place = who & (PLACES - 1);
    uint64_t entry = atomic_load(&ledger->places[place]);
    for (int i = 0; i < TRIES && who && who_at(place, entry) == who && (uint32_t)entry != FREE; i++)
        if (atomic_compare_exchange_strong(&ledger->places[place], &entry,
                                           ending ? entry | ENDING : entry & ~(uint64_t)ENDING))
            return;
}

static bool is_left_behind(uint64_t holder) {
    int pid = pid_of_who((uint32_t)(holder >> 32));
    return holder >> 32 != SOCKET && (pid == 0 || is_dead(pid));
}

/* What stands there may belong to another socket, which then has one record less that strays. */
static void forget_record(struct bucket *bucket, struct record *record, uint64_t cookie, uint64_t holder) {
    if (exchange_record(record, cookie, holder, 0, 0) && bucket_at(cookie, 0) != bucket)
        atomic_fetch_sub(&bucket_at(cookie, 0)->strays, 1);
}

static void forget_records_in(struct bucket *bucket, bool ended_alone) {
    for (unsigned r = 0; r < BUCKET_RECORDS; r++) {
        struct record *record = &bucket->records[r];
        uint64_t there = atomic_load(&record->cookie), holder = atomic_load(&record->holder);
        if (there && (!ended_alone || is_ending((uint32_t)(holder >> 32))) && is_left_behind(holder))
            forget_record(bucket, record, there, holder);
    }
}

/* What those have left in the socket's bucket who told of their end. */
static void forget_ended_in(uint64_t cookie) {
    forget_records_in(bucket_at(cookie, 0), true);
}

/* There is no room left near the socket's bucket: what the dead have left behind goes. */
static void forget_dead_in(uint64_t cookie) {
    for (unsigned i = 0; i < REACH; i++)
        forget_records_in(bucket_at(cookie, i), false);
}

void ledger_bury(int pid) {
    for (uint32_t place = 1; ledger && place < PLACES; place++) {
        uint64_t entry = atomic_load(&ledger->places[place]);
        if ((int)((uint32_t)entry & ~ENDING) == pid)
            free_place(who_at(place, entry));
    }
}

size_t ledger_size(void) {
    return sizeof *ledger;
}

void ledger_start(void *memory, bool joined) {
    if (!CLOSETRACE_LEDGER || !memory)
        return;
    ledger = memory;
    if (joined)
        ledger_bury(process_id()); /* what this process was before an exec */
    self_who = take_place((uint32_t)process_id());
}

void ledger_forking(void (*descriptors)(uint32_t who)) {
    uint32_t *child = ledger ? child_self() : NULL;
    if (!child)
        return;
    *child = take_place(UNBORN | (uint32_t)process_id());
    descriptors(*child);
}

void ledger_inherit(uint32_t who, uint64_t cookie, int fd) {
    if (!who || !put_in(cookie, holder_of(who, fd)))
        take_out(cookie, holder_of(SOCKET, 0));
}

void ledger_forked(int pid) {
    uint32_t *child = ledger ? child_self() : NULL;
    if (!child || !*child)
        return;
    if (pid > 0)
        name_place(*child, (uint32_t)pid);
    else
        free_place(*child); /* and its records name nobody */
    *child = 0;
}

bool ledger_started_child(void) {
    uint32_t *child = ledger ? child_self() : NULL;
    if (!child)
        return !ledger;
    self_who = *child;
    *child = 0;
    name_place(self_who, (uint32_t)process_id());
    return true;
}

void ledger_enter(void (*descriptors)(uint32_t who)) {
    if (!ledger)
        return;
    uint32_t who = take_place((uint32_t)process_id());
    descriptors(who);
    self_who = who;
}

void ledger_end(bool ending) {
    if (ledger && ending)
        note_leaving(self_who);
    if (ledger)
        mark_place(self_who, ending);
}

/* It may have several places, if not by our doing: all are seen in one pass over the records. */
static bool is_who(uint32_t who, int pid) {
    const uint32_t place = who & (PLACES - 1);
    const uint64_t entry = place ? atomic_load(&ledger->places[place]) : 0;
    return place && who_at(place, entry) == who && (int)((uint32_t)entry & ~ENDING) == pid;
}

void ledger_of(int pid, void (*each)(uint64_t cookie, int fd, void *context), void *context) {
    for (size_t i = 0; ledger && i < (size_t)BUCKETS * BUCKET_RECORDS; i++) {
        struct record *record = &ledger->buckets[i / BUCKET_RECORDS].records[i % BUCKET_RECORDS];
        uint64_t cookie = atomic_load(&record->cookie), holder = atomic_load(&record->holder);
        if (cookie && is_who((uint32_t)(holder >> 32), pid))
            each(cookie, fd_of(holder), context);
    }
}
