#define _GNU_SOURCE
#include "parking.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kernel/sock_diag.h"
#include "output/event_socket.h"
#include "refs/ledger.h"
#include "kernel/clock.h"
#include "kernel/scratch.h"
#include "kernel/tcp_socket.h"

struct held {
    int fd, pid;
    struct identity identity;
    struct session_request request;
    uint64_t until_us; /* 0: no end is set */
    bool was_over;     /* the peer had closed before */
    struct held *next;
};

static struct session *session;
static struct drain *drain;
static struct held *all;

void parking_begin(struct session *of, struct drain *to) {
    session = of;
    drain = to;
}

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void parking_take(int fd, int pid, const struct session_request *request) {
    struct ends ends;
    struct held *held = calloc(1, sizeof *held);
    if (!held || !socket_identify(fd, &held->identity)) {
        free(held);
        close(fd);
        return;
    }
    if (address_book_find(&session->book, held->identity.cookie, &ends))
        held->identity.role = ends.role;
    held->fd = fd;
    held->pid = pid;
    held->request = *request;
    held->request.rule[SESSION_RULE_SIZE - 1] = '\0';
    held->until_us = request->limited ? now_us() + request->hold_us : 0;
    held->was_over = socket_peer_has_closed(socket_state(fd));
    held->next = all;
    all = held;
    ledger_add(held->identity.cookie, fd);
}

/* Who else has it. */
static unsigned others(const struct held *held, struct event *event) {
    struct ledger_cursor cursor = {0};
    struct ledger_reference other;
    unsigned count = 0;
    while (ledger_next(held->identity.cookie, &cursor, &other)) {
        struct holder holder = {.pid = other.pid, .fd = other.fd};
        if (other.pid == getpid() && other.fd == held->fd)
            continue;
        event_add_holder(event, other.pid > 0 ? &holder : NULL);
        count++;
    }
    return count;
}

static void fill(struct event *event, const struct held *held, const struct standing *standing) {
    event->time_us = clock_now();
    event->pid = event->tid = getpid();
    memcpy(event->comm, "closetrace", sizeof "closetrace");
    event->has |= HAS_FD | HAS_REFS_BEFORE | HAS_REFS_AFTER;
    event->fd = held->fd;
    event_set_socket(event, &held->identity);
    event_set_standing(event, standing);
    event->used = USED_UNSET; /* it is the programs that use it */
    event->injected = held->request.rule;
}

/* It is closed, the kernel is asked what came of it, and that is told. */
static void release(struct held *held) {
    struct standing standing = {0};
    struct diag_answer answer = {0};
    struct scratch *scratch = scratch_take();
    if (!scratch)
        return;
    struct event *event = &scratch->event;
    event_init(event, OP_RELEASE);
    socket_stand(held->fd, held->identity.role, true, &standing);
    bool can_ask = diag_prepare(&held->identity, standing.before.state, scratch);
    fill(event, held, &standing);
    ledger_remove(held->identity.cookie, held->fd);
    close(held->fd);
    if (can_ask)
        diag_look_up(&held->identity, scratch, &answer);
    struct after after = {.asked = answer.asked,
                          .found = answer.found,
                          .state = answer.state,
                          .attached = answer.inode != 0,
                          .fin_unsent = answer.fin_unsent};
    struct remaining remaining = {.known = true, .descriptors = others(held, event)};
    if (after.attached && !remaining.descriptors)
        remaining.descriptors = 1; /* somebody of whom the ledger does not know */
    else if (after.asked && !after.attached)
        remaining.descriptors = 0;
    struct verdict verdict = verdict_decide(ENDING_RELEASE, 0, &standing.before, &remaining, &after);
    event->fin = verdict.fin;
    event->why = verdict.why;
    event->verified = verdict.verified;
    event->refs_after = remaining.descriptors;
    event->refs_before = remaining.descriptors + 1;
    event->state_after = after.found ? after.state : after.asked ? STATE_CLOSE : STATE_UNSET;
    if (verdict.fin != FIN_WITHHELD)
        event->holder_count = event->holders_named = 0;
    drain_event(drain, event);
    scratch_give(scratch);
}

static void release_where(bool (*is_due)(const struct held *held, int pid), int pid) {
    for (struct held **at = &all; *at;) {
        struct held *held = *at;
        if (!is_due(held, pid)) {
            at = &held->next;
            continue;
        }
        *at = held->next;
        release(held);
        free(held);
    }
}

static bool peer_ended_it(const struct held *held) {
    struct pollfd ready = {.fd = held->fd, .events = POLLRDHUP};
    enum tcp_state state;
    if (!held->request.ask_state && poll(&ready, 1, 0) < 1)
        return false;
    state = socket_state(held->fd);
    if (state == STATE_CLOSE || state == STATE_TIME_WAIT)
        return true;
    return !held->request.limited && !held->was_over && socket_peer_has_closed(state);
}

static bool is_over(const struct held *held, int pid) {
    (void)pid;
    return (held->until_us && held->until_us <= now_us()) || peer_ended_it(held);
}

int parking_look(void) {
    enum { LOOK_EVERY_MS = 10, NEVER_MS = 1000 };
    uint64_t nearest = LOOK_EVERY_MS;
    release_where(is_over, 0);
    for (const struct held *held = all; held; held = held->next) {
        uint64_t now = now_us();
        uint64_t left = held->until_us > now ? (held->until_us - now + 999) / 1000 : LOOK_EVERY_MS;
        nearest = left < nearest ? left : nearest;
    }
    return all ? (int)nearest : NEVER_MS;
}

static bool ends_with(const struct held *held, int pid) {
    return held->pid == pid && !held->request.outlives && !held->request.limited;
}

void parking_process_ended(int pid) {
    release_where(ends_with, pid);
}

bool parking_is_empty(void) {
    return !all;
}

static bool always(const struct held *held, int pid) {
    (void)held;
    (void)pid;
    return true;
}

void parking_end(void) {
    release_where(always, 0);
}
