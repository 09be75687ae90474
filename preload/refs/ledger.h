/*
 * Who refers to which socket, in all processes of the tree, without reading /proc: a table in memory that forked
 * processes share. It is kept up by the hooks and so can be wrong (a raw clone, a process killed in mid-update); the
 * kernel is asked what became of the socket whatever stands here, and a holder is looked at before it is named. So a
 * wrong count can cost time, never truth.
 *
 * It answers only for sockets whose references it has seen all: made in this tree, never left open across an exec and
 * never sent to anybody. Lock-free and async-signal-safe: a record is put in and taken out by one instruction, and
 * nobody ever waits for a process that may have died.
 *
 * What must hold (tests/model/model_ledger.c tries it all):
 *   - Who has a descriptor moved (a new one put in, the old one taken out after) is found by everybody who counts, and
 *     counts again where ledger_changes() has grown meanwhile.
 *   - Leave, then count: who gives a reference up takes it out, or marks it as leaving, and counts the others after
 * that. So of those that leave at one moment one at least, the last, finds that nobody stays.
 *   - A record whose writer dies at any moment is there or is not; a stray's bucket says that there are strays before.
 */
#ifndef CLOSETRACE_LEDGER_H
#define CLOSETRACE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Before main. memory: ledger_size() bytes, shared and zeroed at first; NULL: it answers for nothing. joined: others
 * have used it before, perhaps also this process, as what it was before an exec.
 */
size_t ledger_size(void);
void ledger_start(void *memory, bool joined);

/* Before any of these: where it stands is fetched while the kernel is asked something. */
void ledger_expect(uint64_t cookie);

/* The socket was made (or accepted) here: from now on all its references are seen. */
void ledger_born(uint64_t cookie);

/* This process has it as fd; it has it as fd no more. */
void ledger_add(uint64_t cookie, int fd);
void ledger_remove(uint64_t cookie, int fd);

/* Somebody may have it whom no hook sees: it was left open across an exec, or sent. */
void ledger_escaped(uint64_t cookie);

/* The kernel says that nothing refers to it: whatever stands here is forgotten. */
void ledger_over(uint64_t cookie);

struct ledger_reference {
    int pid; /* -1: of a child that is being made */
    int fd;
    uint32_t place; /* of its process, in the ledger */
    bool leaving;   /* it is about to be given up */
};

/*
 * Before an exec counts who else has the socket: that descriptor of this process is about to be given up. And after one
 * that failed: it stays. Of a process that ends: all that it has, from then on until it is dead.
 */
void ledger_mark_leaving(uint64_t cookie, int fd, bool leaving);
void ledger_end(bool ending);

/* Whether that descriptor of that process, which has been found, is about to be given up. */
bool ledger_is_leaving(uint64_t cookie, int pid, int fd);
bool ledger_is_ending(int pid);

/* How many references it has. False: the ledger does not answer for this socket. */
struct ledger_counts {
    unsigned staying, leaving;
};
bool ledger_count(uint64_t cookie, struct ledger_counts *counts);

/* The same of what it knows, be that all or not, one by one; the cursor is zeroed at first. False: no more. */
struct ledger_cursor {
    unsigned bucket, place;
};
bool ledger_next(uint64_t cookie, struct ledger_cursor *cursor, struct ledger_reference *reference);

/*
 * Grows with each change to the socket's records (and to those of a few others). Who goes through them while they
 * change may miss what is put in and what is taken out after, and so see what never was: if it has grown meanwhile,
 * once more.
 */
uint64_t ledger_changes(uint64_t cookie);

/* That reference was looked for, and is not there. */
void ledger_strike(uint64_t cookie, const struct ledger_reference *reference);

/*
 * Around a fork. The child's references are entered before it runs: descriptors() is called, and calls
 * ledger_inherit() for each of the parent's. Then, in the parent with the child's id (below 0: it failed), and in the
 * child. False: it was not entered, since the thread that forked is not libc's and has nowhere to note it.
 */
void ledger_forking(void (*descriptors)(uint32_t who));
void ledger_inherit(uint32_t who, uint64_t cookie, int fd);
void ledger_forked(int pid);
bool ledger_started_child(void);

/* This process is not in it: a child of a fork that nobody saw, or one that had left. It is entered now. */
void ledger_enter(void (*descriptors)(uint32_t who));

/* What that process has, or had when it died without having left. Looks at everything: for the command. */
void ledger_of(int pid, void (*each)(uint64_t cookie, int fd, void *context), void *context);

/* It is dead: its references are nobody's. */
void ledger_bury(int pid);

#endif
