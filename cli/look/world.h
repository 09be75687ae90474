/*
 * What stands now: the TCP sockets of a network namespace, who refers to each, and its other end where that is on this
 * host. One dump of inet_diag, one pass over /proc for all sockets together, joined by inode: what it takes grows with
 * sockets plus descriptors. Needs no tracing, and no root for one's own processes.
 *
 * It is all of one moment only nearly: who wants to accuse somebody asks again (confirm.h).
 */
#ifndef CLOSETRACE_WORLD_H
#define CLOSETRACE_WORLD_H

#include "pure/event.h"

enum { NOBODY = -1 };

/* One socket, as inet_diag has it (inet_diag(7), TCP_INFO). */
struct sighting {
    uint64_t cookie;
    uint64_t inode; /* 0: no descriptor, call or copy refers to it: an orphan, or in an accept queue */
    struct address local, remote;
    enum tcp_state state;
    enum event_role role;
    uint32_t uid;
    uint32_t interface;
    uint32_t receive_queue, send_queue; /* of a listener: connections in its queue, and how many that takes */
    uint32_t not_sent;
    uint32_t since_sent_ms, since_received_ms, since_ack_ms;
    uint64_t sent, received;
    uint64_t acknowledged; /* sequence numbers: data, and the SYN of a client, and a FIN */
    uint32_t segments;     /* with data, that have come */
    uint32_t expires_ms;   /* of the timer that runs */
    uint8_t timer;         /* enum sighting_timer */
    uint8_t retransmits;   /* tries, or probes, that nobody has answered */
    uint8_t shut;          /* SHUT_READING | SHUT_WRITING, by its own program or by what came */
    bool has_info;         /* the numbers above, from not_sent on, are there */
    bool twice;            /* the dump had it twice: this one is left out */
    int32_t holding;       /* the first in world.holdings, or NOBODY */
    int32_t holding_end;   /* and the last */
    uint32_t holders;      /* how many there are */
    int32_t peer;          /* its other end in world.list, or NOBODY */
    int32_t listener;      /* in whose accept queue it waits, or whose port it has; or NOBODY */
};

enum sighting_timer { TIMER_OFF, TIMER_RETRANSMIT, TIMER_KEEPALIVE, TIMER_TIME_WAIT, TIMER_PROBE };
enum { SHUT_READING = 1, SHUT_WRITING = 2 };

/* A reference: a descriptor (fd >= 0), or a thread inside a call (fd < 0; call names it). */
struct holding {
    int fd, tid;
    const char *call;
    uint32_t process; /* in world.processes */
    int32_t next;     /* of the same socket, or NOBODY */
};

/* A process that holds one of the sockets. */
struct onlooker {
    int pid, parent;
    char comm[COMM_SIZE];
};

struct world {
    uint64_t time_us; /* since the Epoch, when it was looked at */
    struct sighting *list;
    size_t count, room;
    struct holding *holdings;
    size_t holding_count, holding_room;
    struct onlooker *processes;
    size_t process_count, process_room;
    unsigned closed_to_us; /* processes whose descriptors could not be read */
    unsigned copies;       /* copies of descriptors in unix sockets' queues, where somebody's holder was not found */
    uint32_t *by_inode, *by_tuple;
    size_t table_size; /* of each; a power of 2 */
    uint64_t cost_us;  /* how long it took */
};

enum { ALL_STATES = 0xfff };
#define STATE_BIT(state) (1U << (state))

/* Those in one of the states. False: the kernel does not tell (errno). The world is empty at first, or freed. */
bool world_dump(struct world *world, unsigned states);
/* One socket, by its cookie and addresses: as world_dump() has it. False: there is none, or the kernel does not tell.
 */
struct sighting_name {
    uint64_t cookie;
    struct address local, remote;
};
bool sighting_look_up(const struct sighting_name *name, struct sighting *sighting);

/* Each socket's other end, role and listener. */
void world_pair(struct world *world);
/* Who holds them, processes in the order of their ids. but: this process is not looked at; 0: all are. */
void world_find_holders(struct world *world, int but);
/* For sockets that somebody refers to, and no descriptor was found: threads inside calls, copies in flight. */
void world_find_hidden(struct world *world);
void world_free(struct world *world);

/* In this state the peer's FIN has come. */
bool sighting_has_peers_fin(const struct sighting *sighting);
/* Data that no call has read, and the peer's FIN not counted. */
uint64_t sighting_unread(const struct sighting *sighting);
/* The peer's FIN stands behind what was read, or unread data: no call has come to it. */
bool sighting_end_unread(const struct sighting *sighting);
/* Data that has not left; data that the peer has not acknowledged, that included. */
uint64_t sighting_unsent(const struct sighting *sighting);
uint64_t sighting_owed(const struct sighting *sighting);
/* Milliseconds without data; for which it has been in this state, at least (0: not known). */
uint64_t sighting_idle_ms(const struct sighting *sighting);
uint64_t sighting_in_state_ms(const struct sighting *sighting);
/* What a close of every descriptor would do now. */
enum event_fin sighting_would(const struct sighting *sighting);
/* It waits in the listener's queue: no program has accepted it yet. */
bool sighting_in_queue(const struct sighting *sighting);
/* No descriptor is left, and the kernel goes on with it. */
bool sighting_is_orphan(const struct sighting *sighting);

/* The event that says so: its op, the socket, how it stands, who holds it. */
void sighting_event(const struct world *world, const struct sighting *sighting, enum event_op op, struct event *event);

#endif
