/*
 * What the processes of a session share. Under `closetrace run` that is the command's memory, which every program of
 * the tree joins when it starts; alone (LD_PRELOAD without the command) it is memory that forked children inherit, and
 * an exec'd program begins anew.
 */
#ifndef CLOSETRACE_SESSION_H
#define CLOSETRACE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pure/session_layout.h"

/*
 * Joins the session of CLOSETRACE_SESSION's value. False: it cannot be reached (its command is gone, or is of another
 * version): this program works alone. Before main.
 */
bool session_join(const char *where);

/* Whether lines go to the command: joined, and it reads them still. */
bool session_is_open(void);

/* A line for the command. False: there was no room for it. Async-signal-safe. */
bool session_put(const char *line, size_t length);

/*
 * Memory for one part, shared with all other processes of the session; zeroed when the session begins. Before main.
 * NULL where there is none.
 */
void *session_memory(enum session_part part, size_t size);

/*
 * This process: is a forked child; is about to exec (path may be NULL; both may be bad pointers), and that failed;
 * tells of its end.
 */
void session_forked(void);
/* The parent: it may be killed before it can say so itself. */
void session_forked_child(int child);
void session_exec(const char *path, char *const environment[]);
void session_exec_failed(void);
void session_ending(void);

/* A program was started by posix_spawn() and its like. */
void session_spawned(int pid, const char *path, char *const environment[]);

/*
 * Gives the command a duplicate of the descriptor, to be kept as the request says (its wish need not be filled in).
 * False: it has not taken it.
 */
bool session_park(int fd, struct session_request *request);

/* Before session_put(), and before session_know(): what it writes to is fetched while the kernel is asked something. */
void session_expect_event(void);
void session_expect_to_know(uint64_t cookie);

/* Who is who: noted for programs that inherit the connection, and for the command. */
struct identity;
void session_know(const struct identity *identity);
/* The socket begins a new connection: what was told of the last one is not true of it. */
void session_know_anew(const struct identity *identity);
/* Fills in the role, if the session knows it. */
void session_recall(struct identity *identity);
/* Its FIN has left, and not by a close. */
void session_fin_left(uint64_t cookie);

#endif
