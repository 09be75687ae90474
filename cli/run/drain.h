/* Events on their way from the session's ring to the user. */
#ifndef CLOSETRACE_DRAIN_H
#define CLOSETRACE_DRAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "pure/event.h"
#include "pure/ring.h"
#include "writer.h"

struct drain_buffer {
    char *text;
    size_t length, size;
};

struct drain {
    int fd;
    bool json;               /* else text */
    bool color;              /* of the text */
    bool failed;             /* something could not be written: said once, with the reason; nothing is, from then on */
    unsigned long long lost; /* events that were not */
    unsigned long long garbage; /* what came through the ring and was no event */
    struct drain_buffer filling, leaving;
    struct writer writer;
    bool writes;                      /* it has begun */
    bool stuck;                       /* what is in the ring waits for the writer */
    unsigned long long busy_since_ms; /* a place in the ring is being written by busy_pid since then */
    int busy_pid;
    void (*watch)(const struct event *event);               /* those of programs are shown to it first; or NULL */
    void (*each)(const struct event *event, void *context); /* events are shown to it as they come; or NULL */
    void *context;
    struct ring_reader reader;
};

/* path: truncated; NULL: standard error. False: errno says why. */
bool drain_begin(struct drain *drain, const char *path, bool json);

/* All lines that are complete. Returns how many bytes came. last: no writer is left, what is incomplete stays so. */
size_t drain_ring(struct drain *drain, struct ring *ring, bool last);

/* One event of a program's, or of what became of it. */
void drain_logged(struct drain *drain, const struct event *event);

/* One event more, of the command's own. */
void drain_event(struct drain *drain, const struct event *event);

/* Lines of text that are no events, between those of the trace. */
void drain_words(struct drain *drain, const char *text, size_t length);

/* What there is begins to leave, if nothing else is leaving. Nobody waits. */
void drain_flush(struct drain *drain);

/* What there is waits for the writer, or something in the ring for that. */
bool drain_waits(const struct drain *drain);

/* All that is in the ring, and what there is, has left; or it was enough. */
void drain_finish(struct drain *drain, struct ring *ring, bool (*is_enough)(void *context), void *context);

#endif
