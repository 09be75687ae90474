/*
 * Events to render and to hold conditions against.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdio.h>
#include <string.h>

#include "pure/event.h"

static inline struct address v4(uint8_t last, uint16_t port) {
    return (struct address){.family = ADDRESS_V4, .ip = {127, 0, 0, last}, .port = port};
}

static inline struct address v6(uint16_t port) {
    return (struct address){.family = ADDRESS_V6, .ip = {[15] = 1}, .port = port};
}

static inline struct event bare_event(enum event_op op, const char *call) {
    struct event event;
    event_init(&event, op);
    event.time_us = (14 * 3600 + 3 * 60 + 22) * UINT64_C(1000000) + 123456;
    event.pid = 4711;
    event.tid = 4711;
    snprintf(event.comm, COMM_SIZE, "nginx");
    event.call = call;
    return event;
}

/* On 7<TCP:[127.0.0.1:8080->127.0.0.1:51432]>. */
static inline struct event socket_event(enum event_op op, const char *call) {
    struct event event = bare_event(op, call);
    event.has = HAS_FD | HAS_SOCKET;
    event.fd = 7;
    event.cookie = 4097;
    event.local = v4(1, 8080);
    event.remote = v4(1, 51432);
    event.role = ROLE_SERVER;
    return event;
}

static inline void returns(struct event *event, long ret) {
    event->has |= HAS_RET;
    event->ret = ret;
}

static inline void fails(struct event *event, int error) {
    returns(event, -1);
    event->has |= HAS_ERRNO;
    event->error = error;
}

static inline void counts(struct event *event, unsigned before, unsigned after) {
    event->has |= HAS_REFS_BEFORE | HAS_REFS_AFTER;
    event->refs_before = before;
    event->refs_after = after;
}

static inline void ends(struct event *event, enum event_fin fin, enum event_why why, bool verified) {
    event->fin = fin;
    event->why = why;
    event->verified = verified;
}

static inline void turns(struct event *event, enum tcp_state before, enum tcp_state after) {
    event->state_before = before;
    event->state_after = after;
}

static inline void held_by(struct event *event, int pid, const char *comm, int fd) {
    struct holder holder = {.pid = pid, .fd = fd};
    snprintf(holder.comm, COMM_SIZE, "%s", comm);
    event_add_holder(event, &holder);
}

static inline void held_by_thread(struct event *event, int pid, int tid, const char *comm, const char *call) {
    struct holder holder = {.pid = pid, .fd = -1, .tid = tid, .call = call};
    snprintf(holder.comm, COMM_SIZE, "%s", comm);
    event_add_holder(event, &holder);
}

/* Every field is there, each as long as it gets. */
static inline struct event widest_event(unsigned holders) {
    struct event event = socket_event(OP_SHUTDOWN, "__syscall_cancel_sendmmsg");
    event.has = ~0U;
    event.time_us = event.duration_us = UINT64_MAX;
    event.pid = event.tid = event.fd = event.status = event.child = -2147483647;
    memset(event.comm, 1, COMM_SIZE);
    event.ret = -9223372036854775807L;
    event.error = 91; /* EPROTOTYPE */
    event.how = 2;
    event.cookie = UINT64_MAX;
    memset(&event.local, 0xfe, sizeof event.local);
    event.local.family = ADDRESS_V6;
    event.remote = event.local;
    event.role = ROLE_UNKNOWN;
    counts(&event, ~0U, ~0U - 1);
    event.refs_partial = true;
    ends(&event, FIN_WITHHELD, WHY_REFERENCES, false);
    turns(&event, STATE_ESTABLISHED, STATE_CLOSE_WAIT);
    event.pending = event.shared = ~0U;
    event.unread = event.unsent = event.sent = event.received = event.unacked = UINT64_MAX;
    event.sigpipe = SIGPIPE_SUPPRESSED;
    memset(event.caller_module, 'm', CALLER_MODULE_SIZE);
    event.caller_offset = UINT64_MAX;
    for (unsigned i = 0; i < holders; i++)
        if (i % 3)
            held_by(&event, 2147483647, "fifteen-letters", 2147483647);
        else
            held_by_thread(&event, 2147483647, 2147483647, "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"", "recvfrom");
    return event;
}

#endif
