/* What Linux does when a TCP socket is ended, row by row: the verdict that each must lead to. */
#include "pure/verdict.h"

#include <errno.h>
#include <sys/socket.h>

#include "pure/names.h"
#include "unit.h"

/* What the kernel said. */
static const struct after NOT_ASKED = {0};
static const struct after NOT_FOUND = {.asked = true};

static struct after orphan(enum tcp_state state) {
    return (struct after){.asked = true, .found = true, .state = state};
}

static struct after attached(enum tcp_state state) {
    return (struct after){.asked = true, .found = true, .state = state, .attached = true};
}

static struct after fin_waits(struct after after) {
    after.fin_unsent = true;
    return after;
}

static struct after gone_with_peer(enum tcp_state peer) {
    return (struct after){.asked = true, .peer_known = true, .peer_state = peer};
}

/* Who is left. */
static const struct remaining UNKNOWN = {0};
static const struct remaining NOBODY = {.known = true};
static const struct remaining DUP = {.known = true, .descriptors = 1};
static const struct remaining SEEN = {.known = true, .descriptors = 1, .seen = true};
static const struct remaining CALL = {.known = true, .call_in_progress = true};
static const struct remaining FLYING = {.known = true, .in_flight = 1};
static const struct remaining PARKED = {.known = true, .parked = true};
static const struct remaining UNREADABLE = {.known = true, .partial = true};

static struct before in(enum tcp_state state) {
    return (struct before){.state = state, .was_connected = state != STATE_LISTEN && state != STATE_SYN_SENT};
}

static struct before with_unread(enum tcp_state state) {
    struct before before = in(state);
    before.unread = 5;
    return before;
}

static struct before with_linger_zero(enum tcp_state state) {
    struct before before = in(state);
    before.linger_zero = true;
    return before;
}

static struct before with_linger2(enum tcp_state state) {
    struct before before = in(state);
    before.linger2_negative = true;
    return before;
}

static struct before in_repair(void) {
    struct before before = in(STATE_ESTABLISHED);
    before.repair = true;
    before.unread = 5;
    return before;
}

static struct before shut_but_waiting(void) {
    struct before before = in(STATE_FIN_WAIT1);
    before.fin_unsent = true;
    return before;
}

static struct before closed_after_fin(void) {
    struct before before = in(STATE_CLOSE);
    before.fin_sent = true;
    return before;
}

static struct before dead_by(enum event_why death) {
    struct before before = in(STATE_CLOSE);
    before.death = death;
    return before;
}

static const struct before NEVER_CONNECTED = {.state = STATE_CLOSE};

enum { CONTRADICTED = true, AGREED = false };

static void check(int line, struct verdict verdict, enum event_fin fin, enum event_why why, bool verified,
                  bool contradicted) {
    if (verdict.fin != fin || verdict.why != why || verdict.verified != verified ||
        verdict.contradicted != contradicted)
        FAILED("line %d: is %s %s%s%s", line, fin_name(verdict.fin), why_name(verdict.why),
               verdict.verified ? " verified" : "", verdict.contradicted ? " contradicted" : "");
}

static void release(int line, struct before before, struct remaining remaining, struct after after, enum event_fin fin,
                    enum event_why why, bool verified, bool contradicted) {
    check(line, verdict_decide(ENDING_RELEASE, 0, &before, &remaining, &after), fin, why, verified, contradicted);
}

static void shutting(int line, int how, struct before before, struct after after, enum event_fin fin,
                     enum event_why why, bool verified) {
    check(line, verdict_decide(ENDING_SHUTDOWN, how, &before, &UNKNOWN, &after), fin, why, verified, AGREED);
}

static void disconnecting(int line, struct before before, struct after after, enum event_fin fin, enum event_why why,
                          bool verified) {
    check(line, verdict_decide(ENDING_DISCONNECT, 0, &before, &UNKNOWN, &after), fin, why, verified, AGREED);
}

#define RELEASE(...)    release(__LINE__, __VA_ARGS__)
#define SHUTDOWN(...)   shutting(__LINE__, __VA_ARGS__)
#define DISCONNECT(...) disconnecting(__LINE__, __VA_ARGS__)

static void test_last_reference(void) {
    RELEASE(in(STATE_ESTABLISHED), NOBODY, orphan(STATE_FIN_WAIT1), FIN_SENT, WHY_LAST_REFERENCE, true, AGREED);
    RELEASE(in(STATE_ESTABLISHED), NOBODY, orphan(STATE_FIN_WAIT2), FIN_SENT, WHY_LAST_REFERENCE, true, AGREED);
    RELEASE(in(STATE_ESTABLISHED), NOBODY, orphan(STATE_CLOSING), FIN_SENT, WHY_LAST_REFERENCE, true, AGREED);
    RELEASE(in(STATE_ESTABLISHED), NOBODY, orphan(STATE_TIME_WAIT), FIN_SENT, WHY_LAST_REFERENCE, true, AGREED);
    RELEASE(in(STATE_CLOSE_WAIT), NOBODY, orphan(STATE_LAST_ACK), FIN_SENT, WHY_LAST_REFERENCE, true, AGREED);
    /* LAST_ACK is over in a round trip: not found agrees. */
    RELEASE(in(STATE_CLOSE_WAIT), NOBODY, NOT_FOUND, FIN_SENT, WHY_LAST_REFERENCE, true, AGREED);
    /* From ESTABLISHED something should be left: not found proves nothing, unless the peer's end tells. */
    RELEASE(in(STATE_ESTABLISHED), NOBODY, NOT_FOUND, FIN_SENT, WHY_LAST_REFERENCE, false, AGREED);
    RELEASE(in(STATE_ESTABLISHED), NOBODY, gone_with_peer(STATE_TIME_WAIT), FIN_SENT, WHY_LAST_REFERENCE, true, AGREED);
    RELEASE(in(STATE_ESTABLISHED), NOBODY, gone_with_peer(STATE_CLOSE_WAIT), FIN_SENT, WHY_LAST_REFERENCE, true,
            AGREED);
    RELEASE(in(STATE_ESTABLISHED), NOBODY, gone_with_peer(STATE_UNSET), FIN_SENT, WHY_LAST_REFERENCE, false, AGREED);
    RELEASE(in(STATE_ESTABLISHED), NOBODY, fin_waits(orphan(STATE_FIN_WAIT1)), FIN_QUEUED, WHY_LAST_REFERENCE, true,
            AGREED);
    RELEASE(in(STATE_CLOSE_WAIT), NOBODY, fin_waits(orphan(STATE_LAST_ACK)), FIN_QUEUED, WHY_LAST_REFERENCE, true,
            AGREED);
    RELEASE(in(STATE_SYN_RECV), NOBODY, orphan(STATE_FIN_WAIT1), FIN_SENT, WHY_LAST_REFERENCE, true, AGREED);
}

/* Reset by the peer, or shut down by another holder, between the look before and the answer after. */
static void test_over_while_held(void) {
    RELEASE(in(STATE_ESTABLISHED), SEEN, NOT_FOUND, FIN_WITHHELD, WHY_REFERENCES, true, AGREED);
    RELEASE(with_unread(STATE_CLOSE_WAIT), SEEN, NOT_FOUND, FIN_WITHHELD, WHY_REFERENCES, true, AGREED);
    RELEASE(in(STATE_FIN_WAIT2), SEEN, NOT_FOUND, FIN_ALREADY, WHY_AFTER_SHUTDOWN, true, AGREED);
    RELEASE(in(STATE_FIN_WAIT2), SEEN, orphan(STATE_TIME_WAIT), FIN_ALREADY, WHY_AFTER_SHUTDOWN, true, AGREED);
    /* An orphan in a live state proves that nobody holds it, whatever was seen. */
    RELEASE(in(STATE_ESTABLISHED), SEEN, orphan(STATE_FIN_WAIT2), FIN_SENT, WHY_LAST_REFERENCE, true, CONTRADICTED);
    /* What nobody could look at proves nothing. */
    RELEASE(in(STATE_CLOSE_WAIT), DUP, NOT_FOUND, FIN_SENT, WHY_LAST_REFERENCE, true, CONTRADICTED);
}

static void test_withheld(void) {
    RELEASE(in(STATE_ESTABLISHED), DUP, attached(STATE_ESTABLISHED), FIN_WITHHELD, WHY_REFERENCES, true, AGREED);
    RELEASE(in(STATE_CLOSE_WAIT), DUP, attached(STATE_CLOSE_WAIT), FIN_WITHHELD, WHY_REFERENCES, true, AGREED);
    RELEASE(in(STATE_ESTABLISHED), CALL, attached(STATE_ESTABLISHED), FIN_WITHHELD, WHY_CALL_IN_PROGRESS, true, AGREED);
    RELEASE(in(STATE_ESTABLISHED), FLYING, attached(STATE_ESTABLISHED), FIN_WITHHELD, WHY_IN_FLIGHT, true, AGREED);
    RELEASE(in(STATE_ESTABLISHED), PARKED, attached(STATE_ESTABLISHED), FIN_WITHHELD, WHY_PARKED, true, AGREED);
    /* Nobody was found, and the kernel says that somebody is there. */
    RELEASE(in(STATE_ESTABLISHED), NOBODY, attached(STATE_ESTABLISHED), FIN_WITHHELD, WHY_HIDDEN, true, CONTRADICTED);
    /* Not everybody could be looked at. */
    RELEASE(in(STATE_ESTABLISHED), UNREADABLE, attached(STATE_ESTABLISHED), FIN_WITHHELD, WHY_REFERENCES, true,
            CONTRADICTED);
    /* Unread data and linger count only when the last reference goes. */
    RELEASE(with_unread(STATE_ESTABLISHED), DUP, attached(STATE_ESTABLISHED), FIN_WITHHELD, WHY_REFERENCES, true,
            AGREED);
    RELEASE(with_linger_zero(STATE_ESTABLISHED), DUP, attached(STATE_ESTABLISHED), FIN_WITHHELD, WHY_REFERENCES, true,
            AGREED);
    /* A reference was counted that is not there: the kernel knows better. */
    RELEASE(in(STATE_ESTABLISHED), DUP, orphan(STATE_FIN_WAIT2), FIN_SENT, WHY_LAST_REFERENCE, true, CONTRADICTED);
    RELEASE(with_unread(STATE_ESTABLISHED), DUP, NOT_FOUND, FIN_RESET, WHY_UNREAD_DATA, true, CONTRADICTED);
}

static void test_reset(void) {
    static const enum tcp_state states[] = {STATE_ESTABLISHED, STATE_CLOSE_WAIT, STATE_FIN_WAIT1, STATE_FIN_WAIT2};
    for (unsigned i = 0; i < sizeof states / sizeof *states; i++) {
        RELEASE(with_unread(states[i]), NOBODY, NOT_FOUND, FIN_RESET, WHY_UNREAD_DATA, true, AGREED);
        RELEASE(with_linger_zero(states[i]), NOBODY, NOT_FOUND, FIN_RESET, WHY_LINGER_ZERO, true, AGREED);
    }
    /* Both FINs have left: lingering for zero has nothing to reset. */
    RELEASE(with_linger_zero(STATE_LAST_ACK), NOBODY, NOT_FOUND, FIN_ALREADY, WHY_AFTER_SHUTDOWN, true, AGREED);
    RELEASE(with_linger2(STATE_ESTABLISHED), NOBODY, NOT_FOUND, FIN_RESET, WHY_LINGER2, true, AGREED);
    RELEASE(with_linger2(STATE_FIN_WAIT2), NOBODY, NOT_FOUND, FIN_RESET, WHY_LINGER2, true, AGREED);
    /* Its RST follows the acknowledgement of the FIN. */
    RELEASE(with_linger2(STATE_ESTABLISHED), NOBODY, orphan(STATE_FIN_WAIT1), FIN_RESET, WHY_LINGER2, false, AGREED);
    /* In CLOSE_WAIT there is no FIN_WAIT2 to cut short. */
    RELEASE(with_linger2(STATE_CLOSE_WAIT), NOBODY, NOT_FOUND, FIN_SENT, WHY_LAST_REFERENCE, true, AGREED);
    /* What was unread was read by somebody else in between. */
    RELEASE(with_unread(STATE_ESTABLISHED), NOBODY, orphan(STATE_FIN_WAIT2), FIN_SENT, WHY_LAST_REFERENCE, true,
            CONTRADICTED);
    RELEASE(in_repair(), NOBODY, NOT_FOUND, FIN_NONE, WHY_DISCONNECT, true, AGREED);
}

static void test_after_shutdown(void) {
    RELEASE(in(STATE_FIN_WAIT2), NOBODY, orphan(STATE_FIN_WAIT2), FIN_ALREADY, WHY_AFTER_SHUTDOWN, true, AGREED);
    RELEASE(in(STATE_FIN_WAIT1), DUP, attached(STATE_FIN_WAIT1), FIN_ALREADY, WHY_AFTER_SHUTDOWN, true, AGREED);
    RELEASE(in(STATE_LAST_ACK), NOBODY, NOT_FOUND, FIN_ALREADY, WHY_AFTER_SHUTDOWN, true, AGREED);
    RELEASE(in(STATE_CLOSING), NOBODY, orphan(STATE_CLOSING), FIN_ALREADY, WHY_AFTER_SHUTDOWN, true, AGREED);
    RELEASE(shut_but_waiting(), NOBODY, fin_waits(orphan(STATE_FIN_WAIT1)), FIN_QUEUED, WHY_AFTER_SHUTDOWN, true,
            AGREED);
    RELEASE(closed_after_fin(), NOBODY, NOT_FOUND, FIN_ALREADY, WHY_AFTER_SHUTDOWN, true, AGREED);
    RELEASE(in(STATE_CLOSE), NOBODY, orphan(STATE_TIME_WAIT), FIN_ALREADY, WHY_AFTER_SHUTDOWN, true, CONTRADICTED);
}

static void test_nothing_to_end(void) {
    RELEASE(in(STATE_SYN_SENT), NOBODY, NOT_FOUND, FIN_NONE, WHY_NOT_CONNECTED, true, AGREED);
    RELEASE(NEVER_CONNECTED, NOBODY, NOT_FOUND, FIN_NONE, WHY_NOT_CONNECTED, true, AGREED);
    RELEASE(in(STATE_CLOSE), NOBODY, NOT_FOUND, FIN_NONE, WHY_OVER, true, AGREED);
    RELEASE(dead_by(WHY_PEER_RESET), NOBODY, NOT_FOUND, FIN_NONE, WHY_PEER_RESET, true, AGREED);
    RELEASE(dead_by(WHY_TIMED_OUT), DUP, NOT_FOUND, FIN_NONE, WHY_TIMED_OUT, true, AGREED);
    RELEASE(dead_by(WHY_DESTROYED), NOBODY, NOT_ASKED, FIN_NONE, WHY_DESTROYED, false, AGREED);
    RELEASE(in(STATE_LISTEN), NOBODY, NOT_FOUND, FIN_NONE, WHY_LISTENING, true, AGREED);
    RELEASE(in(STATE_LISTEN), DUP, attached(STATE_LISTEN), FIN_NONE, WHY_LISTENING, true, AGREED);
}

/* Of a connection, and of a connect. */
static void test_death(void) {
    static const struct {
        int error;
        enum event_why connected, connecting;
    } rows[] = {
        {ECONNRESET, WHY_PEER_RESET, WHY_UNSET},
        {EPIPE, WHY_PEER_RESET, WHY_UNSET},
        {ETIMEDOUT, WHY_TIMED_OUT, WHY_TIMED_OUT},
        {ECONNABORTED, WHY_DESTROYED, WHY_DESTROYED},
        {ECONNREFUSED, WHY_TIMED_OUT, WHY_REFUSED},
        {EHOSTUNREACH, WHY_TIMED_OUT, WHY_UNSET},
        {ENETUNREACH, WHY_TIMED_OUT, WHY_UNSET},
        {EAGAIN, WHY_UNSET, WHY_UNSET},
        {EINTR, WHY_UNSET, WHY_UNSET},
        {ENOTCONN, WHY_UNSET, WHY_UNSET},
        {0, WHY_UNSET, WHY_UNSET},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_NUMBER(verdict_death(rows[i].error, true), rows[i].connected);
        CHECK_NUMBER(verdict_death(rows[i].error, false), rows[i].connecting);
    }
}

/* Nobody could be asked: a prediction, marked as such. */
static void test_prediction(void) {
    RELEASE(in(STATE_ESTABLISHED), NOBODY, NOT_ASKED, FIN_SENT, WHY_LAST_REFERENCE, false, AGREED);
    RELEASE(in(STATE_ESTABLISHED), UNKNOWN, NOT_ASKED, FIN_SENT, WHY_LAST_REFERENCE, false, AGREED);
    RELEASE(in(STATE_ESTABLISHED), DUP, NOT_ASKED, FIN_WITHHELD, WHY_REFERENCES, false, AGREED);
    RELEASE(with_unread(STATE_ESTABLISHED), NOBODY, NOT_ASKED, FIN_RESET, WHY_UNREAD_DATA, false, AGREED);
    RELEASE(in(STATE_UNSET), UNKNOWN, NOT_ASKED, FIN_SENT, WHY_LAST_REFERENCE, false, AGREED);
    SHUTDOWN(SHUT_WR, in(STATE_ESTABLISHED), NOT_ASKED, FIN_SENT, WHY_SHUTDOWN, false);
}

static void test_shutdown(void) {
    SHUTDOWN(SHUT_WR, in(STATE_ESTABLISHED), attached(STATE_FIN_WAIT1), FIN_SENT, WHY_SHUTDOWN, true);
    SHUTDOWN(SHUT_RDWR, in(STATE_ESTABLISHED), attached(STATE_FIN_WAIT2), FIN_SENT, WHY_SHUTDOWN, true);
    SHUTDOWN(SHUT_WR, in(STATE_CLOSE_WAIT), attached(STATE_LAST_ACK), FIN_SENT, WHY_SHUTDOWN, true);
    SHUTDOWN(SHUT_WR, in(STATE_CLOSE_WAIT), attached(STATE_CLOSE), FIN_SENT, WHY_SHUTDOWN, true);
    SHUTDOWN(SHUT_WR, in(STATE_ESTABLISHED), fin_waits(attached(STATE_FIN_WAIT1)), FIN_QUEUED, WHY_SHUTDOWN, true);
    SHUTDOWN(SHUT_RD, in(STATE_ESTABLISHED), attached(STATE_ESTABLISHED), FIN_NONE, WHY_RECEIVE_SIDE, true);
    SHUTDOWN(SHUT_WR, in(STATE_FIN_WAIT2), attached(STATE_FIN_WAIT2), FIN_ALREADY, WHY_AFTER_SHUTDOWN, true);
    SHUTDOWN(SHUT_RDWR, shut_but_waiting(), fin_waits(attached(STATE_FIN_WAIT1)), FIN_QUEUED, WHY_AFTER_SHUTDOWN, true);
    SHUTDOWN(SHUT_RDWR, in(STATE_LISTEN), attached(STATE_CLOSE), FIN_NONE, WHY_LISTENING, true);
    SHUTDOWN(SHUT_WR, NEVER_CONNECTED, attached(STATE_CLOSE), FIN_NONE, WHY_NOT_CONNECTED, true);
    SHUTDOWN(SHUT_WR, in(STATE_CLOSE), attached(STATE_CLOSE), FIN_NONE, WHY_OVER, true);
    SHUTDOWN(SHUT_WR, dead_by(WHY_PEER_RESET), attached(STATE_CLOSE), FIN_NONE, WHY_PEER_RESET, true);
}

static void test_disconnect(void) {
    DISCONNECT(in(STATE_ESTABLISHED), NOT_FOUND, FIN_RESET, WHY_DISCONNECT, true);
    DISCONNECT(in(STATE_FIN_WAIT2), NOT_FOUND, FIN_RESET, WHY_DISCONNECT, true);
    DISCONNECT(in(STATE_LAST_ACK), NOT_FOUND, FIN_ALREADY, WHY_AFTER_SHUTDOWN, true);
    DISCONNECT(in(STATE_SYN_SENT), NOT_FOUND, FIN_NONE, WHY_NOT_CONNECTED, true);
    DISCONNECT(in(STATE_LISTEN), NOT_FOUND, FIN_NONE, WHY_LISTENING, true);
    DISCONNECT(in_repair(), NOT_FOUND, FIN_NONE, WHY_DISCONNECT, true);
    DISCONNECT(in(STATE_ESTABLISHED), attached(STATE_ESTABLISHED), FIN_RESET, WHY_DISCONNECT, false);
}

static void returned(int line, struct before before, struct after after, struct returned call, enum event_fin fin,
                     enum event_why why, bool verified) {
    check(line, verdict_returned(&before, &after, &call), fin, why, verified, AGREED);
}

#define RETURNED(...) returned(__LINE__, __VA_ARGS__)

/* The call of a thread came back, and was the last that had it. */
static void test_returned(void) {
    static const struct returned BYTES = {.result = 1}, END = {.result = 0}, FAILED_CALL = {.result = -1};
    static const struct returned END_OF_MANY = {.result = 0, .shared = true}, OVER = {.result = 1, .over = true};
    static const struct returned RESET = {.result = -1, .death = WHY_PEER_RESET};
    static const struct returned OWN_RESET = {.result = -1, .death = WHY_OVER};
    RETURNED(in(STATE_ESTABLISHED), orphan(STATE_FIN_WAIT1), BYTES, FIN_SENT, WHY_LAST_REFERENCE, true);
    RETURNED(in(STATE_ESTABLISHED), fin_waits(orphan(STATE_FIN_WAIT1)), BYTES, FIN_QUEUED, WHY_LAST_REFERENCE, true);
    RETURNED(in(STATE_FIN_WAIT2), orphan(STATE_FIN_WAIT2), BYTES, FIN_ALREADY, WHY_AFTER_SHUTDOWN, true);
    RETURNED(in(STATE_FIN_WAIT1), fin_waits(orphan(STATE_FIN_WAIT1)), BYTES, FIN_QUEUED, WHY_AFTER_SHUTDOWN, true);
    RETURNED(in(STATE_LISTEN), NOT_FOUND, FAILED_CALL, FIN_NONE, WHY_LISTENING, true);
    /* Not found: what the call was told counts, then the peer's end, then how it had stood. */
    RETURNED(in(STATE_ESTABLISHED), NOT_FOUND, RESET, FIN_NONE, WHY_PEER_RESET, true);
    RETURNED(in(STATE_ESTABLISHED), gone_with_peer(STATE_TIME_WAIT), RESET, FIN_NONE, WHY_PEER_RESET, true);
    RETURNED(in(STATE_ESTABLISHED), NOT_FOUND, OWN_RESET, FIN_NONE, WHY_OVER, true);
    RETURNED(in(STATE_ESTABLISHED), NOT_FOUND, OVER, FIN_NONE, WHY_OVER, true);
    RETURNED(in(STATE_ESTABLISHED), gone_with_peer(STATE_TIME_WAIT), BYTES, FIN_SENT, WHY_LAST_REFERENCE, true);
    RETURNED(in(STATE_FIN_WAIT2), gone_with_peer(STATE_TIME_WAIT), END, FIN_ALREADY, WHY_AFTER_SHUTDOWN, true);
    RETURNED(in(STATE_ESTABLISHED), NOT_FOUND, END, FIN_SENT, WHY_LAST_REFERENCE, true);
    RETURNED(in(STATE_ESTABLISHED), NOT_FOUND, END_OF_MANY, FIN_SENT, WHY_LAST_REFERENCE, false);
    RETURNED(in(STATE_ESTABLISHED), NOT_FOUND, BYTES, FIN_RESET, WHY_UNREAD_DATA, false);
    RETURNED(in(STATE_ESTABLISHED), NOT_FOUND, FAILED_CALL, FIN_SENT, WHY_LAST_REFERENCE, false);
    RETURNED(with_linger_zero(STATE_ESTABLISHED), NOT_FOUND, END, FIN_RESET, WHY_LINGER_ZERO, true);
    RETURNED(with_linger_zero(STATE_ESTABLISHED), NOT_FOUND, BYTES, FIN_RESET, WHY_LINGER_ZERO, false);
    RETURNED(with_linger2(STATE_ESTABLISHED), orphan(STATE_FIN_WAIT1), END, FIN_RESET, WHY_LINGER2, false);
    RETURNED(with_linger2(STATE_ESTABLISHED), NOT_FOUND, END, FIN_RESET, WHY_LINGER2, false);
    RETURNED(with_linger2(STATE_CLOSE_WAIT), NOT_FOUND, END, FIN_SENT, WHY_LAST_REFERENCE, true);
    RETURNED(with_linger2(STATE_ESTABLISHED), NOT_FOUND, BYTES, FIN_RESET, WHY_UNREAD_DATA, false);
}

static void killed(int line, struct killed killed, struct after after, enum event_fin fin, enum event_why why,
                   bool verified) {
    check(line, verdict_killed(&killed, &after), fin, why, verified, AGREED);
}

#define KILLED(...) killed(__LINE__, __VA_ARGS__)

static void test_killed(void) {
    static const struct killed UNSEEN = {0}, HELD = {.held = true}, SHUT = {.fin_left = true};
    static const struct killed SHUT_AND_HELD = {.fin_left = true, .held = true}, UNREAD = {.has_unread = true};
    static const struct killed ACKNOWLEDGED = {.fin_acknowledged = true};
    static const struct killed SHUT_UNREAD = {.fin_left = true, .has_unread = true};
    const struct before stood = in(STATE_ESTABLISHED), waited = in(STATE_CLOSE_WAIT);
    const struct before unread = with_unread(STATE_ESTABLISHED);
    KILLED(HELD, attached(STATE_ESTABLISHED), FIN_WITHHELD, WHY_REFERENCES, true);
    KILLED(HELD, attached(STATE_LISTEN), FIN_NONE, WHY_LISTENING, true);
    KILLED(SHUT_AND_HELD, attached(STATE_FIN_WAIT2), FIN_WITHHELD, WHY_REFERENCES, true);
    KILLED(SHUT, orphan(STATE_FIN_WAIT2), FIN_ALREADY, WHY_AFTER_SHUTDOWN, true);
    KILLED(SHUT, attached(STATE_FIN_WAIT2), FIN_ALREADY, WHY_AFTER_SHUTDOWN, false);
    KILLED(UNSEEN, orphan(STATE_FIN_WAIT2), FIN_SENT, WHY_LAST_REFERENCE, true);
    KILLED(UNSEEN, fin_waits(orphan(STATE_FIN_WAIT1)), FIN_QUEUED, WHY_LAST_REFERENCE, true);
    /* Those who have it still are about to go. */
    KILLED(UNSEEN, attached(STATE_ESTABLISHED), FIN_SENT, WHY_LAST_REFERENCE, false);
    KILLED(UNSEEN, NOT_FOUND, FIN_UNSET, WHY_UNSET, false);
    KILLED(SHUT, NOT_FOUND, FIN_UNSET, WHY_UNSET, false);
    KILLED(UNREAD, NOT_FOUND, FIN_RESET, WHY_UNREAD_DATA, true);
    KILLED(SHUT_UNREAD, NOT_FOUND, FIN_RESET, WHY_UNREAD_DATA, true);
    KILLED(ACKNOWLEDGED, NOT_FOUND, FIN_SENT, WHY_LAST_REFERENCE, true);
    KILLED(((struct killed){.before = &stood}), NOT_FOUND, FIN_SENT, WHY_LAST_REFERENCE, false);
    KILLED(((struct killed){.before = &waited}), NOT_FOUND, FIN_SENT, WHY_LAST_REFERENCE, true);
    KILLED(((struct killed){.before = &unread}), NOT_FOUND, FIN_RESET, WHY_UNREAD_DATA, true);
    KILLED(((struct killed){.before = &waited, .fin_left = true}), NOT_FOUND, FIN_ALREADY, WHY_AFTER_SHUTDOWN, true);
}

static void gives_way(int line, struct verdict verdict, enum end_is whose, enum event_fin fin, enum event_why why,
                      bool verified) {
    check(line, verdict_give_way(verdict, whose), fin, why, verified, AGREED);
}

#define GIVES_WAY(...) gives_way(__LINE__, __VA_ARGS__)

static void test_give_way(void) {
    const struct verdict sent = {.fin = FIN_SENT, .why = WHY_LAST_REFERENCE, .verified = true};
    const struct verdict queued = {.fin = FIN_QUEUED, .why = WHY_LAST_REFERENCE, .verified = true};
    const struct verdict reset = {.fin = FIN_RESET, .why = WHY_UNREAD_DATA, .verified = true};
    const struct verdict listens = {.fin = FIN_NONE, .why = WHY_LISTENING, .verified = true};
    const struct verdict withheld = {.fin = FIN_WITHHELD, .why = WHY_REFERENCES, .verified = true};
    GIVES_WAY(sent, END_IS_OURS, FIN_SENT, WHY_LAST_REFERENCE, true);
    GIVES_WAY(sent, END_WAS_SHUT, FIN_ALREADY, WHY_AFTER_SHUTDOWN, true);
    GIVES_WAY(queued, END_WAS_SHUT, FIN_QUEUED, WHY_AFTER_SHUTDOWN, true);
    GIVES_WAY(sent, END_IS_ANOTHERS, FIN_WITHHELD, WHY_REFERENCES, false);
    GIVES_WAY(reset, END_IS_ANOTHERS, FIN_WITHHELD, WHY_REFERENCES, false);
    GIVES_WAY(((struct verdict){.fin = FIN_RESET, .why = WHY_DISCONNECT, .verified = true}), END_WAS_DISCONNECTED,
              FIN_NONE, WHY_NOT_CONNECTED, true);
    GIVES_WAY(listens, END_IS_ANOTHERS, FIN_NONE, WHY_LISTENING, true);
    if (!verdict_claims_end(&sent) || !verdict_claims_end(&reset) || verdict_claims_end(&withheld))
        FAILED("who says that it ended by this, and who does not");
}

int main(void) {
    test_last_reference();
    test_over_while_held();
    test_withheld();
    test_reset();
    test_after_shutdown();
    test_nothing_to_end();
    test_death();
    test_prediction();
    test_shutdown();
    test_disconnect();
    test_returned();
    test_killed();
    test_give_way();
    return unit_failures();
}
