/*
 * The supervised processes: known from the first call of theirs that matters, by any of their threads. What is looked
 * at is their descriptors, by copies that are given back before the call goes on.
 */
#ifndef CLOSETRACE_PATIENT_H
#define CLOSETRACE_PATIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/procfs.h"
#include "kernel/tcp_socket.h"

struct patient {
    int pid, pidfd;
    bool told; /* there is an event of it */
    char comm[COMM_SIZE];
    uint64_t events, asked, contradicted;
    struct patient *next;
};

/* The process of that thread; NULL: it is gone, or there is no memory. */
struct patient *patient_of(int tid);

/* All of them, one after the other; NULL at first, and at the end. */
struct patient *patient_next(const struct patient *patient);

/* The thread ends, or the whole process: its numbers are anybody's. */
void patient_thread_ends(int tid);
void patient_ends(struct patient *patient);

/* How many threads it has; 0: it is gone. */
uint64_t patient_threads(const struct patient *patient);

/* The inode of the socket at its descriptor; 0: it is none, or is closed. */
uint64_t patient_socket(const struct patient *patient, int fd);

/* A copy of its descriptor; -1: it is closed, or this is not allowed. To be closed before the call goes on. */
int patient_copy(const struct patient *patient, int fd);

/* The file that the address is in, without its folder, and where in it; false: in none. */
bool patient_caller(const struct patient *patient, uint64_t address, struct event *event);

#endif
