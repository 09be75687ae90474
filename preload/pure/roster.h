/*
 * The processes of a session, as they say of themselves, in memory that they share with the command: how it learns of
 * processes that are not its children, and which of them never loaded the library or ended without a word.
 *
 * Pure: memory only, zeroed at first. Lock-free, async-signal-safe.
 */
#ifndef CLOSETRACE_ROSTER_H
#define CLOSETRACE_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "session_size.h"

enum roster_state {
    ROSTER_FREE,
    ROSTER_HERE,   /* the library is in it */
    ROSTER_EXEC,   /* about to become another program, which has not been heard of since */
    ROSTER_ENDING, /* it has told of its end */
    /* As ROSTER_EXEC, of a program that will not be heard of: */
    ROSTER_EXEC_ALONE, /* it has the library, and cannot reach the session */
    ROSTER_EXEC_BARE,  /* its environment does not name the library */
    ROSTER_STATES
};

enum { ROSTER_SIZE = SESSION_SIZE(8192, 32), ROSTER_NAME = 16, ROSTER_HEARD = SESSION_SIZE(65536, 32) };

struct roster {
    _Atomic uint64_t changes;        /* grows with each */
    _Atomic uint64_t no_place;       /* processes that are not in it */
    _Atomic int heard[ROSTER_HEARD]; /* the last that spoke, by their ids: it may have ended by now */
    struct roster_entry {
        _Atomic uint64_t word; /* enum roster_state << 32 | pid */
        _Atomic uint64_t name[ROSTER_NAME / 8];
    } entries[ROSTER_SIZE];
};

/* The process is in that state now. name: of the program, or NULL to leave what is there. */
void roster_note(struct roster *roster, int pid, enum roster_state state, const char *name);

/* It has become another program, says a parent that learns of it late: noted unless it has spoken itself. */
void roster_note_spawned(struct roster *roster, int pid, enum roster_state state, const char *name);

/* For the command. The i-th entry (below ROSTER_SIZE); ROSTER_FREE: there is none. */
enum roster_state roster_at(struct roster *roster, unsigned i, int *pid, char name[ROSTER_NAME]);

/* Where the process stands. */
bool roster_find(struct roster *roster, int pid, unsigned *i);

/* Whether it ever said that the library is in it. */
bool roster_has_heard(struct roster *roster, int pid);

/* The process is gone, and its entry free. Returns the state it was in last; ROSTER_FREE: it was not there. */
enum roster_state roster_gone(struct roster *roster, int pid);

#endif
