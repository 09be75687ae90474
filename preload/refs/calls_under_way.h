/*
 * In which calls on sockets the threads of the session's processes are, told by themselves: /proc says so only of a
 * thread that sleeps, and one that was woken inside its call may have to wait long for a processor. A row a call, of
 * processes with several threads alone (a thread that is inside a call has its descriptor, unless another closes it).
 * Lock-free, async-signal-safe. A row may be left behind by a thread that was cancelled or killed: it is taken for
 * nothing more than a hint, where the kernel says that something refers to the socket and nothing else is found.
 */
#ifndef CLOSETRACE_CALLS_UNDER_WAY_H
#define CLOSETRACE_CALLS_UNDER_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call_under_way; /* a row */

size_t calls_under_way_size(void);
/* Before main. memory: so many bytes, shared and zeroed; NULL: nothing is noted. */
void calls_under_way_start(void *memory);

/* libc's word for it that the process has one thread (__libc_single_threaded, 2.32 and later); NULL: it has none. */
extern const char *calls_single_threaded;

static inline bool call_may_outlive_descriptor(void) {
    return !calls_single_threaded || !*(const volatile char *)calls_single_threaded;
}

/*
 * This thread is about to call name(), which may wait: on a socket, fd; on the descriptors of a set, poll()'s (its
 * array and length) or select()'s (its highest number and the three sets). NULL: no row was free.
 */
struct call_under_way *call_begins(const char *name, uint64_t cookie, int fd);
struct call_under_way *call_begins_on_set(const char *name, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
/* It has come back. row may be NULL. */
void call_has_come_back(struct call_under_way *row);

/*
 * Threads that have told of a call on the socket, or on a set with fd in it where that process's fd was the socket's:
 * the next. at: 0 at first.
 */
struct holder;
bool call_under_way_next(uint64_t cookie, unsigned *at, struct holder *holder);
bool call_under_way_next_on_set(int pid, int fd, unsigned *at, struct holder *holder);

/*
 * The call that keeps the socket's file in that thread, or a descriptor that is wanted; NULL: it is in none that does,
 * as far as it has told. *tells: whether it has told anything.
 */
const char *call_under_way_of(int pid, int tid, uint64_t cookie, bool (*wanted)(uint64_t number, void *context),
                              void *context, bool *tells);

#endif
