#include "wrong.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/finding.h"
#include "grow.h"
#include "interest.h"
#include "kernel/procfs.h"
#include "kernel/sock_diag.h"
#include "sighting_words.h"

static const uint64_t long_ms = 10000;

/* Alike ones: of one process, on one port, of one kind. The first is the example, and has stood longest. */
struct claim {
    enum finding_kind kind;
    enum certainty certainty;
    const struct sighting *sighting;
    int pid;       /* who is to do something about it; 0: not known */
    uint16_t port; /* of the server's end, as far as that is known */
    bool probed;   /* keepalive probes hide for how long it has been in its state */
    bool strange;  /* who holds it does not wait for anything on it, and came by it by an exec */
    unsigned more;
    uint64_t youngest_ms;
};

struct wrong {
    struct world *world;
    struct scratch *scratch;
    struct claim *claims;
    size_t count, room;
    bool *excused;         /* by the place in world.list: half-closed, and waits for its peer on behalf of another */
    uint32_t *half_closed; /* with a descriptor: their places in world.list */
    size_t half_closed_count, half_closed_room;
    unsigned questions;     /* that were asked of processes */
    int program_of, server; /* the last that were compared */
    bool same;
};

static const struct onlooker *holder_process(const struct world *world, const struct sighting *sighting) {
    return sighting->holding == NOBODY ? NULL : &world->processes[world->holdings[sighting->holding].process];
}

static bool holds(const struct world *world, const struct sighting *sighting, int pid) {
    for (int32_t at = sighting->holding; at != NOBODY; at = world->holdings[at].next)
        if (world->processes[world->holdings[at].process].pid == pid)
            return true;
    return false;
}

static bool is_half_closed(const struct sighting *sighting) {
    return sighting->inode && (sighting->state == STATE_FIN_WAIT1 || sighting->state == STATE_FIN_WAIT2);
}

/* The kernel still says so: the same socket in the same state; and the descriptor still stands for it. */
static bool is_still_so(const struct wrong *wrong, const struct sighting *sighting) {
    const struct identity identity = {.cookie = sighting->cookie,
                                      .local = sighting->local,
                                      .remote = sighting->remote,
                                      .interface = sighting->interface};
    struct diag_answer answer;
    diag_look_up(&identity, wrong->scratch, &answer);
    if (answer.asked && (!answer.found || answer.state != sighting->state || answer.inode != sighting->inode))
        return false;
    const struct onlooker *processes = wrong->world->processes;
    for (int32_t at = sighting->holding; at != NOBODY && processes; at = wrong->world->holdings[at].next) {
        const struct holding *holding = &wrong->world->holdings[at];
        char path[PROC_PATH], link[PROC_LINK];
        if (holding->fd < 0)
            continue;
        proc_descriptor_path(path, sizeof path, processes[holding->process].pid, "/fd/", holding->fd);
        const ssize_t length = readlink(path, link, sizeof link - 1);
        if (proc_inode_in(link, length) != sighting->inode)
            return false;
    }
    return true;
}

static uint16_t port_of(const struct sighting *sighting) {
    return sighting->role == ROLE_CLIENT ? sighting->remote.port : sighting->local.port;
}

/*
 * Each answer to a probe moves the time from which the kernel would tell. The end may have come only now: a moment is
 * left to who holds it.
 */
static bool is_probed(const struct sighting *sighting) {
    enum { MOMENT_MS = 100 };
    return sighting->has_info && sighting->timer == TIMER_KEEPALIVE && sighting_idle_ms(sighting) >= long_ms &&
           sighting_in_state_ms(sighting) >= MOMENT_MS && sighting_in_state_ms(sighting) < long_ms;
}

static bool is_alike(const struct claim *claim, const struct claim *other) {
    return claim->kind == other->kind && claim->certainty == other->certainty && claim->pid == other->pid &&
           claim->port == other->port && claim->sighting->role == other->sighting->role &&
           claim->strange == other->strange && claim->probed == other->probed &&
           sighting_in_queue(claim->sighting) == sighting_in_queue(other->sighting) &&
           sighting_end_unread(claim->sighting) == sighting_end_unread(other->sighting);
}

static void claim_of(struct wrong *wrong, enum finding_kind kind, enum certainty certainty,
                     const struct sighting *sighting, int pid, bool strange) {
    const struct claim new = {.strange = strange,
                              .probed = is_probed(sighting),
                              .kind = kind,
                              .certainty = certainty,
                              .sighting = sighting,
                              .pid = pid,
                              .port = port_of(sighting),
                              .youngest_ms = sighting_in_state_ms(sighting)};
    if (!is_still_so(wrong, sighting))
        return;
    for (size_t i = 0; i < wrong->count; i++)
        if (is_alike(&wrong->claims[i], &new)) {
            wrong->claims[i].more++;
            wrong->claims[i].youngest_ms = new.youngest_ms;
            return;
        }
    *GROW(wrong->claims, wrong->count, wrong->room) = new;
}

static void list_half_closed(struct wrong *wrong) {
    for (size_t i = 0; i < wrong->world->count; i++)
        if (is_half_closed(&wrong->world->list[i]) && wrong->world->list[i].holding != NOBODY)
            *GROW(wrong->half_closed, wrong->half_closed_count, wrong->half_closed_room) = (uint32_t)i;
}

static void claim(struct wrong *wrong, enum finding_kind kind, enum certainty certainty,
                  const struct sighting *sighting, int pid) {
    claim_of(wrong, kind, certainty, sighting, pid, false);
}

/* One was accepted, the other made for it. */
static bool may_be_relayed(const struct sighting *one, const struct sighting *other) {
    return one->role == ROLE_UNKNOWN || other->role == ROLE_UNKNOWN || one->role != other->role;
}

/*
 * A relay passes the end on: it shuts its own connection down at that moment, and waits for the end of that one's peer.
 * So both have been in their states for as long. maybe: it has others, of which
 * one may have been shut down for this.
 */
static bool is_passed_on(struct wrong *wrong, const struct sighting *sighting, bool *maybe) {
    uint64_t nearest_ms = 2000;
    bool *excused = NULL;
    *maybe = false;
    for (size_t i = 0; i < wrong->half_closed_count; i++) {
        const struct sighting *other = &wrong->world->list[wrong->half_closed[i]];
        const uint64_t own_ms = sighting_in_state_ms(sighting), others_ms = sighting_in_state_ms(other);
        const uint64_t apart_ms = own_ms > others_ms ? own_ms - others_ms : others_ms - own_ms;
        bool *used = &wrong->excused[other - wrong->world->list];
        if (other->peer == sighting - wrong->world->list || !may_be_relayed(sighting, other) ||
            !holds(wrong->world, sighting, holder_process(wrong->world, other)->pid))
            continue;
        *maybe = true;
        if (*used || apart_ms >= nearest_ms)
            continue;
        nearest_ms = apart_ms;
        excused = used;
    }
    if (excused)
        *excused = true;
    return excused != NULL;
}

static bool has_stood_long(const struct sighting *sighting) {
    return sighting->has_info && sighting_idle_ms(sighting) >= long_ms && sighting_in_state_ms(sighting) >= long_ms;
}

static int listener_pid(const struct world *world, const struct sighting *sighting) {
    const struct onlooker *process =
        sighting->listener == NOBODY ? NULL : holder_process(world, &world->list[sighting->listener]);
    return process ? process->pid : 0;
}

/* Where the peer's end is here and has had the FIN for as long, the fault is there. */
static void look_at_half_closed(struct wrong *wrong, const struct sighting *sighting) {
    const struct onlooker *process = holder_process(wrong->world, sighting);
    const size_t place = (size_t)(sighting - wrong->world->list);
    const bool both = (sighting->shut & (SHUT_READING | SHUT_WRITING)) == (SHUT_READING | SHUT_WRITING);
    if (sighting->state != STATE_FIN_WAIT2 || !sighting->inode || !has_stood_long(sighting) || wrong->excused[place] ||
        !process || (sighting->peer != NOBODY && !both))
        return;
    claim(wrong, FINDING_NEVER_CLOSED, both ? CERTAIN : POSSIBLE, sighting, process->pid);
}

static bool runs_same_program(struct wrong *wrong, int pid, int server) {
    if (wrong->program_of != pid || wrong->server != server)
        wrong->same = same_program(pid, server);
    wrong->program_of = pid;
    wrong->server = server;
    return wrong->same;
}

/* Nobody is asked too often: a process that holds thousands is looked at for some of them. */
static bool waits_for_nothing(struct wrong *wrong, int pid, int fd) {
    enum { QUESTIONS_MAX = 512 };
    return wrong->questions++ < QUESTIONS_MAX && fd > STDERR_FILENO && !closes_on_exec(pid, fd) &&
           interest_of(pid, fd) == INTEREST_NONE;
}

/*
 * Somebody came by it without meaning to: he stands on a number that an exec left open, waits for nothing on it, and
 * runs another program than who listens there, who has it no more.
 */
static bool is_strangers(struct wrong *wrong, const struct sighting *sighting) {
    const struct world *world = wrong->world;
    const int server = listener_pid(world, sighting);
    if (server == 0 || holds(world, sighting, server))
        return false;
    for (int32_t at = sighting->holding; at != NOBODY; at = world->holdings[at].next) {
        const struct holding *holding = &world->holdings[at];
        const int pid = world->processes[holding->process].pid;
        if (runs_same_program(wrong, pid, server) || !waits_for_nothing(wrong, pid, holding->fd))
            return false;
    }
    return sighting->holding != NOBODY;
}

static void look_at_close_wait(struct wrong *wrong, const struct sighting *sighting) {
    const struct onlooker *process = holder_process(wrong->world, sighting);
    bool maybe = false;
    const bool probed = is_probed(sighting);
    if (sighting->state != STATE_CLOSE_WAIT || !(has_stood_long(sighting) || probed))
        return;
    if (process && is_passed_on(wrong, sighting, &maybe))
        return;
    claim_of(wrong, FINDING_CLOSE_WAIT, maybe || probed ? POSSIBLE : CERTAIN, sighting,
             process ? process->pid : listener_pid(wrong->world, sighting), process && is_strangers(wrong, sighting));
}

static void look_at_held(struct wrong *wrong, const struct sighting *sighting) {
    enum { HELD_MS = 1000 };
    if (sighting->state == STATE_ESTABLISHED && sighting->role == ROLE_SERVER && sighting->has_info &&
        sighting_idle_ms(sighting) >= HELD_MS && is_strangers(wrong, sighting))
        claim(wrong, FINDING_FIN_WITHHELD, POSSIBLE, sighting, holder_process(wrong->world, sighting)->pid);
}

static bool serves_somebody(const struct world *world, const struct sighting *listener) {
    for (size_t i = 0; i < world->count; i++)
        if (world->list[i].listener == listener - world->list && world->list[i].inode != 0)
            return true;
    return false;
}

/* Each holder is asleep, and none in accept() or with it in a set; and nobody serves a connection that came here. */
static bool is_deserted(struct wrong *wrong, const struct sighting *sighting) {
    const struct world *world = wrong->world;
    for (int32_t at = sighting->holding; at != NOBODY; at = world->holdings[at].next)
        if (!waits_for_nothing(wrong, world->processes[world->holdings[at].process].pid, world->holdings[at].fd))
            return false;
    return sighting->holding != NOBODY && !serves_somebody(world, sighting);
}

static void look_at_listener(struct wrong *wrong, const struct sighting *sighting) {
    if (sighting->state != STATE_LISTEN || sighting->holding == NOBODY)
        return;
    const int pid = holder_process(wrong->world, sighting)->pid;
    if (is_deserted(wrong, sighting))
        claim(wrong, FINDING_PORT_HELD, POSSIBLE, sighting, pid);
    else if (sighting->receive_queue > sighting->send_queue)
        claim(wrong, FINDING_QUEUE_FULL, NOTE, sighting, pid);
}

/* The words. */

struct telling {
    struct wrong *wrong;
    struct analysis *analysis;
    struct finding *finding;
    const struct claim *claim;
    char holders[HOLDERS_TEXT_SIZE];
};

#define SAY(telling, ...) finding_say((telling)->analysis, (telling)->finding, __VA_ARGS__)

static const char *time_words(uint64_t milliseconds) {
    static char texts[2][DURATION_TEXT_SIZE];
    static unsigned turn;
    return duration_text(milliseconds, texts[turn++ % 2]);
}

static void say_more(struct telling *telling) {
    const struct claim *claim = telling->claim;
    if (claim->more > 0)
        SAY(telling, "%u more like this, the most recent for %s", claim->more, time_words(claim->youngest_ms));
}

static void say_next_in_program(struct telling *telling, const char *what) {
    char command[COMMAND_LINE_SIZE];
    const int pid = telling->claim->pid;
    SAY(telling,
        "next: gdb -p %d (thread apply all bt) shows what it is doing instead; %s cannot be seen from outside: "
        "use closetrace run -- %s",
        pid, what, command_line(pid, command));
}

static void say_next_of_stranger(struct telling *telling) {
    SAY(telling,
        "next: when %d ends, the connection ends; a close-on-exec file descriptor (SOCK_CLOEXEC, accept4) is not "
        "passed on to another program",
        telling->claim->pid);
}

/* Others who have it too: to close one descriptor is not enough. */
static void say_others(struct telling *telling) {
    const struct sighting *sighting = telling->claim->sighting;
    if (sighting->holders > 1)
        SAY(telling, "%u file descriptors hold it (%s): it ends when the last one is closed", sighting->holders,
            telling->holders);
}

static void say_close_wait_in_queue(struct telling *telling) {
    const struct sighting *sighting = telling->claim->sighting;
    char listener[HOLDERS_TEXT_SIZE] = "nobody that can be seen";
    if (sighting->listener != NOBODY)
        holders_text(telling->wrong->world, &telling->wrong->world->list[sighting->listener], listener);
    SAY(telling,
        "the client gave up at least %s ago, and nobody has accepted the connection: it is waiting in the accept "
        "queue of the listener held by %s",
        time_words(sighting_in_state_ms(sighting)), listener);
    say_more(telling);
    if (telling->claim->pid)
        SAY(telling, "next: gdb -p %d (thread apply all bt) shows why it is not accepting", telling->claim->pid);
}

static void say_close_wait(struct telling *telling) {
    const struct sighting *sighting = telling->claim->sighting;
    if (sighting_in_queue(sighting)) {
        say_close_wait_in_queue(telling);
        return;
    }
    SAY(telling, "the peer ended at least %s ago, and is waiting for a close by %s; no data has moved for %s",
        time_words(sighting_in_state_ms(sighting)), telling->holders, time_words(sighting_idle_ms(sighting)));
    if (telling->claim->strange)
        SAY(telling,
            "that process is not waiting for it: an exec left it open there, and the process that listens on that "
            "port no longer has it");
    else if (!sighting_end_unread(sighting))
        SAY(telling, "the program has read the end (read() returned 0), but has not closed");
    else if (sighting_unread(sighting) > 0)
        SAY(telling, "%llu bytes before the end are unread; a close now would send an RST",
            (unsigned long long)sighting_unread(sighting));
    else
        SAY(telling, "the program has not read as far as the end: it is not looking at this connection");
    if (telling->claim->probed)
        SAY(telling, "keepalive probes hide for how long: no data has moved for long, but the peer may have ended only "
                     "just now; look again, or use closetrace now -f");
    else if (telling->claim->certainty == POSSIBLE)
        SAY(telling,
            "the process has half-closed connections of its own; whether it is waiting there on behalf of this "
            "one cannot be seen");
    say_more(telling);
    say_others(telling);
    if (telling->claim->strange)
        say_next_of_stranger(telling);
    else if (telling->claim->pid)
        say_next_in_program(telling, "which code should close");
}

static void say_never_closed(struct telling *telling) {
    const struct sighting *sighting = telling->claim->sighting;
    const bool both = telling->claim->certainty == CERTAIN;
    SAY(telling,
        "%s shut it down (%s), the peer has known for at least %s, and it has been open without traffic for %s",
        telling->holders, both ? "SHUT_RDWR" : "SHUT_WR", time_words(sighting_in_state_ms(sighting)),
        time_words(sighting_idle_ms(sighting)));
    if (!both)
        SAY(telling, "whether it is still waiting for its peer's end cannot be seen");
    say_more(telling);
    say_others(telling);
    say_next_in_program(telling, "which code should close");
}

static void say_fin_withheld(struct telling *telling) {
    const struct world *world = telling->wrong->world;
    const struct sighting *sighting = telling->claim->sighting;
    char server[HOLDERS_TEXT_SIZE];
    holders_text(world, &world->list[sighting->listener], server);
    SAY(telling,
        "%s holds it, but is not waiting for it; the server there, %s, no longer has it: its FIN has not been "
        "sent",
        telling->holders, server);
    SAY(telling, "whether %d is meant to work on it cannot be seen; no data has moved for %s", telling->claim->pid,
        time_words(sighting_idle_ms(sighting)));
    say_more(telling);
    SAY(telling,
        "next: when %d ends, the FIN is sent; a close-on-exec file descriptor (SOCK_CLOEXEC, accept4) is not "
        "passed on to another program",
        telling->claim->pid);
}

static void say_port_held(struct telling *telling) {
    const struct sighting *sighting = telling->claim->sighting;
    SAY(telling, "the port is open, but %s, which %s it, is not accepting: it is asleep elsewhere", telling->holders,
        sighting->holders > 1 ? "hold" : "holds");
    if (sighting->receive_queue > 0)
        SAY(telling, "%u connection%s in its accept queue, established by the kernel but served by nobody",
            sighting->receive_queue, sighting->receive_queue == 1 ? " is" : "s are");
    SAY(telling, "whether it will accept later cannot be seen");
    SAY(telling,
        "next: when %d ends, the port is free; a close-on-exec listener (SOCK_CLOEXEC) is not passed on to another "
        "program",
        telling->claim->pid);
}

static void say_queue_full(struct telling *telling) {
    const struct sighting *sighting = telling->claim->sighting;
    SAY(telling,
        "%u connection%s waiting to be accepted by %s, and the accept queue (listen(%u)) is full: new clients hang",
        sighting->receive_queue, sighting->receive_queue == 1 ? " is" : "s are", telling->holders,
        sighting->send_queue);
    SAY(telling, "next: gdb -p %d (thread apply all bt) shows why it is not accepting", telling->claim->pid);
}

static void tell(struct wrong *wrong, struct analysis *analysis, const struct claim *claim) {
    struct telling telling = {.wrong = wrong, .analysis = analysis, .claim = claim};
    struct event event;
    sighting_event(wrong->world, claim->sighting, OP_NOW, &event);
    struct endpoint *endpoint = store_endpoint(analysis, &event);
    endpoint->local = event.local;
    endpoint->remote = event.remote;
    endpoint->role = event.role;
    endpoint->listened = claim->sighting->state == STATE_LISTEN;
    holders_text(wrong->world, claim->sighting, telling.holders);
    telling.finding = finding_add(analysis, claim->kind, claim->certainty, endpoint, &event);
    if (claim->kind == FINDING_CLOSE_WAIT)
        say_close_wait(&telling);
    else if (claim->kind == FINDING_NEVER_CLOSED)
        say_never_closed(&telling);
    else if (claim->kind == FINDING_FIN_WITHHELD)
        say_fin_withheld(&telling);
    else if (claim->kind == FINDING_PORT_HELD)
        say_port_held(&telling);
    else
        say_queue_full(&telling);
}

struct analysis *wrong_find(struct world *world, const struct sighting *const *rows, size_t count) {
    struct analysis *analysis = analysis_new();
    struct wrong wrong = {.world = world, .scratch = scratch_take(), .excused = zeroed(world->count + 1, sizeof(bool))};
    list_half_closed(&wrong);
    for (size_t i = 0; i < count && wrong.scratch; i++)
        look_at_close_wait(&wrong, rows[i]);
    for (size_t i = 0; i < count && wrong.scratch; i++) {
        look_at_half_closed(&wrong, rows[i]);
        look_at_held(&wrong, rows[i]);
        look_at_listener(&wrong, rows[i]);
    }
    /* The list is from the last to the first. */
    for (size_t i = wrong.count; i > 0; i--)
        tell(&wrong, analysis, &wrong.claims[i - 1]);
    if (wrong.scratch)
        scratch_give(wrong.scratch);
    free(wrong.claims);
    free(wrong.excused);
    free(wrong.half_closed);
    return analysis;
}
