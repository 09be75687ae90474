/*
 * The processes of the tree: children are waited for (the command is the subreaper of all, prctl(2)), the others are
 * known from the session's roster and watched by a pidfd each. Says of each death how it came, and which programs ran
 * without the library. The roster is what anybody says: only who is of the tree is watched, so many at a time.
 */
#ifndef CLOSETRACE_PROCESSES_H
#define CLOSETRACE_PROCESSES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pure/event.h"
#include "pure/roster.h"

/* A process that ended without having told of it. */
struct death {
    int pid;
    int signal; /* that ended it; 0: none, or not known (status says which) */
    int status; /* of its exit, or -1: not known */
    char name[ROSTER_NAME];
};

struct watched {
    int pid, pidfd;
    char name[ROSTER_NAME];
    enum event_reach reach; /* why a new program may not be heard of */
    uint64_t exec_ms;       /* when it was first seen as a new program that has not been heard of; 0: it is none */
};

struct unreached {
    int pid;
    enum event_reach reach;
    bool passed_by; /* the library was in it, and was passed by */
    char name[ROSTER_NAME];
};
enum { UNREACHED_MAX = 1024 };

struct processes {
    struct roster *roster;
    int epoll;
    bool supervised; /* none of them has the library, nor needs it */
    unsigned long long changes_seen;
    unsigned next;           /* where the roster is looked at next */
    struct watched *watched; /* by the place in the roster */
    unsigned char *heard;    /* a bit a process id: it has asked for the memory */
    struct unreached unreached[UNREACHED_MAX];
    unsigned unreached_count, unreached_more;
    pid_t command;
    bool command_ended;
    int command_status;                                     /* as waitpid() gives it */
    void (*died)(const struct death *death, void *context); /* without a word */
    void (*here)(int pid, void *context);                   /* a program with the library in it */
    void (*gone)(int pid, void *context);                   /* in whatever way, after that */
    void *context;
};

/* epoll: where pidfds are put, with their place in the roster as data.u64. */
bool processes_begin(struct processes *processes, struct roster *roster, int epoll);

/* New ones in the roster are watched. True: something has changed there, and should be looked at again soon. */
bool processes_look(struct processes *processes);

/* Something has changed there that has not been looked at. */
bool processes_have_more(const struct processes *processes);

/* The process has asked at the join socket: the library is in it. */
void processes_heard(struct processes *processes, int pid);

/* What the program did is not in the trace, though the library may be in it. */
void processes_unreached(struct processes *processes, int pid, enum event_reach reach, const char *name);

/* The pidfd of that place is readable. */
void processes_ended(struct processes *processes, unsigned place);

/* Children that have ended are waited for. False: there is none left, the tree has ended. */
bool processes_reap(struct processes *processes);

#endif
