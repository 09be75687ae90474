/*
 * The memory of a session under `closetrace run`: a memfd that the command makes and holds, and every process of the
 * tree maps. Library and command must be of one version.
 */
#ifndef CLOSETRACE_SESSION_LAYOUT_H
#define CLOSETRACE_SESSION_LAYOUT_H

#include "address_book.h"
#include "ring.h"
#include "roster.h"

/* What the library's parts may take; it knows best what for. */
enum session_part {
    SESSION_LEDGER,
    SESSION_FLIGHT,
    SESSION_RELEASE,
    SESSION_RULES,
    SESSION_PARTS,
};
enum { SESSION_PART_SIZE = SESSION_SIZE(8 << 20, 1 << 12) };

#define SESSION_VERSION \
    "closetrace " CLOSETRACE_VERSION " (4)" /* (n): grows with each change of what follows, or of pack.h */

enum { SESSION_NAME_SIZE = 32 };
enum { SESSION_ASLEEP = 1 };

/* Every traced process can write all of it, also one that has changed its user: see shared.h. */
struct session {
    char version[32];             /* SESSION_VERSION */
    char name[SESSION_NAME_SIZE]; /* what tells it from every other */
    /* Beside each other: who writes an event reads them all. */
    _Atomic uint32_t ended;       /* nobody reads the ring any more */
    _Atomic uint32_t asleep;      /* the command waits (futex(2)) for something to come: who writes wakes it */
    _Atomic uint32_t cannot_wake; /* some process may not: the command looks often */
    struct roster roster;
    struct address_book book;
    struct ring ring;
    unsigned char parts[SESSION_PARTS][SESSION_PART_SIZE] __attribute__((aligned(4096)));
};

/*
 * CLOSETRACE_SESSION is PID:FD:NAME: the command's process id, its descriptor of the memfd, the session's name. The
 * memfd is called closetrace-NAME, and so is the command's abstract unix socket (SOCK_SEQPACKET), on which it gives the
 * memfd to processes that may not open /proc/PID/fd/FD: they send one of these, and what goes with it. Where a limit of
 * the size of files (RLIMIT_FSIZE) allows no such memfd, the memory is a segment (shmget(2)), and FD an s and its
 * identifier.
 */
#define SESSION_FILE_PREFIX  "closetrace-"
#define SESSION_SEGMENT_MARK 's'

enum session_wish {
    SESSION_WISH_JOIN = 'J', /* the answer brings the memfd */
    SESSION_WISH_PARK = 'P', /* with a descriptor: keep it */
};

/* The answer is one byte; another, or none, is a no. */
enum { SESSION_ANSWER_YES = 1 };

enum { SESSION_RULE_SIZE = 256 };

/* No field has values that it may not have: it comes from anybody. */
struct session_request {
    uint32_t wish; /* enum session_wish */
    /* park */
    uint8_t limited;   /* for hold_us; else until the peer closes, */
    uint8_t outlives;  /* or the process that asked has ended, unless this says so */
    uint8_t ask_state; /* the peer's end is to be seen in the state alone: the receiving side is shut down */
    uint64_t cookie;
    uint64_t hold_us;
    char rule[SESSION_RULE_SIZE];
};

#endif
