/*
 * Who we are: process and thread ids without a system call each time, whether this is a vfork child (which shares
 * the parent's memory and must leave its tables alone), and forks that no hook saw.
 */
#ifndef CLOSETRACE_PROCESS_H
#define CLOSETRACE_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pure/event.h"
#include "kernel/thread.h"

/* Whether a process's `start` and `end` were logged. */
enum framed { NOT_STARTED, STARTING, STARTED, ENDED, ENDED_UNSTARTED };

/* What is counted for a process's `end` event. */
struct counters {
    _Atomic uint64_t events, lost, asked, contradicted;
    _Atomic int framed;  /* enum framed */
    _Atomic int writing; /* threads that are about to write an event, or write one */
    _Atomic int closing; /* threads that close a connection, and have not told of it yet */
};

/* Once, before main. */
void process_start(void);

/* The file that the program was loaded from, without its folder: its argv[0] may say anything. "" where nobody says. */
const char *process_program(void);

/* The process that this code runs in, also in a vfork child. */
int process_id(void);
int process_thread_id(void);

/* How many vforks are under way in the process, and clones that have our memory for good. */
extern atomic_uint process_sharers;
bool process_ask_borrowed(void);

/* True in a vfork child, or another process that shares our memory for a while. */
static inline bool process_is_borrowed(void) {
    bool may_be = atomic_load_explicit(&process_sharers, memory_order_relaxed) || !thread_is_libcs();
    return __builtin_expect(may_be, 0) && process_ask_borrowed();
}

/*
 * Tables of descriptors (odd_tables.h). other: what this thread has is not the table that the process's first threads
 * have; odd: or another process has it too. Somebody in the session has one that is odd: never NULL.
 */
extern atomic_bool process_any_private; /* a thread of ours has a table of its own */
bool process_ask_private(void);
static inline bool process_table_is_other(void) {
    bool may_be = atomic_load_explicit(&process_any_private, memory_order_relaxed);
    return (__builtin_expect(may_be, 0) && process_ask_private()) || process_is_borrowed();
}
bool process_table_is_odd(void);
extern _Atomic uint32_t *process_odd_tables;
void process_table_private(void);
void process_table_shared(bool shared);
/* In the child of a fork: there is only this thread. True: it had a table of its own. */
bool process_table_forked(void);

/* Whether two threads or processes have one table; where that cannot be asked, none has another's. */
bool process_tables_same(int one, int other);

struct counters *process_counters(void);

/* In the child of a fork, before anything else of ours. */
void process_forked(void);

/* Notices a fork that no handler saw (a raw clone): the page that forks wipe is empty. True in such a child, once. */
bool process_fork_unseen(void);

/* The thread is about to vfork; and, in the parent, the child (below 0: there was none) has gone on to exec or exit. */
void process_vfork_begin(void);
void process_vfork_end(int child);

/* A process was made that shares our memory for good (clone): from now on it is asked each time who this is. */
void process_shares_memory(void);

/* The calling thread's name. It is asked for once, and again when any thread's has changed; to be said after that. */
void process_thread_name(char name[COMM_SIZE]);
void process_names_change(void);

/* The name of the way a program ends, remembered from exit() until the kernel takes over; NULL: none was called. */
void process_ends_by(const char *call, const void *caller, int status);
const char *process_end_call(void);
const void *process_end_caller(void);
int process_end_status(void);

#endif
