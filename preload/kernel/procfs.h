/*
 * /proc, read without libc: folders whose entries are numbers, small files, what links say. Every descriptor that is
 * opened is closed again before the caller goes on. Async-signal-safe.
 */
#ifndef CLOSETRACE_PROCFS_H
#define CLOSETRACE_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pure/event.h"
#include "scratch.h"

enum { PROC_PATH = 64, PROC_LINK = 64 };

/* A folder that is being read: its entries whose names are numbers. buffer: 4096 bytes of the caller's. */
struct listing {
    int fd;
    char *buffer;
    long filled, at; /* filled below 0: it could not be read to its end */
};

long listing_open(struct listing *listing, const char *path, char *buffer); /* below 0: -errno */
int listing_next(struct listing *listing);                                  /* -1 at the end */
void listing_close(struct listing *listing);

/* The decimal number at the beginning of text; false: there is none. */
bool parse_number(const char *text, uint64_t *number);

/* What stands behind the label in text; NULL: there is none. */
const char *text_behind(const char *text, const char *label);

/* "/proc/PID/WHAT", or "/proc/PID/task/TID/WHAT" where tid is not 0. */
void proc_path(char *path, size_t size, int pid, int tid, const char *what);
/* "/proc/PID/FOLDER/FD" */
void proc_descriptor_path(char *path, size_t size, int pid, const char *folder, int fd);

/* The beginning of a file, with a NUL at its end; its length, or -errno. */
long proc_read(const char *path, char *buffer, size_t size);

/* Whether there is such a process, and /proc does not show it: there is none (a chroot, a sandbox), or hidepid. */
bool proc_hides(int pid);

/* Whether that error (-errno) of opening something under a process's folder says that the process is gone. */
bool proc_says_gone(long error);

/* Whether the process is dying, or dead: it has let go of its descriptors, or does so now. */
bool proc_is_ending(int pid);

/* In hundredths of a second since the machine was started. False: it cannot be read. */
bool proc_started_at(int pid, uint64_t *ticks);

/* The inode in what a link says, "socket:[12345]", or 0. */
uint64_t proc_inode_in(char link[PROC_LINK], long length);

/* Fills comm (of the process, or of its thread tid where that is not 0); empty if it cannot be read. */
void proc_comm(int pid, int tid, char comm[COMM_SIZE]);

/* Parent, child or sibling of self: who may have had the socket from us, or we from them. */
bool proc_is_relative(int pid, int self, struct scratch *scratch);

#endif
