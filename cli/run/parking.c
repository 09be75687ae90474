#define _GNU_SOURCE
#include "parking.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "kernel/sock_diag.h"
#include "output/event_socket.h"
#include "refs/ledger.h"
#include "kernel/clock.h"
#include "kernel/scratch.h"
#include "kernel/tcp_socket.h"
#include "holders.h"
#include "slow_close.h"

struct held {
    int fd, pid;
    struct identity identity;
    struct session_request request;
    uint64_t until_us; /* 0: no end is set */
    bool was_over;     /* the peer had closed before */
    /* While it is being closed, and until that is told: */
    struct standing standing;
    uint64_t inode, closed_us;
    bool can_ask;
    struct slow_close *close;
    struct held *next;
};

static struct session *session;
static struct drain *drain;
static struct held *all, *closing;
static size_t count, most;

void parking_begin(struct session *of, struct drain *to) {
    struct rlimit files = {0};
    session = of;
    drain = to;
    /* The other half is for the processes. */
    getrlimit(RLIMIT_NOFILE, &files);
    most = files.rlim_cur / 2;
}

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What anybody asks for. A time that is beyond all clocks is as good as none. */
static void keep_request(struct held *held, const struct session_request *request) {
    held->request = *request;
    held->request.rule[SESSION_RULE_SIZE - 1] = '\0';
    held->until_us = request->limited && request->hold_us < UINT64_MAX / 2 ? now_us() + request->hold_us : 0;
}

bool parking_take(int fd, int pid, const struct session_request *request, void *unused) {
    struct ends ends;
    (void)unused;
    struct held *held = count < most ? calloc(1, sizeof *held) : NULL;
    if (!held || !socket_identify(fd, &held->identity)) {
        free(held);
        return false;
    }
    if (address_book_find(&session->book, held->identity.cookie, &ends))
        held->identity.role = ends.role;
    held->fd = fd;
    held->pid = pid;
    keep_request(held, request);
    held->was_over = socket_peer_has_closed(socket_state(fd));
    held->next = all;
    all = held;
    count++;
    ledger_add(held->identity.cookie, fd);
    return true;
}

/* Who else has it. */
static unsigned others(const struct held *held, struct event *event) {
    const struct ledger_reference ours = {.pid = getpid(), .fd = held->fd};
    unsigned leaving;
    return holders_name(held->identity.cookie, held->inode, &ours, event, &leaving) + leaving;
}

static void fill(struct event *event, const struct held *held) {
    event_init(event, OP_RELEASE);
    event->time_us = held->closed_us;
    event->pid = event->tid = getpid();
    memcpy(event->comm, "closetrace", sizeof "closetrace");
    event->has |= HAS_REFS_BEFORE | HAS_REFS_AFTER;
    event_set_socket(event, held->fd, &held->identity);
    event_set_standing(event, &held->standing);
    event->used = USED_UNSET; /* it is the programs that use it */
    event->injected = held->request.rule;
}

/* What came of it, as far as the kernel says. Where the thread that closes it has not come back, it is that which has
 * it still. */
static struct after ask_after(const struct held *held, struct scratch *scratch) {
    struct diag_answer answer = {0};
    if (held->can_ask)
        diag_look_up(&held->identity, scratch, &answer);
    return (struct after){.asked = answer.asked,
                          .found = answer.found,
                          .state = answer.state,
                          .attached = answer.inode != 0 && !held->close,
                          .fin_unsent = answer.fin_unsent};
}

static void tell(const struct held *held, struct scratch *scratch) {
    struct event *event = &scratch->event;
    const struct after after = ask_after(held, scratch);
    fill(event, held);
    struct remaining remaining = {.known = true, .descriptors = others(held, event)};
    if (after.attached && !remaining.descriptors)
        remaining.descriptors = 1; /* somebody of whom the ledger does not know */
    else if (after.asked && !after.attached)
        remaining.descriptors = 0;
    struct verdict verdict = verdict_decide(ENDING_RELEASE, 0, &held->standing.before, &remaining, &after);
    verdict.verified = verdict.verified && !held->close;
    event_set_verdict(event, &verdict);
    event->refs_after = remaining.descriptors;
    event->refs_before = remaining.descriptors + 1;
    event->state_after = after.found ? after.state : after.asked ? STATE_CLOSE : STATE_UNSET;
    if (verdict.fin != FIN_WITHHELD)
        event->holder_count = event->holders_named = 0;
    drain_event(drain, event);
}

static void stand(struct held *held, struct scratch *scratch) {
    socket_stand(held->fd, held->identity.role, true, &held->standing);
    held->can_ask = diag_prepare(&held->identity, held->standing.before.state, scratch);
    held->inode = socket_inode(held->fd);
    held->closed_us = clock_now();
}

/* It is closed, the kernel is asked what came of it, and that is told; at once, or when close() has returned. */
static void release(struct held *held) {
    OWN_SCRATCH *scratch = scratch_take();
    if (scratch)
        stand(held, scratch);
    ledger_remove(held->identity.cookie, held->fd);
    held->close = close_slowly(held->fd);
    count--;
    if (held->close) {
        held->next = closing;
        closing = held;
    } else {
        if (scratch)
            tell(held, scratch);
        free(held);
    }
}

static void tell_and_forget(struct held *held) {
    OWN_SCRATCH *scratch = scratch_take();
    if (scratch)
        tell(held, scratch);
    free(held);
}

static void tell_of_the_closed(void) {
    for (struct held **at = &closing; *at;) {
        struct held *held = *at;
        if (!slow_close_is_over(held->close)) {
            at = &held->next;
            continue;
        }
        *at = held->next;
        held->close = NULL;
        tell_and_forget(held);
    }
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
    }
}

static bool peer_ended_it(const struct held *held) {
    struct pollfd ready = {.fd = held->fd, .events = POLLRDHUP};
    if (!held->request.ask_state && poll(&ready, 1, 0) < 1)
        return false;
    return socket_hold_is_over(socket_state(held->fd), !held->request.limited && !held->was_over);
}

static bool is_over(const struct held *held, int pid) {
    (void)pid;
    return (held->until_us && held->until_us <= now_us()) || peer_ended_it(held);
}

int parking_look(void) {
    enum { LOOK_EVERY_MS = 10, NEVER_MS = 1000 };
    uint64_t nearest = LOOK_EVERY_MS;
    tell_of_the_closed();
    release_where(is_over, 0);
    for (const struct held *held = all; held; held = held->next) {
        uint64_t now = now_us();
        uint64_t left = held->until_us > now ? (held->until_us - now + 999) / 1000 : LOOK_EVERY_MS;
        nearest = left < nearest ? left : nearest;
    }
    return all || closing ? (int)nearest : NEVER_MS;
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

/* A close that has not returned goes on without us. */
void parking_end(void) {
    release_where(always, 0);
    tell_of_the_closed();
    while (closing) {
        struct held *held = closing;
        closing = held->next;
        tell_and_forget(held);
    }
}
