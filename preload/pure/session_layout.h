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
enum { SESSION_PART_SIZE = 8 << 20 };

#define SESSION_VERSION \
    "closetrace " CLOSETRACE_VERSION " (3)" /* (n): grows with each change of what follows, or of pack.h */

struct session {
    char version[32];       /* SESSION_VERSION */
    char name[32];          /* what tells it from every other */
    int command;            /* the command's process id */
    _Atomic uint32_t ended; /* nobody reads the ring any more */
    struct roster roster;
    struct address_book book;
    struct ring ring;
    unsigned char parts[SESSION_PARTS][SESSION_PART_SIZE] __attribute__((aligned(4096)));
};

/*
 * CLOSETRACE_SESSION is PID:FD:NAME: the command's process id, its descriptor of the memfd, the session's name. The
 * memfd is called closetrace-NAME, and so is the command's abstract unix socket (SOCK_SEQPACKET), on which it gives the
 * memfd to processes that may not open /proc/PID/fd/FD: they send one of these, and what goes with it.
 */
#define SESSION_FILE_PREFIX "closetrace-"

enum session_wish {
    SESSION_WISH_JOIN = 'J', /* the answer brings the memfd */
    SESSION_WISH_PARK = 'P', /* with a descriptor: keep it; the answer is one byte */
};

enum { SESSION_RULE_SIZE = 256 };

struct session_request {
    enum session_wish wish;
    /* park */
    bool limited;   /* for hold_us; else until the peer closes, */
    bool outlives;  /* or the process that asked has ended, unless this says so */
    bool ask_state; /* the peer's end is to be seen in the state alone: the receiving side is shut down */
    uint64_t cookie;
    uint64_t hold_us;
    char rule[SESSION_RULE_SIZE];
};

#endif
