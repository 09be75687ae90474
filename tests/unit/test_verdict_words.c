#include "pure/verdict_words.h"

#include "events.h"
#include "unit.h"

static char buffer[4096];

static const char *in(const struct event *event, size_t size) {
    struct line line;
    line_init(&line, buffer, size);
    verdict_words(&line, event);
    buffer[line.length] = '\0';
    return buffer;
}

static const char *words(const struct event *event) {
    return in(event, sizeof buffer - 1);
}

static void both(struct event *event, const char *verified, const char *predicted) {
    event->verified = true;
    CHECK_TEXT(words(event), verified);
    event->verified = false;
    CHECK_TEXT(words(event), predicted);
}

static struct event verdict(enum event_fin fin, enum event_why why) {
    struct event event = socket_event(OP_CLOSE, "close");
    ends(&event, fin, why, true);
    return event;
}

static void sent_or_not_yet(void) {
    struct event event = verdict(FIN_SENT, WHY_LAST_REFERENCE);
    both(&event, "FIN sent", "FIN expected");
    event = verdict(FIN_SENT, WHY_SHUTDOWN);
    both(&event, "FIN sent", "FIN expected");
    event = verdict(FIN_ALREADY, WHY_AFTER_SHUTDOWN);
    both(&event, "FIN already sent", "FIN already sent (unverified)");
    event = verdict(FIN_QUEUED, WHY_LAST_REFERENCE);
    both(&event, "FIN queued", "FIN expected, queued");
    event.has |= HAS_UNSENT;
    event.unsent = 65536;
    both(&event, "FIN queued: 65536 bytes unsent before it", "FIN expected, queued: 65536 bytes unsent before it");
    event.unsent = 1;
    both(&event, "FIN queued: 1 byte unsent before it", "FIN expected, queued: 1 byte unsent before it");
}

static void reset(void) {
    struct event event = verdict(FIN_RESET, WHY_UNREAD_DATA);
    both(&event, "RST sent: unread data", "RST expected: unread data");
    event.has |= HAS_UNREAD;
    both(&event, "RST sent: unread data", "RST expected: unread data");
    event.unread = 312;
    both(&event, "RST sent: 312 bytes unread", "RST expected: 312 bytes unread");
    event.unread = 1;
    both(&event, "RST sent: 1 byte unread", "RST expected: 1 byte unread");
    event.why = WHY_LINGER_ZERO;
    both(&event, "RST sent: SO_LINGER 0", "RST expected: SO_LINGER 0");
    event.why = WHY_DISCONNECT;
    both(&event, "RST sent: disconnect", "RST expected: disconnect");
    event.why = WHY_LINGER2;
    both(&event, "RST sent after FIN: TCP_LINGER2", "RST expected after FIN: TCP_LINGER2");
    event.why = WHY_UNSET;
    both(&event, "RST sent", "RST expected");
}

static void nothing_to_end(void) {
    struct event event = verdict(FIN_NONE, WHY_NOT_CONNECTED);
    both(&event, "no FIN: not connected", "no FIN expected: not connected");
    event.why = WHY_PEER_RESET;
    both(&event, "no FIN: reset by peer", "no FIN expected: reset by peer");
    event.why = WHY_TIMED_OUT;
    both(&event, "no FIN: timed out", "no FIN expected: timed out");
    event.why = WHY_DESTROYED;
    both(&event, "no FIN: destroyed on this host", "no FIN expected: destroyed on this host");
    event.why = WHY_OVER;
    both(&event, "no FIN: already over", "no FIN expected: already over");
    event.why = WHY_REFUSED;
    both(&event, "no FIN: refused by peer", "no FIN expected: refused by peer");
    event.why = WHY_RECEIVE_SIDE;
    both(&event, "no FIN: SHUT_RD sends nothing", "no FIN expected: SHUT_RD sends nothing");
    event.why = WHY_LISTENING;
    both(&event, "no FIN: listening", "no FIN expected: listening");
    event.has |= HAS_PENDING;
    both(&event, "no FIN: listening", "no FIN expected: listening");
    event.pending = 3;
    both(&event, "no FIN: listening, 3 waiting connections reset",
         "no FIN expected: listening, 3 waiting connections to be reset");
    event.pending = 1;
    both(&event, "no FIN: listening, 1 waiting connection reset",
         "no FIN expected: listening, 1 waiting connection to be reset");
    event.pending = 0;
    held_by(&event, 4712, "nginx", 6);
    held_by_thread(&event, 4711, 4713, "nginx", "accept4");
    both(&event, "still listening: held by 4712 nginx fd 6, thread 4713 is inside accept4",
         "still listening (unverified): held by 4712 nginx fd 6, thread 4713 is inside accept4");
    event = verdict(FIN_NONE, WHY_UNSET);
    both(&event, "no FIN", "no FIN expected");
    event.fin = FIN_UNSET;
    both(&event, "", "");
}

static void withheld(void) {
    struct event event = verdict(FIN_WITHHELD, WHY_REFERENCES);
    both(&event, "FIN withheld: other references remain", "FIN withheld (unverified): other references remain");
    held_by(&event, 4712, "nginx", 7);
    both(&event, "FIN withheld: held by 4712 nginx fd 7", "FIN withheld (unverified): held by 4712 nginx fd 7");
    held_by(&event, 4713, "a\nb", 8);
    both(&event, "FIN withheld: held by 4712 nginx fd 7, 4713 a\\012b fd 8",
         "FIN withheld (unverified): held by 4712 nginx fd 7, 4713 a\\012b fd 8");
    event = verdict(FIN_WITHHELD, WHY_CALL_IN_PROGRESS);
    both(&event, "FIN withheld: a call is in progress", "FIN withheld (unverified): a call is in progress");
    held_by_thread(&event, 4711, 4713, "nginx", "recvfrom");
    both(&event, "FIN withheld: thread 4713 is inside recvfrom",
         "FIN withheld (unverified): thread 4713 is inside recvfrom");
    held_by_thread(&event, 4711, 4714, "nginx", NULL);
    both(&event, "FIN withheld: thread 4713 is inside recvfrom, thread 4714 is inside a call",
         "FIN withheld (unverified): thread 4713 is inside recvfrom, thread 4714 is inside a call");
    event = verdict(FIN_WITHHELD, WHY_IN_FLIGHT);
    both(&event, "FIN withheld: a copy is in flight in a unix socket",
         "FIN withheld (unverified): a copy is in flight in a unix socket");
    event = verdict(FIN_WITHHELD, WHY_HIDDEN);
    both(&event, "FIN withheld: hidden reference (no file descriptor found)",
         "FIN withheld (unverified): hidden reference (no file descriptor found)");
    event = verdict(FIN_WITHHELD, WHY_PARKED);
    both(&event, "FIN withheld: held by a fault rule", "FIN withheld (unverified): held by a fault rule");
}

static void many_holders_are_counted(void) {
    struct event event = verdict(FIN_WITHHELD, WHY_REFERENCES);
    for (int i = 0; i < 14; i++)
        held_by(&event, 4712 + i, "nginx", 7);
    const char *two = "FIN withheld: held by 4712 nginx fd 7, 4713 nginx fd 7 and 12 more";
    const char *two_long = "FIN withheld: held by 4712 nginx fd 7, 4713 nginx fd 7";
    CHECK_TEXT(in(&event, strlen(two_long) + sizeof " and 4294967295 more"), two);
    CHECK_TEXT(in(&event, sizeof "FIN withheld: held by " + 20), "FIN withheld: held by 14 others");
    for (int i = 0; i < 6; i++)
        held_by(&event, 5000 + i, "nginx", 7);
    CHECK(strstr(words(&event), ", 5001 nginx fd 7 and 4 more"));
    for (size_t size = 0; size < 400; size++)
        CHECK(strlen(in(&event, size)) <= size);
}

int main(void) {
    sent_or_not_yet();
    reset();
    nothing_to_end();
    withheld();
    many_holders_are_counted();
    return unit_failures();
}
