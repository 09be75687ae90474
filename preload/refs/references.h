/*
 * How many references a socket has and who holds them: descriptors in all processes, copies in flight, a thread
 * inside a call. Async-signal-safe.
 */
#ifndef CLOSETRACE_REFERENCES_H
#define CLOSETRACE_REFERENCES_H

#include "pure/verdict.h"
#include "proc_search.h"

enum { CALLS_SHOWN = 4 };

struct references {
    struct search_row row;
    unsigned in_flight;
    unsigned purged; /* copies that go with this process */
    bool known;      /* /proc could be read, at least in part */
    bool partial;
    bool unreadable; /* some processes cannot be looked at */
    bool from_ledger;
    bool came_too_late; /* whoever held it had let go when it was searched for */
    unsigned calls;     /* threads inside a call, where there is no descriptor */
    struct holder call[CALLS_SHOWN];
};

/*
 * From the ledger, if it answers for the socket; those that would be named are looked at first, and struck out where
 * they are not there. False: it does not.
 */
bool references_from_ledger(uint64_t inode, uint64_t cookie, struct search_row *row);

/* Descriptors (from the ledger, else from /proc) and copies in flight. */
void references_count(uint64_t inode, uint64_t cookie, struct scratch *scratch, struct references *references);

/*
 * Where /proc does not show everybody, the ledger knows some of the others, though perhaps not all: those of processes
 * that live and cannot be looked at, and where it shows nobody, our own.
 */
void references_add_unreadable(struct search_row *row, uint64_t cookie);

/* The same from /proc in any case: the ledger was wrong. */
void references_search(uint64_t inode, uint64_t cookie, struct scratch *scratch, struct references *references);

/* Copies are under way of which nothing is known, or which strangers may have sent or taken: counts may be wrong. */
bool references_flights_unsure(struct scratch *scratch);

/*
 * Only the copies in flight, added to what is there. This process: stays; ends, or becomes another program, and copies
 * in queues of unix sockets that go with it are no references any more, but `purged`.
 */
enum departure { STAYS, ENDS, EXECS };
void references_count_in_flight(uint64_t cookie, enum departure departure, struct scratch *scratch,
                                struct references *references);

/*
 * The kernel says that something refers to the socket, and no descriptor was found: a call in progress. guess: or else,
 * where there are any, copies in flight that were not counted. A descriptor that is handed on while /proc is read is
 * found the next time: so guess last.
 */
void references_look_closer(uint64_t cookie, bool guess, struct scratch *scratch, struct references *references);

/*
 * Calls in progress beside copies in flight, as far as they are known of. ends: this process's threads are about to
 * go, and the kernel cannot be asked, so that they count where nothing else is left.
 */
void references_look_at_calls(uint64_t cookie, bool ends, struct scratch *scratch, struct references *references);
/* The kernel says that something refers to it, and there is no descriptor: those threads that have told of their calls.
 */
void references_look_at_told_calls(uint64_t cookie, bool ends, struct references *references);

/*
 * Our own fd was just closed. If it was found all the same, it was closed by a dup2() of the same socket over it: that
 * reference is the next event's.
 */
void references_leave_out(struct references *references, int fd);

/*
 * The kernel says that something refers to the socket, and the search has found nothing where it could not look at
 * everybody, or came too late: one descriptor at least is certain, and no name. Where everybody was looked at it is
 * no descriptor.
 */
void references_prove_one(struct references *references);

unsigned references_total(const struct references *references);

/* For the verdict. */
struct remaining references_remaining(const struct references *references);

/* Holders for a withheld FIN. */
void references_name_holders(const struct references *references, struct event *event);

/* refs_before and refs_after of an event, from the number after and how many the call gave up (or took: negative). */
void references_note(const struct references *references, int given_up, struct event *event);

#endif
