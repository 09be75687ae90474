#define _GNU_SOURCE
#include "killed.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "endings.h"
#include "kernel/sock_diag.h"
#include "refs/end_claims.h"
#include "refs/ledger.h"
#include "refs/pending_releases.h"
#include "kernel/clock.h"
#include "kernel/process.h"
#include "kernel/procfs.h"
#include "pure/names.h"
#include "kernel/scratch.h"
#include "holders.h"
#include "kernel/stop.h"
#include "pure/verdict.h"
#include "watch.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static struct session *session;
static uint64_t own_namespace; /* the one in which we can look sockets up */

void killed_begin(struct session *of) {
    socklen_t size = sizeof own_namespace;
    session = of;
    int any = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (any < 0 || getsockopt(any, SOL_SOCKET, SO_NETNS_COOKIE, &own_namespace, &size) != 0)
        own_namespace = 0;
    if (any >= 0)
        close(any);
    process_start();
    ledger_start(session->parts[SESSION_LEDGER], true);
    release_start(session->parts[SESSION_RELEASE]);
}

/* One connection that it had, and through which of its descriptors. */
struct lost {
    uint64_t cookie;
    int fd; /* the lowest */
    unsigned references;
};

struct losses {
    struct lost *list;
    size_t count, room;
    uint32_t *index; /* places in the list, and one more; 0: none. A power of 2, twice the room */
};

/* Where it stands in the index, or would. Cookies are chosen by nobody's hand: but what the ledger says of them is. */
static uint32_t *place_in_index(const struct losses *losses, uint64_t cookie) {
    static uint64_t salt;
    if (!salt)
        salt = clock_now() * 2 + 1;
    size_t at = (size_t)((cookie ^ salt) * 0x9E3779B97F4A7C15ULL >> 20);
    for (;; at++) {
        uint32_t *place = &losses->index[at % (2 * losses->room)];
        if (!*place || losses->list[*place - 1].cookie == cookie)
            return place;
    }
}

static bool grow(struct losses *losses) {
    const size_t room = losses->room ? 2 * losses->room : 64;
    void *list = realloc(losses->list, room * sizeof *losses->list);
    if (list)
        losses->list = list;
    uint32_t *index = list ? calloc(2 * room, sizeof *index) : NULL;
    if (!index)
        return false;
    free(losses->index);
    losses->index = index;
    losses->room = room;
    for (uint32_t i = 0; i < losses->count; i++)
        *place_in_index(losses, losses->list[i].cookie) = i + 1;
    return true;
}

static void note_loss(uint64_t cookie, int fd, void *context) {
    struct losses *losses = context;
    if (losses->count == losses->room && !grow(losses))
        return;
    uint32_t *place = place_in_index(losses, cookie);
    if (!*place) {
        losses->list[losses->count++] = (struct lost){.cookie = cookie, .fd = fd};
        *place = (uint32_t)losses->count;
    }
    struct lost *lost = &losses->list[*place - 1];
    lost->references++;
    if (fd < lost->fd)
        lost->fd = fd;
}

/* "SIGKILL"; "exit_group" of a process that ended by itself and without a word; "gone" where nobody could see. */
static const char *name_end(const struct death *death, char *text, size_t size) {
    if (!death->signal)
        return death->status >= 0 ? "exit_group" : "gone";
    if (death->signal < SIGRTMIN && signal_name(death->signal))
        return signal_name(death->signal);
    snprintf(text, size, "SIGRT_%d", death->signal - SIGRTMIN);
    return text;
}

/* Held by so many others, as far as is known. */
static void count_others(const struct lost *lost, unsigned others, struct event *event) {
    event->has |= HAS_REFS_BEFORE | HAS_REFS_AFTER;
    event->refs_after = others ? others : 1;
    event->refs_before = event->refs_after + lost->references;
    event->refs_partial = true;
}

static void name_claimant(const struct claimant *claimant, struct event *event) {
    const struct holder holder = {.pid = claimant->pid, .fd = claimant->fd};
    event_add_holder(event, claimant->pid ? &holder : NULL);
}

/*
 * Nobody is left, or only such as are about to go: whoever claims the end first has it. What left no trace is told by
 * that one alone. False: he has told of it himself.
 */
static bool claim(const struct lost *lost, int dead, bool found, struct verdict *verdict, struct event *event) {
    struct claimant claimant = {.pid = dead, .fd = lost->fd};
    enum end_is whose = claims_take_end(lost->cookie, verdict->why == WHY_LAST_REFERENCE, &claimant);
    if (!found && whose != END_IS_OURS) {
        *verdict = (struct verdict){0};
        return true;
    }
    *verdict = verdict_give_way(*verdict, whose);
    if (whose != END_IS_ANOTHERS)
        return true;
    name_claimant(&claimant, event);
    count_others(lost, claimant.losers, event);
    return claimant.pid != dead;
}

/* A FIN of ours counts as one in what the peer has acknowledged, a client's SYN as another. */
static bool fin_is_acknowledged(const struct sighting *gone, enum event_role role) {
    return gone->acknowledged > gone->sent + (role == ROLE_SERVER ? 0 : 1);
}

/* How it stood, as it was seen last; what was in its queues at the end the kernel has told, perhaps. */
static void describe_last(const struct sighting *last, const struct sighting *gone, struct event *event) {
    const struct sighting *end = gone && gone->has_info ? gone : last;
    event->state_before = last->state;
    event->has |= HAS_UNREAD | HAS_UNSENT | HAS_TRAFFIC | HAS_IDLE;
    event->unread = gone ? destroyed_unread(gone, last) : sighting_unread(last);
    event->unsent = sighting_unsent(last);
    event->unacked = sighting_owed(last) - event->unsent;
    event->sent = end->sent;
    event->received = last->received;
    event->idle_us = 1000 * sighting_idle_ms(end);
}

/* It is in no table any more: how it stood when it was seen last, or what the kernel told. */
static void look_back(const struct lost *lost, enum event_role role, struct killed *killed, struct before *before,
                      struct event *event) {
    const struct sighting *last = watch_last(lost->cookie), *gone = endings_of(lost->cookie);
    if (last) {
        describe_last(last, gone, event);
        *before = (struct before){.state = last->state,
                                  .unread = event->unread,
                                  .was_connected = true,
                                  .fin_sent = killed->fin_left,
                                  .fin_unsent = killed->fin_left && last->not_sent > 0};
        killed->before = before;
    }
    killed->has_unread = gone && gone->receive_queue > 1;
    killed->fin_acknowledged = gone && fin_is_acknowledged(gone, role);
}

/* What the kernel says of it now. False: there is nothing to tell. */
static bool judge(const struct ends *ends, const struct lost *lost, int dead, struct scratch *scratch,
                  struct event *event) {
    const struct ledger_reference its = {.pid = dead, .fd = -1};
    struct identity identity = {
        .cookie = lost->cookie, .local = ends->local, .remote = ends->remote, .namespace = ends->namespace};
    struct diag_answer answer;
    struct before before;
    struct killed killed = {.fin_left = ends->fin_left};
    unsigned leaving = 0, others = 0;
    if (!own_namespace || own_namespace != ends->namespace)
        return true;
    STOP("killed: found, not asked");
    diag_look_up(&identity, scratch, &answer);
    if (!answer.asked)
        return true;
    event->state_after = answer.found ? answer.state : STATE_CLOSE;
    if (!answer.found)
        look_back(lost, ends->role, &killed, &before, event);
    else if (answer.inode)
        others = holders_name(lost->cookie, answer.inode, &its, event, &leaving);
    killed.held = others || (answer.inode && !leaving);
    if (killed.held)
        count_others(lost, others, event);
    const struct after after = {.asked = true,
                                .found = answer.found,
                                .state = answer.state,
                                .attached = answer.inode != 0,
                                .fin_unsent = answer.fin_unsent};
    struct verdict verdict = verdict_killed(&killed, &after);
    bool left_no_trace = !answer.found && verdict.fin != FIN_UNSET && verdict.fin != FIN_ALREADY;
    bool tells = !(left_no_trace || verdict_claims_end(&verdict)) || claim(lost, dead, answer.found, &verdict, event);
    event->fin = verdict.fin;
    event->why = verdict.why;
    event->verified = verdict.verified;
    return tells;
}

/* False: there is nothing to tell. */
static bool describe(const struct death *death, const struct lost *lost, struct scratch *scratch) {
    struct event *event = &scratch->event;
    static char end[32];
    struct ends ends;
    event_init(event, OP_EXIT);
    event->time_us = clock_now();
    event->pid = event->tid = death->pid;
    memcpy(event->comm, death->name, sizeof event->comm);
    event->call = name_end(death, end, sizeof end);
    event->has |= HAS_FD | HAS_SOCKET;
    event->fd = lost->fd;
    if (death->status >= 0) {
        event->has |= HAS_STATUS;
        event->status = death->status;
    }
    event->cookie = lost->cookie;
    if (!address_book_find(&session->book, lost->cookie, &ends))
        return true;
    event->local = ends.local;
    event->remote = ends.remote;
    event->role = ends.role;
    return judge(&ends, lost, death->pid, scratch, event);
}

/* Its threads were inside calls on connections that no descriptor referred to any more. */
static void report_calls(const struct death *death, struct scratch *scratch, struct drain *drain) {
    struct pending_release pending;
    for (unsigned at = 0; release_next_of(death->pid, 0, &at, &pending, true);) {
        struct lost lost = {.cookie = pending.identity.cookie, .fd = pending.fd};
        if (!describe(death, &lost, scratch))
            continue;
        scratch->event.op = OP_RELEASE;
        drain_event(drain, &scratch->event);
    }
}

/* Of many connections, or of a ledger that says so, others are heard in between. */
static void report_losses(const struct death *death, const struct losses *losses, struct scratch *scratch,
                          struct drain *drain) {
    enum { AT_ONCE = 256 };
    for (size_t i = 0; i < losses->count; i++) {
        if (describe(death, &losses->list[i], scratch))
            drain_logged(drain, &scratch->event);
        if (i % AT_ONCE == AT_ONCE - 1)
            drain_ring(drain, &session->ring, false);
    }
}

void killed_report(const struct death *death, struct drain *drain) {
    struct losses losses = {0};
    OWN_SCRATCH *scratch = scratch_take();
    ledger_of(death->pid, note_loss, &losses);
    if (losses.count > 0)
        endings_look(true);
    if (scratch) {
        report_losses(death, &losses, scratch, drain);
        report_calls(death, scratch, drain);
    }
    free(losses.list);
    free(losses.index);
}

void killed_bury(int pid) {
    ledger_bury(pid);
}
