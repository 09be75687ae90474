#define _GNU_SOURCE
#include "killed.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kernel/sock_diag.h"
#include "refs/end_claims.h"
#include "refs/ledger.h"
#include "refs/pending_releases.h"
#include "kernel/clock.h"
#include "kernel/process.h"
#include "kernel/procfs.h"
#include "pure/names.h"
#include "kernel/scratch.h"
#include "kernel/stop.h"

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
};

static void note_loss(uint64_t cookie, int fd, void *context) {
    struct losses *losses = context;
    size_t i = 0;
    if (fd < 0)
        return;
    while (i < losses->count && losses->list[i].cookie != cookie)
        i++;
    if (i == losses->count) {
        if (losses->count == losses->room) {
            losses->room = losses->room ? 2 * losses->room : 64;
            void *larger = realloc(losses->list, losses->room * sizeof *losses->list);
            if (!larger)
                return;
            losses->list = larger;
        }
        losses->list[losses->count++] = (struct lost){.cookie = cookie, .fd = fd};
    }
    losses->list[i].references++;
    if (fd < losses->list[i].fd)
        losses->list[i].fd = fd;
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

/* Who else has it and stays; leaving: those who are about to go. */
static unsigned name_holders(uint64_t cookie, int dead, struct event *event, unsigned *leaving) {
    struct ledger_cursor cursor = {0};
    struct ledger_reference other;
    unsigned others = 0;
    while (ledger_next(cookie, &cursor, &other)) {
        struct holder holder = {.pid = other.pid, .fd = other.fd};
        if (other.pid == dead)
            continue;
        *leaving += other.leaving;
        if (other.leaving)
            continue;
        if (other.pid > 0)
            proc_comm(holder.pid, 0, holder.comm);
        event_add_holder(event, other.pid > 0 ? &holder : NULL);
        others++;
    }
    return others;
}

static void say(struct event *event, enum event_fin fin, enum event_why why, bool verified) {
    event->fin = fin;
    event->why = why;
    event->verified = verified;
}

static void say_withheld(const struct lost *lost, unsigned others, bool verified, struct event *event) {
    event->has |= HAS_REFS_BEFORE | HAS_REFS_AFTER;
    event->refs_after = others ? others : 1;
    event->refs_before = event->refs_after + lost->references;
    event->refs_partial = true;
    if (event->state_after == STATE_LISTEN)
        say(event, FIN_NONE, WHY_LISTENING, verified);
    else
        say(event, FIN_WITHHELD, WHY_REFERENCES, verified);
}

/* Nobody is left, or only such as are about to go: whoever claims the end first has it. False: he has told of it
 * himself. */
static bool claim(const struct lost *lost, int dead, const struct diag_answer *answer, struct event *event) {
    struct claimant claimant = {.pid = dead, .fd = lost->fd};
    struct holder holder = {0};
    switch (claims_take_end(lost->cookie, true, &claimant)) {
    case END_IS_OURS:
        say(event, answer->fin_unsent ? FIN_QUEUED : FIN_SENT, WHY_LAST_REFERENCE, answer->inode == 0);
        return true;
    case END_WAS_SHUT:
        say(event, FIN_ALREADY, WHY_AFTER_SHUTDOWN, true);
        return true;
    case END_IS_ANOTHERS:
        break;
    }
    if (claimant.pid == dead)
        return false;
    holder.pid = claimant.pid;
    holder.fd = claimant.fd;
    event_add_holder(event, &holder);
    say_withheld(lost, claimant.losers, false, event);
    return true;
}

/*
 * What the kernel says of it now. What is gone altogether may have ended by a FIN or an RST: then nothing is said.
 * False: there is nothing to tell.
 */
static bool judge(const struct ends *ends, const struct lost *lost, int dead, struct scratch *scratch,
                  struct event *event) {
    struct identity identity = {
        .cookie = lost->cookie, .local = ends->local, .remote = ends->remote, .namespace = ends->namespace};
    struct diag_answer answer;
    unsigned leaving = 0;
    if (!own_namespace || own_namespace != ends->namespace)
        return true;
    STOP("killed: found, not asked");
    diag_look_up(&identity, scratch, &answer);
    if (!answer.asked)
        return true;
    event->state_after = answer.found ? answer.state : STATE_CLOSE;
    if (!answer.found)
        return true;
    unsigned others = answer.inode ? name_holders(lost->cookie, dead, event, &leaving) : 0;
    if (others || (answer.inode && !leaving))
        say_withheld(lost, others, true, event);
    else if (ends->fin_left)
        say(event, FIN_ALREADY, WHY_AFTER_SHUTDOWN, answer.inode == 0);
    else
        return claim(lost, dead, &answer, event);
    return true;
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

void killed_report(const struct death *death, struct drain *drain) {
    struct losses losses = {0};
    OWN_SCRATCH *scratch = scratch_take();
    ledger_of(death->pid, note_loss, &losses);
    for (size_t i = 0; scratch && i < losses.count; i++) {
        if (describe(death, &losses.list[i], scratch))
            drain_event(drain, &scratch->event);
    }
    if (scratch)
        report_calls(death, scratch, drain);
    free(losses.list);
}

void killed_bury(int pid) {
    ledger_bury(pid);
}
