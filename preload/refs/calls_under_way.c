#define _GNU_SOURCE
#include "calls_under_way.h"

#include <errno.h>
#include <stdatomic.h>

#include "kernel/process.h"
#include "kernel/seccomp_guard.h"
#include "kernel/thread_call.h"
#include "pure/event.h"
#include "pure/session_size.h"

struct call_under_way {
    _Atomic uint64_t who;  /* process << 32 | thread; 0: free */
    _Atomic uint64_t name; /* its first letters; 0: what follows is not written yet */
    _Atomic uint64_t cookie;
    _Atomic uint64_t arguments[4]; /* of a call on one descriptor the first */
    uint64_t unused;
};

enum { ROWS = SESSION_SIZE(512, 16), REACH = 8 };

const char *calls_single_threaded;
static struct call_under_way *rows;

size_t calls_under_way_size(void) {
    return ROWS * sizeof *rows;
}

void calls_under_way_start(void *memory) {
    rows = memory;
}

static const char *const on_descriptor[] = {"read",     "readv",    "preadv2",  "recv",     "recvfrom", "recvmsg",
                                            "recvmmsg", "write",    "writev",   "pwritev2", "send",     "sendto",
                                            "sendmsg",  "sendmmsg", "sendfile", "splice"};
static const struct on_set {
    const char *name;
    long number;
} on_set[] = {{"poll", SYS_poll}, {"ppoll", SYS_ppoll}, {"select", SYS_select}, {"pselect", SYS_pselect6}};

static uint64_t letters_of(const char *name) {
    uint64_t letters = 0;
    for (unsigned i = 0; i < sizeof letters && name[i]; i++)
        letters |= (uint64_t)(unsigned char)name[i] << 8 * i;
    return letters;
}

static uint64_t who_is(int pid, int tid) {
    return (uint64_t)(uint32_t)pid << 32 | (uint32_t)tid;
}

static struct call_under_way *row_at(int tid, unsigned i) {
    return &rows[((uint32_t)tid * 2654435761U / 65536 + i) % ROWS];
}

/* Who was killed inside a call leaves his row behind. */
static bool has_no_thread(uint64_t who) {
    return probe(SYS_tgkill, (long)(who >> 32), (long)(uint32_t)who, 0, 0, 0, 0) == -ESRCH;
}

/* Near where the thread's id leads to: a free one, else one that a thread has left behind that is no more. */
static struct call_under_way *take_row(void) {
    const int tid = process_thread_id();
    const uint64_t who = who_is(process_id(), tid);
    for (unsigned round = 0; rows && tid > 0 && round < 2; round++)
        for (unsigned i = 0; i < REACH; i++) {
            struct call_under_way *row = row_at(tid, i);
            uint64_t there = atomic_load_explicit(&row->who, memory_order_relaxed);
            if ((there == 0 || (round > 0 && has_no_thread(there))) &&
                atomic_compare_exchange_strong(&row->who, &there, who))
                return row;
        }
    return NULL;
}

static void write_row(struct call_under_way *row, const char *name, uint64_t cookie, const uint64_t arguments[4]) {
    atomic_store_explicit(&row->name, 0, memory_order_relaxed);
    atomic_store_explicit(&row->cookie, cookie, memory_order_relaxed);
    for (unsigned i = 0; i < 4; i++)
        atomic_store_explicit(&row->arguments[i], arguments[i], memory_order_relaxed);
    atomic_store_explicit(&row->name, letters_of(name), memory_order_release);
}

struct call_under_way *call_begins(const char *name, uint64_t cookie, int fd) {
    struct call_under_way *row = process_is_borrowed() ? NULL : take_row();
    if (row)
        write_row(row, name, cookie, (const uint64_t[4]){(uint64_t)fd});
    return row;
}

struct call_under_way *call_begins_on_set(const char *name, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    struct call_under_way *row = process_is_borrowed() ? NULL : take_row();
    if (row)
        write_row(row, name, 0, (const uint64_t[4]){a, b, c, d});
    return row;
}

void call_has_come_back(struct call_under_way *row) {
    if (row)
        atomic_store_explicit(&row->who, 0, memory_order_release);
}

/* Copied once: any process of the session can write there. */
static bool copy_row(const struct call_under_way *row, uint64_t who, uint64_t *name, uint64_t *cookie,
                     struct thread_call *call) {
    struct call_under_way *there = (struct call_under_way *)(uintptr_t)row;
    if (atomic_load(&there->who) != who)
        return false;
    *name = atomic_load_explicit(&there->name, memory_order_acquire);
    *cookie = atomic_load_explicit(&there->cookie, memory_order_relaxed);
    for (unsigned i = 0; i < 4; i++)
        call->arguments[i] = atomic_load_explicit(&there->arguments[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&there->who, memory_order_relaxed) == who;
}

static const char *name_of_descriptor_call(uint64_t letters) {
    for (unsigned i = 0; i < sizeof on_descriptor / sizeof *on_descriptor; i++)
        if (letters_of(on_descriptor[i]) == letters)
            return on_descriptor[i];
    return NULL;
}

static const char *name_of_set_call(uint64_t letters, struct thread_call *call) {
    for (unsigned i = 0; i < sizeof on_set / sizeof *on_set; i++)
        if (letters_of(on_set[i].name) == letters) {
            call->number = (uint64_t)on_set[i].number;
            return on_set[i].name;
        }
    return NULL;
}

static void fill_holder(uint64_t who, const char *name, struct holder *holder) {
    *holder = (struct holder){.pid = (int)(who >> 32), .tid = (int)(uint32_t)who, .fd = -1, .call = name};
}

bool call_under_way_next(uint64_t cookie, unsigned *at, struct holder *holder) {
    while (rows && *at < ROWS) {
        uint64_t letters, of, who = atomic_load_explicit(&rows[*at].who, memory_order_relaxed);
        struct thread_call call;
        const struct call_under_way *row = &rows[(*at)++];
        const char *name;
        if (who && copy_row(row, who, &letters, &of, &call) && of == cookie &&
            (name = name_of_descriptor_call(letters)) && !has_no_thread(who)) {
            fill_holder(who, name, holder);
            return true;
        }
    }
    return false;
}

static bool is_number(uint64_t number, void *wanted) {
    return number == *(const uint64_t *)wanted;
}

bool call_under_way_next_on_set(int pid, int fd, unsigned *at, struct holder *holder) {
    uint64_t wanted = (uint64_t)fd;
    while (rows && *at < ROWS) {
        uint64_t letters, of, who = atomic_load_explicit(&rows[*at].who, memory_order_relaxed);
        struct thread_call call;
        const struct call_under_way *row = &rows[(*at)++];
        const char *name;
        if ((int)(who >> 32) == pid && who && copy_row(row, who, &letters, &of, &call) &&
            (name = name_of_set_call(letters, &call)) && thread_call_keeps(&call, pid, is_number, &wanted) &&
            !has_no_thread(who)) {
            fill_holder(who, name, holder);
            return true;
        }
    }
    return false;
}

const char *call_under_way_of(int pid, int tid, uint64_t cookie, bool (*wanted)(uint64_t number, void *context),
                              void *context, bool *tells) {
    *tells = false;
    for (unsigned i = 0; rows && i < REACH; i++) {
        uint64_t letters, of;
        struct thread_call call;
        if (!copy_row(row_at(tid, i), who_is(pid, tid), &letters, &of, &call))
            continue;
        *tells = true;
        const char *name = name_of_descriptor_call(letters);
        if (name && (of ? of == cookie : wanted(call.arguments[0], context)))
            return name;
        if (!name && (name = name_of_set_call(letters, &call)) && thread_call_keeps(&call, pid, wanted, context))
            return name;
    }
    return NULL;
}
