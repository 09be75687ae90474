/*
 * The descriptors of this process, as far as they were seen: a cache. Descriptors come and go unseen (inside
 * libc, by raw system calls, inherited), so that whatever a verdict rests on is asked again by cookie. It answers
 * at the price of a load and a compare what is not TCP. Lock-free; nobody ever waits for a writer.
 */
#ifndef CLOSETRACE_FD_TABLE_H
#define CLOSETRACE_FD_TABLE_H

#include "fd_slot.h"
#include "kernel/tcp_socket.h"

/* What was seen on a connection, through any descriptor of this process. */
enum seen {
    SEEN_EOF = 1 << 0,
    SEEN_RESET = 1 << 1,
    SEEN_OWN_FIN = 1 << 2,
    SEEN_USE = 1 << 3,       /* this process has read from it or written to it */
    SEEN_TIMED_OUT = 1 << 4, /* an error said so */
    SEEN_DESTROYED = 1 << 5,
    SEEN_OWN_RST = 1 << 6,
    SEEN_SHUT_RD = 1 << 7,
};

/* Tracing on? Off until start-up is done, and for good where a setting is bad: then nothing is TCP. */
extern bool table_on;

/* The slot's kind; SLOT_OTHER for numbers that cannot be descriptors. */
enum slot_kind table_kind(int fd);

/* The hooks' first question. False: not our business. True: probably TCP; ask table_find(). */
static inline bool table_maybe_tcp(int fd) {
    return __builtin_expect(table_on, 1) && table_kind(fd) != SLOT_OTHER;
}

/*
 * Who is behind fd, asked of the kernel where it is not known. check: the identity is compared with the kernel's
 * (one probe), and learned again if it is another's. False: no TCP socket.
 */
bool table_find(int fd, bool check, struct identity *identity);

/* The number refers to that connection now (and the ledger is told) / to something that is no TCP socket / to something
 * not seen yet. */
void table_set(int fd, const struct identity *identity);
void table_set_other(int fd);
void table_set_unknown(int fd);
/*
 * new_fd refers to what fd referred to, which another thread may have closed since. False: it is no TCP socket, or gone
 * again.
 */
bool table_duplicated(int fd, int new_fd, struct identity *identity);
/* A TCP socket was made there (by a call that was seen), or found there, of which nothing is known: learned when it is
 * first used. */
void table_set_made(int fd);
void table_set_found(int fd);

/*
 * The number, which is that connection's, is about to be closed. Said before the call: afterwards another thread may
 * have got it already. The ledger has it no more. False: it is not the connection's any more. The ticket is the same
 * for all who close it at this moment.
 */
bool table_closing(int fd, const struct identity *identity, uint64_t *ticket);
/* It was closed. False: another who closed it at the same moment has told of it. */
bool table_closed(int fd, const struct identity *identity, uint64_t ticket);
/*
 * One was closed there that came since, and that nobody has told of: it is the table's still, and not the kernel's.
 * True: the caller tells of it.
 */
bool table_closed_since(int fd, struct identity *identity);
/* It was no descriptor any more; it was not closed. */
void table_was_gone(int fd, const struct identity *identity, uint64_t ticket);
void table_stays(int fd, const struct identity *identity, uint64_t ticket);

unsigned table_seen(int fd);
/* For every descriptor of this process that refers to the connection. */
void table_mark_seen(uint64_t cookie, unsigned seen);

/* The new number is a duplicate of the other. */
void table_copy_seen(int fd, int new_fd);

/* Bytes go through this descriptor: SEEN_USE, of it alone. */
void table_mark_used(int fd);

/*
 * Which way the last bytes went through this descriptor, and what its last write was offered, where that took less (0:
 * it took all). A store where it is news, else a load and a compare.
 */
void table_mark_read(int fd);
void table_mark_last(int fd, enum event_last last, size_t asked); /* LAST_UNSET: a write that took nothing */
enum event_last table_last(int fd, uint64_t *asked);
/* Bytes may go through another descriptor of the connection's too: nobody knows any more which went last. */
void table_mark_mixed(int fd);

/* The number was a TCP socket's when this process closed it, and was not seen to be anything since. */
bool table_was_tcp(int fd, struct identity *identity);
/* It is something else now, or was. */
void table_forget_closed(int fd);

/* In the child of a fork: what its parent used and closed was not used and closed by it. */
void table_forked(void);

/* In the child of a fork by a thread that had a table of its own (odd_tables.h). */
void table_forget(void);

/* ledger_inherit() for each of them. */
void table_inherit(uint32_t who);

/* They have no peer any more, and may be connected again, to somebody else. */
void table_mark_disconnected(const struct identity *identity);

/* One above the highest number that may ever have been TCP here; 0: there was none. */
int table_end(void);

#endif
