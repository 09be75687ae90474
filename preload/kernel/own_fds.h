/*
 * The descriptors that closetrace holds itself: a netlink socket and a log file, at most (while a
 * fault rule has connections parked, also those and an eventfd). They are close-on-exec
 * and stand where a program does not come: above its soft limit where the hard one leaves room, else at the top
 * of the range. A program that closes or takes over their numbers is not hindered.
 */
#ifndef CLOSETRACE_OWN_FDS_H
#define CLOSETRACE_OWN_FDS_H

#include <stdbool.h>
#include <stdint.h>

enum own_descriptor { OWN_NETLINK, OWN_LOG, OWN_WAKE, OWN_COUNT };

/* Moves fd up to its place and keeps it. The new number, or -1 (fd is closed either way). */
int own_adopt(enum own_descriptor which, int fd);

/*
 * The number, if what stands there is still what was put there (asked of the kernel at each call: a raw system
 * call may have closed it and the number be another's). -1: not held.
 */
int own_descriptor(enum own_descriptor which);

/* The same, with what fstat() said of it. */
struct stat;
int own_descriptor_status(enum own_descriptor which, struct stat *status);

/* Whether one was put there: not asked of the kernel, so that nothing may be written to it on the strength of this. */
bool own_holds(enum own_descriptor which);

/* Whether the program, naming fd, names one of ours. */
bool own_is(int fd);

/* The program wants the number: a netlink socket is given up, a log file moves to a lower place. */
void own_make_way(int fd);

/* The first of ours in the range, or -1. */
int own_first_in(unsigned first, unsigned last);

/* The limit has changed: those that stand within the program's range go above it again. */
void own_move_up(void);

/* Closes it. */
void own_drop(enum own_descriptor which);

/*
 * A system call that makes a descriptor for ourselves, for a moment or for own_adopt(): where the program has used
 * up its soft limit, that is raised for the call. -errno on failure.
 */
long own_open(long call, long a, long b, long c);

/*
 * Guests: the connections that a fault rule has parked (park.h), kept by duplicates of ours. They stand above the soft
 * limit where the hard one leaves room, else in the upper quarter of the range, close-on-exec. A program that closes
 * such a number (in a loop over /proc/self/fd) is not hindered: the guest moves, a few times.
 *
 * own_keep() keeps a duplicate of fd; the guest's place, by which it is known from then on, or -1: there is no room.
 * own_guest() is its number now, or -1; own_let_go() frees the place and gives the number, which is not closed.
 */
enum { OWN_GUESTS = 16384 };
int own_keep(int fd);
int own_guest(int place);
int own_let_go(int place);

/* One above the highest place that was ever taken. */
int own_guests_end(void);

/*
 * In a forked child: the netlink socket is the parent's (answers would mix), and so are the guests; the log file is
 * shared.
 */
void own_forked(void);

#endif
