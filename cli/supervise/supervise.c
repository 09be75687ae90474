#define _GNU_SOURCE
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/clock.h"
#include "kernel/older.h"
#include "leaving.h"
#include "notify.h"
#include "output/event_socket.h"
#include "refs/end_claims.h"
#include "standby.h"
#include "tell.h"

static int listener;
static struct leaving *under_way; /* the oldest first */
static pthread_t thread;
static bool follows;

/* The last connect() that has not been seen to return. */
struct connecting {
    int tid, pid, fd;
};
static struct connecting connecting;

static void look_at_connecting(void) {
    struct patient *patient = connecting.tid ? patient_of(connecting.tid) : NULL;
    struct held held;
    const uint64_t inode = patient && patient->pid == connecting.pid ? patient_socket(patient, connecting.fd) : 0;
    if (inode)
        held_look(patient, connecting.tid, connecting.fd, inode, &held);
    connecting.tid = 0;
}

bool supervise_begin(struct supervision *supervision) {
    *supervision = (struct supervision){.ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    return supervision->ready >= 0 && (supervision->standby = standby_begin()) >= 0 &&
           socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, supervision->pass) == 0;
}

bool supervise_me(const struct supervision *supervision) {
    const int mine = notify_install();
    return mine >= 0 && pass_descriptor(supervision->pass[1], mine);
}

/* An event of this call, without a socket yet. */
static void begin_event(const struct notice *notice, struct patient *patient, enum event_op op, const char *call,
                        struct event *event) {
    event_init(event, op);
    event->time_us = clock_now();
    event->pid = patient->pid;
    event->tid = notice->tid;
    event->call = call;
    proc_comm(patient->pid, 0, event->comm);
    patient_caller(patient, notice->caller, event);
    tell_start(patient, event);
}

static void append(struct leaving *leaving) {
    struct leaving **end = &under_way;
    while (*end)
        end = &(*end)->next;
    leaving->next = NULL;
    *end = leaving;
}

/* The numbers are given up by a call that the kernel goes on with. */
static void let_go(const struct notice *notice, struct patient *patient, struct leaving *leaving, enum event_op op,
                   const char *call) {
    if (!leaving)
        return;
    begin_event(notice, patient, op, call, &leaving->event);
    leaving->who = (struct leaver){.pid = patient->pid, .tid = notice->tid, .op = op};
    leaving->since_us = leaving->event.time_us;
    leaving->number = notice->number;
    append(leaving);
}

static void closes(const struct notice *notice, struct patient *patient, unsigned first, unsigned last,
                   const char *call, long result) {
    struct leaving *leaving = leaving_of_range(patient, notice->tid, first, last, false);
    let_go(notice, patient, leaving, OP_CLOSE, call);
    if (leaving)
        event_set_result(&leaving->event, result, 0);
}

static void replaces(const struct notice *notice, struct patient *patient, const char *call) {
    char path[PROC_PATH], link[PROC_LINK];
    const int from = (int)notice->arguments[0], to = (int)notice->arguments[1];
    proc_descriptor_path(path, sizeof path, patient->pid, "/fd/", from);
    if (from != to && readlink(path, link, sizeof link) > 0)
        closes(notice, patient, (unsigned)to, (unsigned)to, call, to);
}

static void close_range_of(const struct notice *notice, struct patient *patient) {
    const unsigned first = (unsigned)notice->arguments[0], last = (unsigned)notice->arguments[1];
    if (first <= last && !(notice->arguments[2] & ~(uint64_t)CLOSE_RANGE_UNSHARE))
        closes(notice, patient, first, last, "close_range", 0);
}

static void exits(const struct notice *notice, struct patient *patient, const char *call) {
    struct leaving *leaving = leaving_of_range(patient, notice->tid, 0, ~0U, false);
    let_go(notice, patient, leaving, OP_EXIT, call);
    if (!leaving)
        return;
    leaving->event.has |= HAS_STATUS;
    leaving->event.status = (int)notice->arguments[0] & 0xff;
}

/* The thread alone, unless it is the last. */
static void thread_exits(const struct notice *notice, struct patient *patient) {
    if (patient_threads(patient) == 1)
        exits(notice, patient, "exit");
    patient_thread_ends(notice->tid);
}

/* What is no socket is not copied: to give a copy back may be its last close. */
static int copy_of_socket(const struct patient *patient, int fd) {
    return patient_socket(patient, fd) ? patient_copy(patient, fd) : -1;
}

/*
 * Made by the command, on its own copy: a shutdown is the socket's, whoever makes it. So its result is known, and how
 * the connection stands just before and after.
 */
static bool shut_down(const struct notice *notice, struct patient *patient) {
    const int fd = (int)notice->arguments[0], how = (int)notice->arguments[1];
    struct held held = {.fd = fd};
    const int copy = copy_of_socket(patient, fd);
    if (copy < 0 || !held_look_at(copy, &held) || !notify_waits(listener, notice)) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    struct event event;
    struct standing now;
    struct claimant claimant = {.pid = patient->pid, .fd = fd, .shut = true};
    const struct remaining nobody = {0};
    struct verdict verdict = {0};
    const int error = shutdown(copy, how) == 0 ? 0 : errno;
    const bool known = socket_stand(copy, held.identity.role, false, &now);
    const struct after after = {.asked = known,
                                .found = known,
                                .attached = known,
                                .state = now.before.state,
                                .fin_unsent = now.before.fin_unsent};
    close(copy);
    notify_answer(listener, notice->id, error ? -1 : 0, error);
    if (!error)
        verdict = verdict_decide(ENDING_SHUTDOWN, how, &held.standing.before, &nobody, &after);
    if (verdict.why == WHY_SHUTDOWN && !claims_take(held.identity.cookie, CLAIM_FIN, &claimant))
        verdict = verdict_give_way(verdict, END_WAS_SHUT);
    begin_event(notice, patient, OP_SHUTDOWN, "shutdown", &event);
    event_set_socket(&event, fd, &held.identity);
    event_set_result(&event, error ? -1 : 0, error);
    event_set_standing(&event, &held.standing);
    event.used = USED_UNSET;
    event.has |= HAS_HOW;
    event.how = how;
    event_set_verdict(&event, &verdict);
    event.state_after = after.state;
    if (verdict.why == WHY_LISTENING) {
        event.has |= HAS_PENDING;
        event.pending = how == SHUT_WR ? 0 : held.standing.before.pending; /* it goes on listening */
    }
    tell(&event, &(struct asking){.asked = known, .contradicted = verdict.contradicted});
    return true;
}

/* Whose role is known from now on; and its names, once the call has returned. */
static void connects(const struct notice *notice, struct patient *patient) {
    struct held held = {0};
    const int fd = (int)notice->arguments[0], copy = copy_of_socket(patient, fd);
    if (copy < 0)
        return;
    if (held_look_at(copy, &held)) {
        held_connects(held.identity.cookie);
        look_at_connecting();
        connecting.tid = notice->tid;
        connecting.pid = patient->pid;
        connecting.fd = fd;
    }
    close(copy);
}

static bool listens(const struct notice *notice, struct patient *patient) {
    struct held held = {0};
    const int fd = (int)notice->arguments[0], copy = copy_of_socket(patient, fd);
    if (copy < 0 || !held_look_at(copy, &held) || !notify_waits(listener, notice)) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    const int error = listen(copy, (int)notice->arguments[1]) == 0 ? 0 : errno;
    socket_local_name(copy, &held.identity);
    close(copy);
    notify_answer(listener, notice->id, error ? -1 : 0, error);
    if (!error)
        held_listens(&held.identity.local);
    return true;
}

/* True: the call has been answered. */
static bool look(const struct notice *notice, struct patient *patient) {
    switch (notice->number) {
    case SYS_close:
        closes(notice, patient, (unsigned)notice->arguments[0], (unsigned)notice->arguments[0], "close", 0);
        return false;
    case SYS_close_range:
        close_range_of(notice, patient);
        return false;
#ifdef SYS_dup2
    case SYS_dup2:
        replaces(notice, patient, "dup2");
        return false;
#endif
    case SYS_dup3:
        replaces(notice, patient, "dup3");
        return false;
    case SYS_execve:
    case SYS_execveat:
        let_go(notice, patient, leaving_of_range(patient, notice->tid, 0, ~0U, true), OP_EXEC,
               notice->number == SYS_execve ? "execve" : "execveat");
        return false;
    case SYS_exit_group:
        exits(notice, patient, "exit_group");
        return false;
    case SYS_exit:
        thread_exits(notice, patient);
        return false;
    case SYS_shutdown:
        return shut_down(notice, patient);
    case SYS_connect:
        connects(notice, patient);
        return false;
    case SYS_listen:
        return listens(notice, patient);
    default:
        return false;
    }
}

static void expect_release(const struct leaving *leaving, const struct held *held) {
    struct leaving *release = leaving_release(leaving, held);
    if (release)
        append(release);
}

/* In the order in which the kernel lets go of them. False: of one of them nothing can be said yet. */
static bool judge(struct leaving *leaving) {
    OWN_SCRATCH *scratch = scratch_take();
    while (scratch && leaving->judged < leaving->count) {
        struct event event = leaving->event;
        if (event.op == OP_RELEASE)
            event.time_us = clock_now();
        struct asking asking = {0};
        const enum judged judged = held_judge(&leaving->list[leaving->judged], &leaving->who, scratch, &event, &asking);
        if (judged == NOT_YET)
            return false;
        if (judged == JUDGED)
            tell(&event, &asking);
        if (judged == JUDGED && event.why == WHY_CALL_IN_PROGRESS)
            expect_release(leaving, &leaving->list[leaving->judged]);
        leaving->judged++;
    }
    return true;
}

/* Those of one thread or process in their order. */
static void judge_all(void) {
    const uint64_t now_us = under_way ? clock_now() : 0;
    for (struct leaving **link = &under_way, *leaving; (leaving = *link);) {
        const enum left left = leaving_look(leaving, now_us);
        if (left == NOT_LEFT || (left == LEFT && !judge(leaving))) {
            link = &leaving->next;
            continue;
        }
        *link = leaving->next;
        free(leaving);
    }
}

static bool is_only_late(void) {
    const struct leaving *leaving = under_way;
    while (leaving && leaving->who.op == OP_RELEASE)
        leaving = leaving->next;
    return !leaving;
}

/* Its calls before this one have returned. */
static void is_seen_again(int tid) {
    if (connecting.tid == tid)
        look_at_connecting();
    for (struct leaving *leaving = under_way; leaving; leaving = leaving->next)
        leaving->returned = leaving->returned || leaving->who.tid == tid;
}

static void serve(void) {
    struct notice notice;
    if (!notify_receive(listener, &notice))
        return;
    is_seen_again(notice.tid);
    judge_all(); /* before this call changes anything: one that has failed has left everything there */
    struct patient *patient = patient_of(notice.tid);
    if (!patient || !look(&notice, patient))
        notify_continue(listener, notice.id);
}

/* wait_ms: for each. */
static void look_who_has_ended(int wait_ms) {
    for (struct patient *patient = patient_next(NULL), *next; patient; patient = next) {
        struct pollfd entry = {.fd = patient->pidfd, .events = POLLIN};
        next = patient_next(patient);
        if (poll(&entry, 1, wait_ms) > 0) {
            tell_end(patient);
            patient_ends(patient);
        }
    }
}

/* While calls are under way they are looked at again soon, and more slowly where they take their time. */
static void *follow(void *context) {
    enum { SOON = 64, SLOW_MS = 1, LATE_MS = 20, IDLE_MS = 1000 };
    struct pollfd entry = {.fd = listener, .events = POLLIN};
    unsigned turns = 0;
    (void)context;
    for (;;) {
        const int wait_ms = !under_way       ? (connecting.tid ? SLOW_MS : IDLE_MS)
                            : is_only_late() ? LATE_MS
                            : turns++ < SOON ? 0
                                             : SLOW_MS;
        const int ready = poll(&entry, 1, wait_ms);
        if (ready > 0 && (entry.revents & POLLIN)) {
            serve();
            turns = 0;
        }
        judge_all();
        if (ready == 0)
            look_at_connecting();
        if (ready == 0 && !under_way)
            look_who_has_ended(0);
        if (ready > 0 && (entry.revents & POLLHUP) && !under_way)
            break;
    }
    look_who_has_ended(IDLE_MS); /* nobody has the filter: they are about to be gone */
    return NULL;
}

bool supervise_follow(struct supervision *supervision) {
    close(supervision->pass[1]);
    listener = take_descriptor(supervision->pass[0]);
    close(supervision->pass[0]);
    if (listener < 0)
        return false;
    atomic_store(socket_odd_options, 1);
    tell_begin(supervision->ready);
    pass_descriptor(supervision->standby, listener);
    follows = pthread_create(&thread, NULL, follow, NULL) == 0;
    if (!follows)
        close(supervision->standby); /* it lets all calls go on */
    return follows;
}

void supervise_take(struct supervision *supervision, void (*take)(const struct event *event, void *context),
                    void *context) {
    eventfd_t number;
    eventfd_read(supervision->ready, &number); /* before they are taken: what comes meanwhile is said anew */
    tell_take(take, context);
}

void supervise_end(void) {
    if (follows)
        pthread_join(thread, NULL);
    follows = false;
}
