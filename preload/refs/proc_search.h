/*
 * Who refers to a socket: read from /proc, all processes, each time it is needed. Sockets are named there by
 * inode. One pass answers for any number of sockets. Async-signal-safe.
 */
#ifndef CLOSETRACE_PROC_SEARCH_H
#define CLOSETRACE_PROC_SEARCH_H

#include <stddef.h>

#include "kernel/procfs.h"
#include "kernel/scratch.h"

enum { FOUND_SHOWN = HOLDERS_SHOWN };

struct found_descriptor {
    int pid, fd;
    int tid; /* of a thread that has it in a table of its own; else 0 */
    bool own;
};

/* One socket that is searched for. */
struct search_row {
    uint64_t inode;                             /* set by the caller; 0 is never found */
    uint64_t cookie;                            /* set by the caller, where the ledger may know who is leaving; or 0 */
    unsigned descriptors;                       /* that refer to it, in all processes */
    unsigned leaving;                           /* beside these: others', that are about to be given up */
    unsigned own;                               /* of them, in this one */
    struct found_descriptor found[FOUND_SHOWN]; /* the first of the others', then of ours */
    unsigned found_count;                       /* of those, how many are filled in */
    unsigned believed;                          /* of the descriptors, how many could not be looked at */
};

struct search {
    struct search_row *rows;
    size_t count;
    uint32_t *index; /* for more than a few rows: 2 * capacity entries, zeroed, capacity a power of 2 >= count */
    size_t capacity;
    int partner;   /* another process that has our table of descriptors, or 0 */
    bool partial;  /* somebody's descriptors could not be read: the counts are lower bounds */
    bool possible; /* false: /proc could not be read at all */
};

void search_descriptors(struct search *search, struct scratch *scratch);

/* Only those of one process. */
void search_descriptors_of(struct search *search, int pid, struct scratch *scratch);

/* The descriptor numbers of this process, one after the other, from /proc/self/fd. */
bool search_own_begin(struct listing *listing, struct scratch *scratch);
int search_own_next(struct listing *listing); /* -1 at the end */
void search_own_end(struct listing *listing);

/* What is found at /proc/PID/fd/FD. */
enum looked { LOOKED_THERE, LOOKED_NOT_THERE, LOOKED_UNREADABLE };
enum looked search_look(int pid, int fd, uint64_t inode);

/* Adds a descriptor that somebody has found; others' must come before our own. And one that is held to be there. */
void search_row_add(struct search_row *row, int pid, int fd, bool own);
void search_row_name(struct search_row *row, int pid, int fd, bool own);

#endif
