/*
 * One number of the descriptor table: what is known to stand there, read and written by any thread and any signal
 * handler of the process at any moment. Memory only, zeroed at first; nobody waits for anybody.
 *
 * What must hold (tests/model/model_fd_slot.c tries it all):
 *   - A reader gets what belongs to the word that it has read, or nothing.
 *   - Who learned what he writes before somebody else wrote does not write it (slot_change()): so OTHER, of which
 * nobody asks again, is never written over what a newer call has brought.
 *   - Where two write at once, or one is interrupted by the other, nobody's word stands: UNKNOWN, and the kernel is
 * asked.
 *   - Of those that close a number at one moment, so that each call succeeds, exactly one tells (slot_tells()).
 */
#ifndef CLOSETRACE_FD_SLOT_H
#define CLOSETRACE_FD_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many words stand behind a slot that is TCP. */
#ifndef SLOT_WORDS
#define SLOT_WORDS 10
#endif

enum slot_kind {
    SLOT_UNKNOWN, /* never looked at, or it is not certain any more */
    SLOT_OTHER,   /* was looked at: no TCP socket */
    SLOT_TCP,
};

/* Of a word, below its version: the kind, and these. The first eight are the caller's (`seen`), of TCP alone. */
enum slot_flag {
    SLOT_SEEN = 0xff,
    SLOT_MADE = 1 << 10,    /* UNKNOWN: made by a call that was seen */
    SLOT_WAS_TCP = 1 << 11, /* OTHER: closed; the words are those of what it was */
    SLOT_CLOSING = 1 << 12, /* UNKNOWN: about to be closed; the words are those of what it is as long as it is there */
    SLOT_BUSY = 1 << 13,    /* UNKNOWN: its words are being written */
};

struct slot {
    _Atomic uint64_t word; /* version << 16 | kind << 8 | flags */
    _Atomic uint64_t
        told; /* the latest version of which somebody told << 16, those before it that were told, a bit each */
    _Atomic uint64_t words[SLOT_WORDS];
};

static inline enum slot_kind slot_kind(uint64_t word) {
    return (enum slot_kind)(word >> 8 & 3);
}

static inline uint64_t slot_version(uint64_t word) {
    return word >> 16;
}

uint64_t slot_now(struct slot *slot);

/* The words of what that word says, or the first of them; false: it is not so any more, or it has none. */
bool slot_read(struct slot *slot, uint64_t word, uint64_t words[SLOT_WORDS]);
bool slot_read_first(struct slot *slot, uint64_t word, uint64_t *first);

/*
 * It is that now: a kind with flags; words: of TCP. Unless it has changed since *word was read: false, and *word is
 * what is there.
 */
bool slot_change(struct slot *slot, uint64_t *word, uint64_t what, const uint64_t words[SLOT_WORDS]);
static inline uint64_t slot_what(enum slot_kind kind, uint64_t flags) {
    return (uint64_t)kind << 8 | flags;
}

/* Somebody is writing it: what he writes will not stand. */
void slot_spoil(struct slot *slot, uint64_t word);

/* The same version, with other flags (of `seen`), or as what it was. */
bool slot_mark(struct slot *slot, uint64_t word, uint64_t set, uint64_t clear);

/* Whether it is the caller's to close: TCP, or about to be closed by others. */
static inline bool slot_can_close(uint64_t word) {
    return slot_kind(word) == SLOT_TCP || (word & SLOT_CLOSING);
}
/*
 * What that word says is about to be closed. Its version is the ticket, the same for all who close it at this moment.
 * False: it is not so any more.
 */
bool slot_closing(struct slot *slot, uint64_t word);
/* It was not closed: TCP as before. False: it is not what was to be closed. */
bool slot_stays(struct slot *slot, uint64_t ticket);
/* It was. Returns its word before that; 0: it was something else already. */
uint64_t slot_closed(struct slot *slot, uint64_t ticket);

/* Whether the caller, whose call has closed it, is the first of those with this ticket. */
bool slot_tells(struct slot *slot, uint64_t ticket);

/* In the child of a fork, where nobody writes: what was being written is not known. */
void slot_forked(struct slot *slot);

#endif
