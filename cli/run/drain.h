/* Lines on their way from the session's ring to the user. */
#ifndef CLOSETRACE_DRAIN_H
#define CLOSETRACE_DRAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "pure/ring.h"

struct account;

struct drain {
    int fd;
    struct account *account; /* NULL: lines are not looked into as they come */
    bool json;               /* else text */
    bool color;              /* of the text */
    bool failed;             /* something could not be written: said once, with the reason */
    char *buffer;
    size_t length;
    unsigned long long busy_since_ms; /* a place in the ring is being written by busy_pid since then */
    int busy_pid;
};

/* path: truncated; NULL: standard error. False: errno says why. */
bool drain_begin(struct drain *drain, const char *path, bool json);

/* All lines that are complete. Returns how many bytes came. last: no writer is left, what is incomplete stays so. */
size_t drain_ring(struct drain *drain, struct ring *ring, bool last);

/* A line of JSON. */
void drain_line(struct drain *drain, const char *line, size_t length);

void drain_flush(struct drain *drain);

#endif
