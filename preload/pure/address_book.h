/*
 * The connections of a session, by cookie: who their ends are. For programs that inherit them, and for the command,
 * which tells what became of those that a killed process had.
 *
 * Pure: memory only, zeroed at first. Lock-free, async-signal-safe. What was overwritten is not known any more.
 */
#ifndef CLOSETRACE_ADDRESS_BOOK_H
#define CLOSETRACE_ADDRESS_BOOK_H

#include "event.h"
#include "session_size.h"

struct ends {
    struct address local, remote;
    uint64_t namespace; /* SO_NETNS_COOKIE */
    uint8_t role;       /* enum event_role */
    uint8_t fin_left;   /* 0 or 1: by a shutdown, that is: whoever closes it now sends none */
};

enum { ADDRESS_BOOK_SIZE = SESSION_SIZE(1 << 15, 8), ENDS_WORDS = (sizeof(struct ends) + 7) / 8 };

struct address_book {
    struct {
        _Atomic uint64_t cookie;
        _Atomic uint64_t words[ENDS_WORDS];
    } list[ADDRESS_BOOK_SIZE];
};

void address_book_note(struct address_book *book, uint64_t cookie, const struct ends *ends);
/* Before address_book_note(): its place is fetched while something else is done. */
void address_book_expect(const struct address_book *book, uint64_t cookie);
bool address_book_find(struct address_book *book, uint64_t cookie, struct ends *ends);

#endif
