#include <string.h>

#include "line.h"
#include "names.h"
#include "render.h"
#include "verdict_words.h"

enum { SECONDS_A_DAY = 86400, PID_WIDTH = 5 };

static const char green[] = "\x1b[32m";
static const char yellow[] = "\x1b[33m";
static const char red[] = "\x1b[31m";
static const char plain[] = "\x1b[0m";

static void group(struct line *line) {
    line_text(line, "  ");
}

static void time_of_day(struct line *line, uint64_t time_us, int32_t utc_offset) {
    const int64_t offset = utc_offset % SECONDS_A_DAY + SECONDS_A_DAY;
    const uint64_t second = (time_us / 1000000 + (uint64_t)offset) % SECONDS_A_DAY;
    line_padded(line, second / 3600, 2);
    line_char(line, ':');
    line_padded(line, second / 60 % 60, 2);
    line_char(line, ':');
    line_padded(line, second % 60, 2);
    line_char(line, '.');
    line_padded(line, time_us % 1000000, 6);
}

static void right_aligned_pid(struct line *line, int pid) {
    unsigned digits = pid < 0 ? 2 : 1;
    for (int rest = pid / 10; rest != 0; rest /= 10)
        digits++;
    for (; digits < PID_WIDTH; digits++)
        line_char(line, ' ');
    line_signed(line, pid);
}

static void prefix(struct line *line, const struct event *event, const struct text_style *style) {
    const char *end = memchr(event->comm, '\0', COMM_SIZE);
    time_of_day(line, event_happened_at(event), style->utc_offset);
    line_char(line, ' ');
    right_aligned_pid(line, event->pid);
    line_char(line, ' ');
    line_printable(line, event->comm, end ? (size_t)(end - event->comm) : COMM_SIZE);
    group(line);
}

static void address(struct line *line, const struct address *address) {
    char text[ADDRESS_TEXT_SIZE];
    address_to_text(address, text);
    line_text(line, address->family == ADDRESS_UNSET ? "?" : text);
}

/* As strace -yy prints it; a socket that has no address yet is its cookie (strace: its inode). */
static void socket_words(struct line *line, const struct event *event) {
    const bool local = !address_is_unspecified(&event->local);
    const bool remote = !address_is_unspecified(&event->remote);
    const bool v6 = (local ? event->local.family : event->remote.family) == ADDRESS_V6;
    line_text(line, v6 ? "TCPv6:[" : "TCP:[");
    if (local || remote)
        address(line, &event->local);
    else
        line_unsigned(line, event->cookie);
    if (remote) {
        line_text(line, "->");
        address(line, &event->remote);
    }
    line_char(line, ']');
}

static void descriptor_and_socket(struct line *line, const struct event *event, bool has_fd, long fd) {
    if (has_fd)
        line_signed(line, fd);
    if (!(event->has & HAS_SOCKET))
        return;
    if (has_fd)
        line_char(line, '<');
    socket_words(line, event);
    if (has_fd)
        line_char(line, '>');
}

static void event_socket(struct line *line, const struct event *event) {
    descriptor_and_socket(line, event, event->has & HAS_FD, event->fd);
}

static void error_word(struct line *line, int error) {
    const char *name = errno_name(error);
    line_char(line, ' ');
    if (name) {
        line_text(line, name);
        return;
    }
    line_text(line, "errno ");
    line_signed(line, error);
}

static void result(struct line *line, const struct event *event) {
    if (!(event->has & HAS_RET))
        return;
    line_text(line, " = ");
    line_signed(line, event->ret);
    if (event->has & HAS_ERRNO)
        error_word(line, event->error);
}

static const char *call_name(const struct event *event) {
    const char *name = event->call ? event->call : op_name(event->op);
    return name ? name : "?";
}

/* Printable: an event may have been read from a file that anybody wrote. */
static void word_of_call(struct line *line, const struct event *event) {
    const char *name = call_name(event);
    line_printable(line, name, strlen(name));
}

static void call_open(struct line *line, const struct event *event) {
    word_of_call(line, event);
    line_char(line, '(');
}

static bool succeeded(const struct event *event) {
    return (event->has & HAS_RET) && event->ret >= 0;
}

/* The socket is the new descriptor's, once there is one. */
static void accept_call(struct line *line, const struct event *event) {
    call_open(line, event);
    if (event->has & HAS_FD)
        line_signed(line, event->fd);
    line_char(line, ')');
    if (!succeeded(event)) {
        result(line, event);
        return;
    }
    line_text(line, " = ");
    descriptor_and_socket(line, event, true, event->ret);
}

static void fork_call(struct line *line, const struct event *event) {
    call_open(line, event);
    line_char(line, ')');
    if (event->has & HAS_CHILD) {
        line_text(line, " = ");
        line_signed(line, event->child);
    } else
        result(line, event);
    if (!(event->has & HAS_SHARED))
        return;
    group(line);
    line_text(line, "shares ");
    line_unsigned(line, event->shared);
    line_text(line, event->shared == 1 ? " TCP socket" : " TCP sockets");
}

static void socket_group(struct line *line, const struct event *event) {
    if (!(event->has & (HAS_FD | HAS_SOCKET)))
        return;
    group(line);
    event_socket(line, event);
}

static void exec_call(struct line *line, const struct event *event) {
    call_open(line, event);
    line_char(line, ')');
    result(line, event);
    socket_group(line, event);
}

static void send_fd_call(struct line *line, const struct event *event) {
    call_open(line, event);
    line_text(line, "SCM_RIGHTS ");
    event_socket(line, event);
    line_char(line, ')');
    result(line, event);
}

/* What came is of more interest than how many bytes came with it. */
static void recv_fd_call(struct line *line, const struct event *event) {
    call_open(line, event);
    line_text(line, "SCM_RIGHTS)");
    if (!(event->has & HAS_FD)) {
        result(line, event);
        return;
    }
    line_text(line, " = ");
    event_socket(line, event);
}

static bool is_signal_name(const char *call) {
    return strncmp(call, "SIG", 3) == 0;
}

static void exit_call(struct line *line, const struct event *event) {
    const bool returns = strcmp(call_name(event), "return") == 0;
    word_of_call(line, event);
    if (!is_signal_name(call_name(event))) {
        line_char(line, returns ? ' ' : '(');
        if (event->has & HAS_STATUS)
            line_signed(line, event->status);
        if (!returns)
            line_char(line, ')');
    }
    socket_group(line, event);
}

static void release_words(struct line *line, const struct event *event) {
    line_text(line, "release");
    if (event->call) {
        line_char(line, '(');
        line_printable(line, event->call, strlen(event->call));
        line_char(line, ')');
    }
    socket_group(line, event);
}

/* dup2() over a socket closes its second argument; a dup event of the same call shows the first. */
static bool closes_second_argument(const struct event *event) {
    return event->op == OP_CLOSE && (strcmp(call_name(event), "dup2") == 0 || strcmp(call_name(event), "dup3") == 0);
}

static void descriptor_call(struct line *line, const struct event *event) {
    call_open(line, event);
    if (closes_second_argument(event))
        line_text(line, "..., ");
    event_socket(line, event);
    if ((event->has & HAS_HOW) && how_name(event->how)) {
        line_text(line, ", ");
        line_text(line, how_name(event->how));
    }
    line_char(line, ')');
    result(line, event);
}

static void amount(struct line *line, unsigned has, uint64_t count, const char *what) {
    if (!has || count == 0)
        return;
    group(line);
    line_unsigned(line, count);
    line_text(line, what);
}

static void seconds(struct line *line, unsigned has, const char *before, uint64_t microseconds) {
    if (!has)
        return;
    group(line);
    line_text(line, before);
    line_seconds(line, microseconds / 1000 * 1000);
    line->length -= line->cut ? 0 : 3; /* to the millisecond */
    line_text(line, " s");
}

/* What was seen without a call. */
static void standing_words(struct line *line, const struct event *event) {
    line_text(line, op_name(event->op));
    line_char(line, ' ');
    event_socket(line, event);
    group(line);
    line_text(line, state_name(event->state_after) ? state_name(event->state_after) : "?");
    seconds(line, event->has & HAS_IDLE, "without traffic for ", event->idle_us);
    amount(line, event->has & HAS_UNREAD, event->unread, " unread");
    amount(line, event->has & HAS_UNSENT, event->unsent, " unsent");
    amount(line, event->has & HAS_PENDING, event->pending, " waiting");
    if (event->fin == FIN_WITHHELD || event->holder_count == 0)
        return; /* the verdict names them */
    group(line);
    line_text(line, "held by ");
    holders_words(line, event);
}

static void call_words(struct line *line, const struct event *event) {
    switch (event->op) {
    case OP_ACCEPT:
        accept_call(line, event);
        break;
    case OP_FORK:
        fork_call(line, event);
        break;
    case OP_EXEC:
        exec_call(line, event);
        break;
    case OP_SEND_FD:
        send_fd_call(line, event);
        break;
    case OP_RECV_FD:
        recv_fd_call(line, event);
        break;
    case OP_EXIT:
        exit_call(line, event);
        break;
    case OP_RELEASE:
        release_words(line, event);
        break;
    case OP_STATE:
    case OP_NOW:
        standing_words(line, event);
        break;
    default:
        descriptor_call(line, event);
        break;
    }
}

static void references(struct line *line, const struct event *event) {
    const bool before = event->has & HAS_REFS_BEFORE;
    const bool after = event->has & HAS_REFS_AFTER;
    if (!before && !after)
        return;
    group(line);
    line_text(line, "refs ");
    line_unsigned(line, before ? event->refs_before : event->refs_after);
    if (before && after && event->refs_before != event->refs_after) {
        line_text(line, "->");
        line_unsigned(line, event->refs_after);
    }
    if (event->refs_partial)
        line_char(line, '+');
}

static void paint(struct line *line, const struct text_style *style, const char *color) {
    if (style->color && color)
        line_text(line, color);
}

static void from_the_peer(struct line *line, const struct event *event, const struct text_style *style) {
    if (event->op == OP_EOF) {
        group(line);
        line_text(line, "EOF: the peer's FIN");
    }
    if (event->op == OP_RESET) {
        group(line);
        paint(line, style, red);
        line_text(line, "RST from the peer");
        paint(line, style, plain);
    }
    if (sigpipe_name(event->sigpipe)) {
        group(line);
        line_text(line, "SIGPIPE ");
        line_text(line, sigpipe_name(event->sigpipe));
    }
}

static const char *verdict_color(enum event_fin fin) {
    switch (fin) {
    case FIN_SENT:
        return green;
    case FIN_QUEUED:
    case FIN_WITHHELD:
        return yellow;
    case FIN_RESET:
        return red;
    default:
        return NULL;
    }
}

/* A state that did not change is not news. */
static void state_change(struct line *line, const struct event *event) {
    const char *before = state_name(event->state_before);
    const char *after = state_name(event->state_after);
    if (!after || event->state_before == event->state_after)
        return;
    group(line);
    if (before) {
        line_text(line, before);
        line_text(line, "->");
    }
    line_text(line, after);
}

/* A rule may be of any length: what does not fit is cut off its end. */
static void rule_and(struct line *line, const char *rule, const char *rest) {
    if (line->cut)
        return;
    const size_t size = line_reserve(line, strlen(rest));
    line_printable(line, rule, strlen(rule));
    line_back(line, line->length);
    line->size = size;
    line_text(line, rest);
}

static void injected(struct line *line, const char *rule) {
    if (!rule)
        return;
    group(line);
    line_text(line, "(INJECTED ");
    rule_and(line, rule, ")");
}

static void not_injected(struct line *line, const struct event *event) {
    if (!event->not_injected)
        return;
    group(line);
    line_text(line, "(NOT INJECTED ");
    if (event->not_injected_why) {
        line_text(line, event->not_injected_why);
        line_text(line, ": ");
    }
    rule_and(line, event->not_injected, ")");
}

static void after_the_verdict(struct line *line, const struct event *event, const struct text_style *style) {
    if (verdict_color(event->fin))
        paint(line, style, plain);
    state_change(line, event);
    injected(line, event->injected);
    not_injected(line, event);
}

/* Room for the verdict without its holders is kept from what follows, and room for what follows from the holders. */
static void verdict_and_rest(struct line *line, const struct event *event, const struct text_style *style) {
    enum { VERDICT_ROOM = 96 };
    if (event->fin != FIN_UNSET) {
        const size_t mark = line->length;
        const size_t size = line_reserve(line, VERDICT_ROOM);
        after_the_verdict(line, event, style);
        const size_t rest = line->length - mark;
        line_back(line, mark);
        line->size = size;
        line_reserve(line, rest);
        group(line);
        paint(line, style, verdict_color(event->fin));
        verdict_words(line, event);
        line->size = size;
    }
    after_the_verdict(line, event, style);
}

static void happening(struct line *line, const struct event *event, const struct text_style *style) {
    call_words(line, event);
    references(line, event);
    from_the_peer(line, event, style);
    verdict_and_rest(line, event, style);
}

static void start_words(struct line *line, const struct event *event) {
    static const char more[] = " ...";
    static const char end[] = " +++";
    const char *version = event->version ? event->version : CLOSETRACE_VERSION;
    line_text(line, "+++ closetrace ");
    line_printable(line, version, strlen(version));
    line_char(line, ':');
    if (line->cut)
        return;
    const size_t size = line_reserve(line, strlen(more) + strlen(end));
    for (size_t i = 0; event->command && event->command[i] && !line->cut; i++) {
        const size_t mark = line->length;
        line_char(line, ' ');
        line_printable(line, event->command[i], strlen(event->command[i]));
        if (line->cut)
            line->length = mark;
    }
    const bool cut = line->cut || event->command_more > 0;
    line_back(line, line->length);
    line->size = size;
    if (cut)
        line_text(line, more);
    line_text(line, end);
}

/* What does not fit is cut off its end. */
static void finding_words(struct line *line, const struct event *event, const struct text_style *style) {
    const char *name = event->finding ? event->finding : "?";
    line_text(line, "finding ");
    socket_words(line, event);
    group(line);
    paint(line, style, yellow);
    line_printable(line, name, strlen(name));
    line_text(line, event->possible ? " (possible)" : "");
    paint(line, style, plain);
    for (size_t i = 0; event->evidence && event->evidence[i] && !line->cut; i++) {
        line_text(line, i == 0 ? ": " : "; ");
        line_printable(line, event->evidence[i], strlen(event->evidence[i]));
    }
}

static void rule_words(struct line *line, const struct event *event) {
    line_text(line, "+++ rule: ");
    line_text(line, event->fired ? "fired " : event->fired_nowhere ? "NEVER FIRED " : "fired elsewhere ");
    if (event->fired) {
        line_unsigned(line, event->fired);
        line_text(line, event->fired == 1 ? " time " : " times ");
    }
    line_text(line, "(matched ");
    line_unsigned(line, event->matched);
    line_text(line, event->matched == 1 ? " time): " : " times): ");
    rule_and(line, event->rule ? event->rule : "", " +++");
}

static void end_words(struct line *line, const struct event *event) {
    line_text(line, "+++ ");
    line_unsigned(line, event->events);
    line_text(line, event->events == 1 ? " event, " : " events, ");
    line_unsigned(line, event->lost);
    line_text(line, " lost, kernel asked ");
    line_unsigned(line, event->asked);
    line_text(line, event->asked == 1 ? " time" : " times");
    if (event->contradicted > 0) {
        line_text(line, ", knew better ");
        line_unsigned(line, event->contradicted);
        line_text(line, event->contradicted == 1 ? " time" : " times");
    }
    line_text(line, " +++");
}

static void unseen_words(struct line *line, const struct event *event) {
    line_text(line, "+++ what it does is not in the trace");
    if (reach_reason(event->reach)) {
        line_text(line, ": ");
        line_text(line, reach_reason(event->reach));
    }
    line_text(line, " +++");
}

size_t render_text(const struct event *event, const struct text_style *style, char *buffer, size_t size) {
    struct line line;
    line_init(&line, buffer, size);
    line_reserve(&line, 1);
    prefix(&line, event, style);
    if (event->op == OP_START)
        start_words(&line, event);
    else if (event->op == OP_RULE)
        rule_words(&line, event);
    else if (event->op == OP_END)
        end_words(&line, event);
    else if (event->op == OP_UNSEEN)
        unseen_words(&line, event);
    else if (event->op == OP_FINDING)
        finding_words(&line, event, style);
    else
        happening(&line, event, style);
    line_back(&line, line.length);
    line.size = size;
    line_char(&line, '\n');
    return line.length;
}
