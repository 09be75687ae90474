/*
 * Where programs of the tree ask for the session's memory, and bring connections to be parked. Whoever asks may be
 * anybody, and say anything or nothing: only our own tree is listened to, nobody is waited for, and what a request
 * brings beyond what is asked for is closed.
 */
#ifndef CLOSETRACE_JOIN_SOCKET_H
#define CLOSETRACE_JOIN_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "pure/session_layout.h"

enum { JOIN_ASKING = 64 }; /* so many are listened to at once */

struct join_socket {
    int listener, epoll;
    uint64_t tag; /* data of epoll's events: the listener's, then those of the connections, by their places */
    int memory;   /* what is asked for; -1: it cannot be given */
    int spare;    /* given up where no descriptor is left to see who asks */
    struct asking {
        int connection, pid; /* pid 0: the place is free */
        uint64_t since_ms;
    } asking[JOIN_ASKING];
    void (*came)(int pid, void *context); /* the process has asked, and so has the library; it may have ended by now */
    /* Takes the descriptor over; false: it is not to be had. */
    bool (*park)(int fd, int pid, const struct session_request *request, void *context);
    void *context;
};

/* The other members of *join are set. False: errno says why. */
bool join_socket_open(struct join_socket *join, const char *name);

/* epoll has an event of it: tag is its data. */
void join_socket_serve(struct join_socket *join, uint64_t tag);

/* Whether that data is of one of its events. */
bool join_socket_has(const struct join_socket *join, uint64_t tag);

#endif
