#include "verdict_words.h"

#include <string.h>

static void count_of(struct line *line, uint64_t count, const char *one, const char *many) {
    line_unsigned(line, count);
    line_char(line, ' ');
    line_text(line, count == 1 ? one : many);
}

static void holder_words(struct line *line, const struct holder *holder) {
    if (holder->fd < 0) {
        line_text(line, "thread ");
        line_signed(line, holder->tid);
        line_text(line, " is inside ");
        const char *call = holder->call ? holder->call : "a call";
        line_printable(line, call, strlen(call));
        return;
    }
    const char *end = memchr(holder->comm, '\0', COMM_SIZE);
    line_signed(line, holder->pid);
    if (holder->tid) {
        line_char(line, '/');
        line_signed(line, holder->tid);
    }
    line_char(line, ' ');
    line_printable(line, holder->comm, end ? (size_t)(end - holder->comm) : COMM_SIZE);
    line_text(line, " fd ");
    line_signed(line, holder->fd);
}

static unsigned holders_that_fit(struct line *line, const struct event *event) {
    unsigned shown = 0;
    while (shown < event->holders_named) {
        const size_t mark = line->length;
        if (shown > 0)
            line_text(line, ", ");
        holder_words(line, &event->holders[shown]);
        if (line->cut) {
            line_back(line, mark);
            break;
        }
        shown++;
    }
    return shown;
}

void holders_words(struct line *line, const struct event *event) {
    const size_t size = line_reserve(line, sizeof " and 4294967295 more");
    const unsigned shown = line->cut ? 0 : holders_that_fit(line, event);
    line->size = size;
    if (shown == event->holder_count)
        return;
    if (shown > 0)
        line_text(line, " and ");
    line_unsigned(line, event->holder_count - shown);
    line_text(line, shown > 0 ? " more" : " others");
}

static void withheld(struct line *line, const struct event *event) {
    const bool named = event->holder_count > 0;
    line_text(line, event->verified ? "FIN withheld: " : "FIN withheld (unverified): ");
    switch (event->why) {
    case WHY_CALL_IN_PROGRESS:
        if (named)
            holders_words(line, event);
        else
            line_text(line, "a call is in progress");
        break;
    case WHY_IN_FLIGHT:
        line_text(line, "a copy is in flight in a unix socket");
        break;
    case WHY_HIDDEN:
        line_text(line, "hidden reference (no file descriptor found)");
        break;
    case WHY_PARKED:
        line_text(line, "held by a fault rule");
        break;
    default:
        line_text(line, named ? "held by " : "other references remain");
        if (named)
            holders_words(line, event);
        break;
    }
}

static void queued(struct line *line, const struct event *event) {
    line_text(line, event->verified ? "FIN queued" : "FIN expected, queued");
    if (!(event->has & HAS_UNSENT))
        return;
    line_text(line, ": ");
    count_of(line, event->unsent, "byte unsent before it", "bytes unsent before it");
}

static void reset(struct line *line, const struct event *event) {
    line_text(line, event->verified ? "RST sent" : "RST expected");
    switch (event->why) {
    case WHY_UNREAD_DATA:
        line_text(line, ": ");
        /* An out-of-band byte is unread data that SIOCINQ does not count. */
        if ((event->has & HAS_UNREAD) && event->unread > 0)
            count_of(line, event->unread, "byte unread", "bytes unread");
        else
            line_text(line, "unread data");
        break;
    case WHY_LINGER_ZERO:
        line_text(line, ": SO_LINGER 0");
        break;
    case WHY_DISCONNECT:
        line_text(line, ": disconnect");
        break;
    case WHY_LINGER2:
        line_text(line, " after FIN: TCP_LINGER2");
        break;
    case WHY_AFTER_CLOSE:
        line_text(line, " after the close");
        if (!(event->has & HAS_LOST))
            break;
        line_text(line, ": ");
        count_of(line, event->lost, "byte never reached the peer", "bytes never reached the peer");
        break;
    default:
        break;
    }
}

/* There is no FIN to speak of: the port stays open. */
static void still_listening(struct line *line, const struct event *event) {
    line_text(line, event->verified ? "still listening: held by " : "still listening (unverified): held by ");
    holders_words(line, event);
}

static void listening(struct line *line, const struct event *event) {
    line_text(line, ": listening");
    if (!(event->has & HAS_PENDING) || event->pending == 0)
        return;
    line_text(line, ", ");
    count_of(line, event->pending, "waiting connection", "waiting connections");
    line_text(line, event->verified ? " reset" : " to be reset");
}

static void none(struct line *line, const struct event *event) {
    if (event->why == WHY_LISTENING && event->holder_count > 0) {
        still_listening(line, event);
        return;
    }
    line_text(line, event->verified ? "no FIN" : "no FIN expected");
    switch (event->why) {
    case WHY_NOT_CONNECTED:
        line_text(line, ": not connected");
        break;
    case WHY_LISTENING:
        listening(line, event);
        break;
    case WHY_PEER_RESET:
        line_text(line, ": reset by peer");
        break;
    case WHY_TIMED_OUT:
        line_text(line, ": timed out");
        break;
    case WHY_DESTROYED:
        line_text(line, ": destroyed on this host");
        break;
    case WHY_OVER:
        line_text(line, ": already over");
        break;
    case WHY_REFUSED:
        line_text(line, ": refused by peer");
        break;
    case WHY_RECEIVE_SIDE:
        line_text(line, ": SHUT_RD sends nothing");
        break;
    default:
        break;
    }
}

void verdict_words(struct line *line, const struct event *event) {
    switch (event->fin) {
    case FIN_SENT:
        line_text(line, event->verified ? "FIN sent" : "FIN expected");
        break;
    case FIN_QUEUED:
        queued(line, event);
        break;
    case FIN_WITHHELD:
        withheld(line, event);
        break;
    case FIN_ALREADY:
        line_text(line, event->verified ? "FIN already sent" : "FIN already sent (unverified)");
        break;
    case FIN_RESET:
        reset(line, event);
        break;
    case FIN_NONE:
        none(line, event);
        break;
    default:
        break;
    }
}
