/* A connection as a supervised process holds it, looked at just before it gives it up; and what became of it then. */
#ifndef CLOSETRACE_HELD_H
#define CLOSETRACE_HELD_H

#include "kernel/scratch.h"
#include "patient.h"

struct held {
    int fd;
    uint64_t inode;
    unsigned count; /* of its descriptors, that are given up together */
    bool can_ask;
    struct holder blocked; /* a thread that was inside a call on it just before; tid 0: none */
    struct identity identity;
    struct standing standing;
};

/* Looks at the socket at that descriptor of the process, for its thread tid. False: it is none of TCP, or could not be
 * looked at. */
bool held_look(const struct patient *patient, int tid, int fd, uint64_t inode, struct held *held);
/* The same, of a copy that the caller has. */
bool held_look_at(int copy, struct held *held);

/* Connections that a supervised program has made are a client's; those at a port that one listens at, a server's. */
void held_connects(uint64_t cookie);
void held_listens(const struct address *local);

/* Who gives it up, and since when. */
struct leaver {
    int pid, tid;
    enum event_op op;
    bool returned; /* the call has */
    bool prompt;   /* it is asked so soon after the call that nothing else is likely to have happened */
    bool patient;  /* what is not clear may become clear: it is asked again later */
};

/* What is counted for the `end` event of its process. */
struct asking {
    unsigned asked, contradicted;
};

/*
 * The descriptors are gone: the verdict, and what belongs to it, in the event. NOT_YET: the kernel has not let go of
 * the file, which is said only where the leaver is patient. NOTHING: the same process has told of it by another call.
 */
enum judged { JUDGED, NOT_YET, NOTHING };
enum judged held_judge(const struct held *held, const struct leaver *leaver, struct scratch *scratch,
                       struct event *event, struct asking *asking);

#endif
