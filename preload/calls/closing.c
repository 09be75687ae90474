#define _GNU_SOURCE
#include "closing.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "ending.h"
#include "refs/end_claims.h"
#include "kernel/sock_diag.h"
#include "faults/fault.h"
#include "refs/fds_in_flight.h"
#include "refs/ledger.h"
#include "kernel/process.h"
#include "kernel/stop.h"
#include "refs/references.h"
#include "late_release.h"
#include "kernel/seccomp_guard.h"
#include "session/session.h"
#include "refs/fd_table.h"

static void look_before(struct closing *closing) {
    OWN_SCRATCH *scratch = scratch_take();
    if (scratch) {
        closing->can_ask =
            log_settings.verify && diag_prepare(&closing->identity, closing->standing.before.state, scratch);
        standing_count_unread(&closing->identity, &closing->standing, scratch);
        standing_look_at_peer(&closing->identity, &closing->standing, scratch);
    }
    enum tcp_state state = closing->standing.before.state;
    /* Once the connection is over the kernel's answer does not say whether others hold the socket. */
    struct ledger_counts counts;
    bool shared = ledger_count(closing->identity.cookie, &counts) && counts.staying > 1;
    if (shared || !closing->can_ask || state == STATE_CLOSE || state == STATE_UNSET)
        closing->inode = socket_inode(closing->fd);
}

/* Linger times, which count before the close; whoever sees it stand so, sees it with them. */
static void set_lingering(const struct closing *closing) {
    const struct rule *rule = closing->call.rule;
    if (fault_has(&closing->call, PART_LINGER)) {
        struct linger linger = {.l_onoff = 1, .l_linger = rule->linger};
        socket_option_set(SOL_SOCKET, SO_LINGER);
        probe(SYS_setsockopt, closing->fd, SOL_SOCKET, SO_LINGER, (long)&linger, sizeof linger, 0);
    }
    if (fault_has(&closing->call, PART_LINGER2)) {
        socket_option_set(IPPROTO_TCP, TCP_LINGER2);
        probe(SYS_setsockopt, closing->fd, IPPROTO_TCP, TCP_LINGER2, (long)&rule->linger2, sizeof rule->linger2, 0);
    }
}

/* While it waited anything may have happened to the number: the call is made on what stands there now. */
static bool close_meets_rules(struct closing *closing) {
    struct fault_subject subject = {
        .family = RULE_CLOSE, .call = &closing->call, .fd = closing->fd, .how = -1, .identity = &closing->identity};
    if (!fault_meets(&subject))
        return true;
    if (!table_find(closing->fd, true, &closing->identity))
        return false;
    set_lingering(closing);
    return true;
}

/* Just before the call. */
static void convert_close(struct closing *closing) {
    const struct rule *rule = closing->call.rule;
    switch (fault_way(&closing->call)) {
    case WAY_HOLD:
    case WAY_SHUT_RD:
    case WAY_SHUT_WR:
    case WAY_SHUT_RDWR:
        closing->parked = park_keep(closing->fd, &closing->identity, rule);
        if (closing->parked.place < 0)
            fault_failed(&closing->call, closing->parked.refusal);
        break;
    case WAY_RST:
        closing->is_reset = socket_disconnect(closing->fd);
        if (!closing->is_reset)
            fault_failed(&closing->call, "the kernel refused to reset it");
        break;
    default:
        closing->stays = rule->as == WAY_NONE || rule_has(rule, PART_RETVAL);
        break;
    }
}

static void prepare(struct closing *closing, int fd) {
    memset(closing, 0, sizeof *closing);
    closing->fd = fd;
    closing->parked.place = -1;
    closing->gives_up = 1;
}

static void look_at_socket(struct closing *closing) {
    STOP("closing: found, not looked");
    closing->watched = log_wants_of(&closing->call, TRACE_END);
    if (!closing->watched)
        return;
    ledger_expect(closing->identity.cookie);
    claims_expect(closing->identity.cookie);
    standing_of(closing->fd, &closing->identity, true, &closing->standing);
    look_before(closing);
    end_drop_stale(closing->fd, closing->identity.cookie);
}

/* It is about to be given up. False: another thread has closed the number meanwhile. */
static bool leave(struct closing *closing) {
    STOP("closing: looked, not left");
    if (table_closing(closing->fd, &closing->identity, &closing->ticket)) {
        atomic_fetch_add(&process_counters()->closing, 1);
        STOP("closing: left, not closed");
        return true;
    }
    if (closing->parked.place >= 0)
        park_give_up(&closing->parked);
    return false;
}

bool closing_entering(struct closing *closing, int fd, const char *name, const void *caller) {
    prepare(closing, fd);
    bool tcp = table_find(fd, true, &closing->identity);
    if (tcp) {
        closing->call = call_entering(name, caller);
        if (fault_armed(RULE_CLOSE))
            tcp = close_meets_rules(closing);
    }
    if (tcp) {
        look_at_socket(closing);
        if (closing->call.rule)
            convert_close(closing);
        if (!closing->stays)
            tcp = leave(closing);
    }
    return tcp;
}

bool closing_entering_of(struct closing *closing, int fd, const struct call *call) {
    prepare(closing, fd);
    bool tcp = table_find(fd, true, &closing->identity);
    if (tcp) {
        closing->call = *call;
        look_at_socket(closing);
        tcp = leave(closing);
    }
    return tcp;
}

bool closing_entering_aside(struct closing *closing, int fd, const char *name, const void *caller) {
    struct call call = call_entering(name, caller);
    return closing_entering_of(closing, fd, &call);
}

void closing_cancelled(struct closing *closing) {
    atomic_fetch_sub(&process_counters()->closing, 1);
    if (closing->parked.place >= 0)
        park_give_up(&closing->parked);
    table_stays(closing->fd, &closing->identity, closing->ticket);
}

static bool is_attached(const struct diag_answer *answer) {
    return answer->found && answer->inode != 0;
}

/* One without a file that is found in CLOSE is just making place for its TIME_WAIT entry. */
static void ask_kernel(const struct closing *closing, struct scratch *scratch, struct diag_answer *answer) {
    enum { TIMES = 3 };
    memset(answer, 0, sizeof *answer);
    for (int i = 0; i < TIMES && closing->can_ask; i++) {
        diag_look_up(&closing->identity, scratch, answer);
        if (!answer->found || is_attached(answer) || answer->state != STATE_CLOSE)
            break;
    }
}

/* What the ledger said of the others when we had left. */
struct expected {
    bool answered;
    struct ledger_counts others;
};

static bool has_others(const struct closing *closing, const struct expected *expected) {
    struct ledger_cursor cursor = {0};
    struct ledger_reference other;
    if (expected->answered)
        return expected->others.staying || expected->others.leaving;
    return ledger_next(closing->identity.cookie, &cursor, &other);
}

/* Whether others who tell of their part have it, or closed it lately: then one of us has to claim the end. */
static bool others_take_part(const struct closing *closing, const struct expected *expected) {
    struct release_place place = {0};
    if (has_others(closing, expected))
        return true;
    while (release_next_place(closing->identity.cookie, &place))
        if (place.pid != process_id() || place.fd != closing->fd)
            return true;
    return false;
}

static void nobody_is_left(struct references *references) {
    memset(references, 0, sizeof *references);
    references->known = true;
}

static void count_others(const struct closing *closing, uint64_t inode, struct scratch *scratch,
                         struct references *references) {
    references_count(inode, closing->identity.cookie, scratch, references);
    references_leave_out(references, closing->fd);
    references_look_at_calls(closing->identity.cookie, false, scratch, references);
}

static bool only_leavers(const struct references *references) {
    return references->row.leaving && !references_total(references) && !references->calls;
}

/*
 * All who are found are about to end, or to exec: they have counted before we left, and rely on us, or will find that
 * nobody stays. Whoever has not claimed the end by then takes it. They are waited for a moment, so that the kernel can
 * confirm it.
 */
static void await_leavers(const struct closing *closing, uint64_t inode, struct scratch *scratch,
                          struct diag_answer *answer, struct references *references) {
    enum { TURNS = 20 };
    const struct timespec moment = {.tv_nsec = 100000};
    struct claimant whose;
    for (int turn = 0; turn < TURNS && only_leavers(references); turn++) {
        if (claims_taken(closing->identity.cookie, CLAIM_END, &whose)) {
            search_row_name(&references->row, whose.pid, whose.fd, false);
            return;
        }
        probe(SYS_nanosleep, (long)&moment, 0, 0, 0, 0, 0);
        ask_kernel(closing, scratch, answer);
        if (!is_attached(answer)) {
            nobody_is_left(references);
            return;
        }
        count_others(closing, inode, scratch, references);
    }
    if (only_leavers(references)) {
        answer->asked = false; /* what they let go of last it cannot say yet */
        nobody_is_left(references);
    }
}

/*
 * The ledger knows of nobody, or nobody is there. A holder may let go between the kernel's answer and our search, which
 * then finds nobody: it held when the call came back all the same, and the FIN is its end's. If it is one of ours who
 * has counted on us, the later answer counts, and one of us claims the end. (So too where what the kernel saw was but
 * another closer's look at us: who looks at a descriptor in /proc refers to its file for that moment.) Threads that
 * tell of their calls come second: there may be a descriptor that came past the ledger, by a raw system call.
 */
static void search_for_holder(const struct closing *closing, uint64_t inode, bool ours, struct scratch *scratch,
                              struct diag_answer *answer, struct references *references) {
    enum { ROUNDS = 3 };
    const uint64_t cookie = closing->identity.cookie;
    const bool from_ledger = references->from_ledger; /* all that have it are ours, or a thread of ours was in a call */
    for (int round = 0; round < ROUNDS && !references_total(references); round++) {
        if (round > 0 || references->from_ledger)
            references_search(inode, cookie, scratch, references);
        references_leave_out(references, closing->fd);
        if (references_total(references) || references->row.leaving)
            return;
        references_look_at_told_calls(cookie, false, references);
        if (references->calls || references->row.leaving)
            return;
        struct diag_answer again;
        ask_kernel(closing, scratch, &again);
        references->came_too_late = !is_attached(&again);
        if (references->came_too_late && (ours || from_ledger)) {
            *answer = again;
            nobody_is_left(references);
            return;
        }
        if (references->came_too_late)
            break;
        references_look_closer(cookie, round == ROUNDS - 1, scratch, references);
        if (references->calls || references->in_flight || references->row.leaving)
            return;
    }
    references_prove_one(references);
}

/*
 * Who holds it, if the kernel says that somebody does or cannot say. ours: others who tell of their part had it when we
 * left.
 */
static void find_references(const struct closing *closing, bool ours, struct scratch *scratch,
                            struct diag_answer *answer, struct references *references) {
    memset(references, 0, sizeof *references);
    references->known = answer->asked && !is_attached(answer);
    uint64_t inode = is_attached(answer) ? answer->inode : closing->inode;
    /* One that is over may be held all the same; of any other the kernel has said it. */
    bool over = !answer->found || answer->state == STATE_TIME_WAIT;
    if (references->known && (!over || !closing->inode))
        return;
    count_others(closing, inode, scratch, references);
    bool unknown = is_attached(answer) && !references_total(references) && !references->row.leaving;
    if (unknown && !references->calls)
        search_for_holder(closing, inode, ours, scratch, answer, references);
    if (is_attached(answer) && only_leavers(references))
        await_leavers(closing, inode, scratch, answer, references);
}

static struct after after_of(const struct diag_answer *answer) {
    return (struct after){
        .asked = answer->asked,
        .found = answer->found,
        .state = answer->state,
        .attached = is_attached(answer),
        .fin_unsent = answer->fin_unsent,
    };
}

/*
 * A FIN from ESTABLISHED leaves something behind. Where nothing is found the peer's end may tell; or the socket was
 * just making place for its TIME_WAIT entry, and is found when looked for once more.
 */
static void ask_again(const struct closing *closing, struct scratch *scratch, struct after *after) {
    enum { TIMES = 3 };
    const struct before *before = &closing->standing.before;
    bool expected = (before->state == STATE_ESTABLISHED || before->state == STATE_SYN_RECV) && !before->unread &&
                    !before->linger_zero && !before->linger2_negative && !before->repair;
    for (int i = 0; i < TIMES && expected && after->asked && !after->found && !after->peer_known; i++) {
        struct diag_answer answer, peer;
        diag_look_up_peer(&closing->identity, scratch, &peer);
        ask_kernel(closing, scratch, &answer);
        *after = after_of(&answer);
        after->peer_known = peer.asked && peer.found;
        after->peer_state = peer.state;
    }
}

static bool has_place_among_connections(const struct closing *closing) {
    return closing->standing.before.state != STATE_CLOSE && closing->standing.before.state != STATE_UNSET;
}

static void socket_over(uint64_t cookie) {
    ledger_over(cookie);
    if (flight_any())
        flight_over(cookie);
}

/*
 * What the kernel's answer means for the ledger: it forgets a socket that is over, and answers no more for one that
 * has holders it did not know. True: it was wrong.
 */
static bool correct_ledger(const struct closing *closing, const struct expected *expected,
                           const struct diag_answer *answer, const struct references *references) {
    bool asked = answer->asked && has_place_among_connections(closing) && !references->row.leaving;
    bool over = !answer->found || answer->state == STATE_TIME_WAIT; /* though it may be held */
    bool held = is_attached(answer) || (over && references_total(references) > 0);
    bool wrong = asked && expected->answered && (expected->others.staying > 0) != held;
    if (references->known && references_total(references) == 0 && !is_attached(answer))
        socket_over(closing->identity.cookie);
    else if (wrong)
        ledger_escaped(closing->identity.cookie);
    return wrong;
}

/* Whether the verdict says that this call ended the stream, or those in the listener's queue. */
static bool claims_the_end(const struct closing *closing, const struct references *references,
                           const struct after *after, const struct verdict *verdict) {
    if (verdict->why == WHY_LISTENING)
        return closing->standing.before.pending && !references_total(references) && !after->attached;
    return verdict_claims_end(verdict);
}

/* Of a socket without a descriptor nobody sees whether its linger time is 0: what left may have been an RST. */
static bool may_linger_unseen(const struct closing *closing, const struct after *after) {
    return closing->fd < 0 && !after->found && atomic_load(socket_odd_options);
}

/* What a fault rule made of it: it was shut down, or reset; or nothing but a close. */
static struct verdict decide(const struct closing *closing, struct remaining *remaining, struct after *after) {
    const struct before *before = &closing->standing.before;
    enum rule_way way = fault_way(&closing->call);
    remaining->parked = closing->parked.place >= 0;
    if (closing->is_reset)
        return verdict_decide(ENDING_DISCONNECT, 0, before, remaining, after);
    if (!remaining->parked || (way != WAY_SHUT_WR && way != WAY_SHUT_RDWR))
        return verdict_decide(ENDING_RELEASE, 0, before, remaining, after);
    struct standing now;
    *after = (struct after){0};
    if (log_settings.verify && socket_stand(closing->parked.fd, closing->identity.role, false, &now))
        *after = (struct after){.asked = true,
                                .found = true,
                                .attached = true,
                                .state = now.before.state,
                                .fin_unsent = now.before.fin_unsent};
    return verdict_decide(ENDING_SHUTDOWN, rule_way_how(way), before, remaining, after);
}

static struct event *close_event(const struct closing *closing, enum event_op op, const struct verdict *verdict,
                                 long result, int error, struct scratch *scratch) {
    struct event *event = log_event(scratch, op, &closing->call);
    event_set_socket(event, closing->fd, &closing->identity);
    if (op != OP_RELEASE) /* of which the program sees nothing */
        fault_set_result(event, &closing->call, result, error);
    event_set_standing(event, &closing->standing);
    if (!closing->standing.known && closing->standing.before.state != STATE_UNSET) {
        event->state_before = closing->standing.before.state;
        event->has |= HAS_UNREAD;
        event->unread = closing->standing.before.unread;
    }
    event_set_verdict(event, verdict);
    return event;
}

/* Threads that are inside calls on it will let go of it. */
static void expect_releases(const struct closing *closing, const struct references *references) {
    const struct pending_release what = {.fd = closing->fd,
                                         .inode = references->row.inode,
                                         .shared = references->calls > 1,
                                         .before = closing->standing.before,
                                         .identity = closing->identity};
    for (unsigned i = 0; i < references->calls; i++)
        release_expect(&what, &references->call[i]);
}

/* Whether a program may have it that shares nothing with this one: it came from there, or went there. */
static bool strangers_may_have(const struct identity *identity) {
    return identity->role == ROLE_UNKNOWN || flight_met_strangers();
}

/* It knows all who have the connection: it did when we left, and nobody has become a stranger since. */
__attribute__((noinline)) static bool ledger_answers(uint64_t cookie) {
    struct ledger_counts counts;
    return ledger_count(cookie, &counts);
}

/* Above a millisecond a stranger may have ended the connection since the call returned. */
static void note_delay(const struct closing *closing, bool all_known, uint64_t answer_us, struct event *event) {
    enum { LONG_US = 1000 };
    const bool ended = event->fin == FIN_RESET || event->why == WHY_LAST_REFERENCE;
    if (answer_us <= closing->call.done + LONG_US)
        return;
    event->has |= HAS_ASKED_AFTER;
    event->asked_after_us = answer_us - closing->call.done;
    event->verified = event->verified && (all_known || !ended || !strangers_may_have(&closing->identity));
}

static void report_close(struct closing *closing, enum event_op op, long result, int error, struct scratch *scratch) {
    struct diag_answer answer;
    struct references references;
    struct expected expected;
    expected.answered = ledger_count(closing->identity.cookie, &expected.others);
    bool ours = others_take_part(closing, &expected);
    session_expect_event();
    STOP("closing: closed, not asked");
    ask_kernel(closing, scratch, &answer);
    uint64_t answer_us = clock_now();
    STOP("closing: asked, not counted");
    find_references(closing, ours, scratch, &answer, &references);
    if (!is_attached(&answer))
        answer_us = clock_now(); /* it may have been asked again */
    const bool all_known = expected.answered && ledger_answers(closing->identity.cookie);
    bool ledger_wrong = correct_ledger(closing, &expected, &answer, &references);
    struct after after = after_of(&answer);
    ask_again(closing, scratch, &after);
    struct remaining remaining = references_remaining(&references);
    struct verdict verdict = decide(closing, &remaining, &after);
    verdict.verified = verdict.verified && !may_linger_unseen(closing, &after);
    if (claims_the_end(closing, &references, &after, &verdict)) {
        STOP("closing: judged, not claimed");
        end_give_way(closing->fd, closing->identity.cookie, &references, &verdict);
    }
    struct event *event = close_event(closing, op, &verdict, result, error, scratch);
    event->state_after = after.found ? after.state : after.asked ? STATE_CLOSE : STATE_UNSET;
    if (after.asked)
        note_delay(closing, all_known, answer_us, event);
    /* The parked one takes its place. */
    references_note(&references, closing->parked.place >= 0 ? 0 : (int)closing->gives_up, event);
    if (verdict.why == WHY_LISTENING) {
        event->has |= HAS_PENDING;
        event->pending = references_total(&references) || after.attached ? 0 : closing->standing.before.pending;
    }
    if (verdict.why == WHY_LISTENING && (after.attached || references_total(&references)))
        references_name_holders(&references, event);
    if (verdict.fin == FIN_WITHHELD) {
        references_name_holders(&references, event);
        if (closing->standing.used)
            table_mark_seen(closing->identity.cookie, SEEN_USE); /* another descriptor of this process may be left */
    }
    STOP("closing: found a call, does not expect it");
    expect_releases(closing, &references);
    if (verdict.contradicted || ledger_wrong)
        atomic_fetch_add(&process_counters()->contradicted, 1);
    log_emit(scratch);
    for (unsigned i = 0; i < references.calls; i++)
        release_catch_up(&closing->identity, &references.call[i], &closing->call);
}

/* The call was not made: the descriptor is there still. */
static void report_stay(struct closing *closing, struct scratch *scratch) {
    struct references references;
    references_count(socket_inode(closing->fd), closing->identity.cookie, scratch, &references);
    struct remaining remaining = references_remaining(&references);
    remaining.known = remaining.parked = true;
    struct verdict verdict = verdict_predict(ENDING_RELEASE, 0, &closing->standing.before, &remaining);
    verdict.verified = log_settings.verify;
    struct event *event = close_event(closing, OP_CLOSE, &verdict, 0, 0, scratch);
    references_note(&references, 0, event);
    event->state_after = closing->standing.before.state;
    if (verdict.fin == FIN_WITHHELD)
        references_name_holders(&references, event);
    log_emit(scratch);
}

/* EBADF: another thread had closed it meanwhile, and tells of it itself. */
static bool was_gone(long result, int error) {
    return result == -1 && error == EBADF;
}

/* The connection lives on, shut down if it was to be. */
static void live_on(struct closing *closing) {
    enum rule_way way = closing->call.rule->as;
    if (way != WAY_HOLD)
        probe(SYS_shutdown, closing->parked.fd, rule_way_how(way), 0, 0, 0, 0);
}

static void tell_of_close(struct closing *closing, long result, int error) {
    OWN_SCRATCH *scratch = log_scratch();
    if (!scratch)
        return;
    if (closing->stays)
        report_stay(closing, scratch);
    else
        report_close(closing, OP_CLOSE, result, error, scratch);
}

/*
 * Another has told of the descriptor that the call was about. It closed what has come to stand there since, if that is
 * gone now: then that is what it is about, and nothing was seen of it before.
 */
static bool turn_to_another(struct closing *closing) {
    memset(&closing->standing, 0, sizeof closing->standing);
    closing->inode = 0;
    if (!table_closed_since(closing->fd, &closing->identity))
        return false;
    OWN_SCRATCH *scratch = scratch_take();
    closing->can_ask = scratch && log_settings.verify && diag_prepare(&closing->identity, STATE_ESTABLISHED, scratch);
    return true;
}

/* Whether the call is the one that tells of what was closed. */
static bool settle_close(struct closing *closing, bool gone) {
    if (closing->stays)
        return true;
    if (gone) {
        table_was_gone(closing->fd, &closing->identity, closing->ticket);
        return false;
    }
    bool tells = table_closed(closing->fd, &closing->identity, closing->ticket) || turn_to_another(closing);
    release_closed(closing->identity.cookie, closing->fd);
    return tells;
}

long closing_exiting(struct closing *closing, long result, int error) {
    bool parked = closing->parked.place >= 0;
    closing->call.done = clock_now();
    STOP("closing: closed, not settled");
    bool tells = settle_close(closing, was_gone(result, error));
    if (parked && !tells)
        park_give_up(&closing->parked);
    else if (parked)
        live_on(closing);
    if (closing->watched && tells)
        tell_of_close(closing, result, error);
    if (parked && tells)
        park_begin(&closing->parked);
    if (!closing->stays)
        atomic_fetch_sub(&process_counters()->closing, 1);
    return fault_result(&closing->call, result);
}

void closing_release(int fd, const struct identity *identity, const struct call *call) {
    struct closing closing;
    prepare(&closing, fd);
    closing.identity = *identity;
    closing.call = *call;
    standing_of(fd, identity, true, &closing.standing);
    look_before(&closing);
    long result = probe(SYS_close, fd, 0, 0, 0, 0, 0);
    closing.call.done = clock_now();
    OWN_SCRATCH *scratch = log_scratch();
    if (scratch) {
        report_close(&closing, OP_RELEASE, result, 0, scratch);
    }
}

void closing_of_no_descriptor(struct closing *closing, const struct identity *identity,
                              const struct diag_answer *before) {
    struct before *stood = &closing->standing.before;
    bool has_fin = socket_peer_has_closed(before->state);
    prepare(closing, -1);
    closing->identity = *identity;
    closing->can_ask = true;
    closing->inode = before->inode;
    stood->state = before->state;
    stood->was_connected = before->state != STATE_LISTEN;
    stood->fin_unsent = before->fin_unsent;
    if (before->state == STATE_LISTEN)
        stood->pending = before->receive_queue;
    else
        stood->unread = before->receive_queue - (has_fin && before->receive_queue ? 1 : 0);
}

void closing_released(struct closing *closing, unsigned references) {
    OWN_SCRATCH *scratch = log_scratch();
    closing->gives_up = references;
    closing->call.done = clock_now();
    if (scratch)
        report_close(closing, OP_RELEASE, 0, 0, scratch);
}
