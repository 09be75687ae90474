#include "explain.h"

#include <string.h>

#include "event_words.h"
#include "pure/line.h"
#include "pure/names.h"

static void plural(struct line *line, uint64_t count, const char *word) {
    line_unsigned(line, count);
    line_char(line, ' ');
    line_text(line, word);
    if (count != 1)
        line_char(line, 's');
}

static void who(struct line *line, const struct event *event) {
    const size_t length = strnlen(event->comm, COMM_SIZE);
    if (length > 0)
        line_printable(line, event->comm, length);
    else
        line_text(line, "The process");
}

static void printable(struct line *line, const char *text) {
    line_printable(line, text, strlen(text));
}

static void call_of(struct line *line, const struct event *event) {
    const char *name = event->call ? event->call : op_name(event->op);
    printable(line, name ? name : "?");
    if (!name || strncmp(name, "SIG", 3) != 0)
        line_text(line, "()");
}

static void descriptor(struct line *line, const struct event *event, const char *before) {
    if (!(event->has & HAS_FD) || event->fd < 0)
        return;
    line_text(line, before);
    line_text(line, "descriptor ");
    line_signed(line, event->fd);
}

static void address(struct line *line, const char *before, const struct address *address) {
    char text[ADDRESS_TEXT_SIZE];
    if (address_is_unspecified(address))
        return;
    address_to_text(address, text);
    line_text(line, before);
    line_text(line, text);
}

static void full_stop(struct line *line) {
    line_text(line, ". ");
}

static void failure(struct line *line, const struct event *event) {
    if (!(event->has & HAS_RET) || event->ret != -1)
        return;
    const char *name = event->has & HAS_ERRNO ? errno_name(event->error) : NULL;
    line_text(line, "The call failed: ");
    line_text(line, name ? name : "no errno");
    full_stop(line);
}

static void references(struct line *line, const struct event *event) {
    if (!(event->has & HAS_REFS_BEFORE) || !(event->has & HAS_REFS_AFTER))
        return;
    plural(line, event->refs_before, "reference");
    line_text(line, " to the socket before the call (descriptors, in all processes), ");
    if (event->refs_after == 0)
        line_text(line, "none");
    else
        line_unsigned(line, event->refs_after);
    line_text(line, " after it");
    if (event->refs_partial)
        line_text(line, " (at least: not every process could be looked into)");
    full_stop(line);
}

static void one_holder(struct line *line, const struct holder *holder) {
    const bool is_call = holder->fd < 0 && holder->call;
    if (is_call) {
        line_text(line, "thread ");
        line_signed(line, holder->tid);
        line_text(line, " of ");
    }
    line_text(line, "pid ");
    line_signed(line, holder->pid);
    line_text(line, " (");
    line_printable(line, holder->comm, strnlen(holder->comm, COMM_SIZE));
    line_text(line, is_call ? "), inside " : ") as descriptor ");
    if (is_call) {
        printable(line, holder->call);
        line_text(line, "()");
    } else
        line_signed(line, holder->fd);
}

static void holders(struct line *line, const struct event *event) {
    if (event->holder_count == 0)
        return;
    line_text(line, "Held by ");
    for (unsigned i = 0; i < event->holders_named && i < HOLDERS_SHOWN; i++) {
        line_text(line, i > 0 ? "; " : "");
        one_holder(line, &event->holders[i]);
    }
    if (event->holder_count > event->holders_named) {
        line_text(line, event->holders_named > 0 ? "; and " : "");
        line_unsigned(line, event->holder_count - event->holders_named);
        line_text(line, event->holders_named > 0 ? " more" : " others");
    }
    full_stop(line);
}

static void what_left(struct line *line, const struct event *event) {
    static const char *const words[FIN_COUNT] = {
        [FIN_SENT] = "The kernel sent a FIN, the mark that nothing more will follow",
        [FIN_WITHHELD] = "No FIN has left",
        [FIN_ALREADY] = "The FIN had left before, this call sends none",
        [FIN_RESET] = "The kernel sent an RST in place of a FIN",
        [FIN_NONE] = "There was nothing to end",
    };
    if (event->fin != FIN_QUEUED) {
        line_text(line, words[event->fin] ? words[event->fin] : "?");
        return;
    }
    line_text(line, "The FIN waits behind ");
    if (event->has & HAS_UNSENT)
        line_unsigned(line, event->unsent);
    else
        line_text(line, "some");
    line_text(line, " unsent bytes");
}

static void verdict(struct line *line, const struct event *event) {
    if (event->fin == FIN_UNSET || event->fin >= FIN_COUNT)
        return;
    what_left(line, event);
    if (because(event->why)) {
        line_text(line, ", ");
        line_text(line, because(event->why));
    }
    full_stop(line);
    holders(line, event);
    if (event->has & HAS_UNREAD && event->unread > 0) {
        plural(line, event->unread, "byte");
        line_text(line, " had arrived and not been read. ");
    }
    if (event->has & HAS_PENDING && event->pending > 0) {
        plural(line, event->pending, "connection");
        line_text(line, " waiting in its queue. ");
    }
    line_text(line, event->verified ? "The kernel was asked afterwards, and agrees. "
                                    : "This is a prediction: the kernel was not asked afterwards. ");
}

static void states(struct line *line, const struct event *event) {
    const char *before = state_name(event->state_before), *after = state_name(event->state_after);
    if (!after)
        return;
    const bool moved = before && event->state_before != event->state_after;
    line_text(line, moved ? "The kernel's state went from " : "The kernel's state is ");
    if (moved) {
        line_text(line, before);
        line_text(line, " to ");
    }
    line_text(line, after);
    if (state_words(event->state_after)) {
        line_text(line, ": ");
        line_text(line, state_words(event->state_after));
    }
    full_stop(line);
}

static void start(struct line *line, const struct event *event) {
    const bool supervised = event->reach == REACH_SUPERVISED;
    line_text(line, supervised ? "The command is told of this process's closing calls" : "closetrace ");
    if (!supervised) {
        printable(line, event->version ? event->version : "");
        line_text(line, " is in this process");
    }
    for (const char *const *word = event->command; word && *word; word++) {
        line_text(line, word == event->command ? ": " : " ");
        printable(line, *word);
    }
    full_stop(line);
}

static void connecting(struct line *line, const struct event *event) {
    who(line, event);
    line_text(line, " calls ");
    call_of(line, event);
    address(line, " to ", &event->remote);
    descriptor(line, event, " with ");
    address(line, ", from ", &event->local);
    full_stop(line);
    const char *error = event->has & HAS_RET && event->ret == -1 ? errno_name(event->error) : NULL;
    if (error && strcmp(error, "EINPROGRESS") == 0)
        line_text(line, "It did not wait for the handshake (EINPROGRESS). ");
    else
        failure(line, event);
    verdict(line, event);
}

static void accepting(struct line *line, const struct event *event) {
    who(line, event);
    line_text(line, " takes a connection");
    address(line, " from ", &event->remote);
    line_text(line, " out of its listener's queue");
    if (event->has & HAS_RET && event->ret >= 0) {
        line_text(line, ": descriptor ");
        line_signed(line, event->ret);
    }
    full_stop(line);
    failure(line, event);
}

static void duplicating(struct line *line, const struct event *event) {
    who(line, event);
    if (event->has & HAS_RET && event->ret >= 0) {
        line_text(line, " gets descriptor ");
        line_signed(line, event->ret);
        line_text(line, " as one more name of the socket behind");
        descriptor(line, event, " ");
    } else
        line_text(line, " asks for one more name of the socket");
    line_text(line, ": ");
    call_of(line, event);
    full_stop(line);
    failure(line, event);
    references(line, event);
}

static void forking(struct line *line, const struct event *event) {
    who(line, event);
    line_text(line, " makes a child");
    if (event->has & HAS_CHILD) {
        line_text(line, ", ");
        line_signed(line, event->child);
    }
    if (event->has & HAS_SHARED) {
        line_text(line, ", which shares ");
        plural(line, event->shared, "TCP socket");
        line_text(line, " with it");
    }
    full_stop(line);
    references(line, event);
}

static void passing(struct line *line, const struct event *event) {
    who(line, event);
    if (event->op == OP_SEND_FD) {
        line_text(line, " puts a copy of");
        descriptor(line, event, " ");
        line_text(line, " into a unix socket's queue: ");
    } else {
        line_text(line, " takes the socket out of a unix socket's queue");
        descriptor(line, event, ", as ");
        line_text(line, ": ");
    }
    call_of(line, event);
    full_stop(line);
    if (event->op == OP_SEND_FD)
        failure(line, event);
    references(line, event);
}

static void learning(struct line *line, const struct event *event) {
    who(line, event);
    line_text(line, " learns from ");
    call_of(line, event);
    descriptor(line, event, " on ");
    line_text(line, event->op == OP_EOF ? " that the peer's FIN has come: no more will follow"
                                        : " that the peer has reset the connection");
    full_stop(line);
    states(line, event);
}

static void standing(struct line *line, const struct event *event) {
    line_text(line, "Seen without a call: ");
    descriptor(line, event, "");
    line_text(line, event->has & HAS_FD && event->fd >= 0 ? " stands" : "the socket stands");
    if (event->has & HAS_IDLE) {
        line_text(line, " without traffic for ");
        line_unsigned(line, event->idle_us / 1000000);
        line_text(line, " s");
    }
    full_stop(line);
    states(line, event);
    if (event->fin == FIN_UNSET)
        holders(line, event);
    verdict(line, event);
}

static void not_seen(struct line *line, const struct event *event) {
    who(line, event);
    line_text(line, ", process ");
    line_signed(line, event->pid);
    line_text(line, ", is part of the tree, and what it did is not in the trace");
    if (reach_reason(event->reach)) {
        line_text(line, ": ");
        line_text(line, reach_reason(event->reach));
    }
    full_stop(line);
}

static void rule(struct line *line, const struct event *event) {
    line_text(line, "In this process the fault rule ");
    printable(line, event->rule ? event->rule : "?");
    line_text(line, " matched ");
    plural(line, event->matched, "call");
    line_text(line, " and was carried out ");
    plural(line, event->fired, "time");
    if (event->fired_nowhere)
        line_text(line, ", nor was it in any other: it has proven nothing");
    full_stop(line);
}

static void finding(struct line *line, const struct event *event) {
    line_text(line, event->possible ? "Possibly wrong, " : "Wrong, ");
    printable(line, event->finding ? event->finding : "?");
    for (const char *const *sentence = event->evidence; sentence && *sentence; sentence++) {
        line_text(line, sentence == event->evidence ? ": " : "; ");
        printable(line, *sentence);
    }
    full_stop(line);
}

static void end(struct line *line, const struct event *event) {
    line_text(line, "This process logged ");
    plural(line, event->events, "event");
    if (event->lost > 0) {
        line_text(line, " and lost ");
        line_unsigned(line, event->lost);
    }
    if (event->asked > 0) {
        line_text(line, "; it asked the kernel ");
        plural(line, event->asked, "time");
    }
    if (event->contradicted > 0) {
        line_text(line, ", which corrected the prediction ");
        plural(line, event->contradicted, "time");
    }
    full_stop(line);
}

/* "shutdown(), SHUT_WR, on descriptor 7", "close()": what was called and on what. */
static void shutting(struct line *line, const struct event *event) {
    line_text(line, " calls ");
    call_of(line, event);
    if (event->has & HAS_HOW && how_name(event->how)) {
        line_text(line, ", ");
        line_text(line, how_name(event->how));
        line_char(line, ',');
    }
    descriptor(line, event, " on ");
}

static void leaving(struct line *line, const struct event *event, const char *before, const char *fd_before,
                    const char *after) {
    line_text(line, before);
    call_of(line, event);
    line_char(line, ')');
    descriptor(line, event, fd_before);
    line_text(line, event->has & HAS_FD ? after : "");
}

static void giving_up(struct line *line, const struct event *event) {
    descriptor(line, event, " gives up ");
    line_text(line, event->has & HAS_FD && event->fd >= 0 ? " (" : " gives up the socket (");
    call_of(line, event);
    line_char(line, ')');
}

static void ending_call(struct line *line, const struct event *event) {
    if (event->op == OP_RELEASE) {
        line_text(line, "What held the socket without a descriptor has let go of it. ");
        return;
    }
    who(line, event);
    if (event->op == OP_EXIT)
        leaving(line, event, " ends (", " with ", " open");
    else if (event->op == OP_EXEC)
        leaving(line, event, " starts another program (", ", which closes ", "");
    else if (event->op == OP_SHUTDOWN)
        shutting(line, event);
    else
        giving_up(line, event);
    if (event->injected) {
        line_text(line, ", changed by the fault rule ");
        printable(line, event->injected);
    }
    full_stop(line);
}

static void ending(struct line *line, const struct event *event) {
    ending_call(line, event);
    failure(line, event);
    references(line, event);
    verdict(line, event);
    states(line, event);
}

static void other(struct line *line, const struct event *event) {
    who(line, event);
    line_text(line, " calls ");
    call_of(line, event);
    descriptor(line, event, " on ");
    full_stop(line);
    failure(line, event);
    references(line, event);
}

typedef void teller_function(struct line *line, const struct event *event);

static teller_function *teller(const struct event *event) {
    static teller_function *const tellers[OP_COUNT] = {
        [OP_START] = start,    [OP_CONNECT] = connecting, [OP_ACCEPT] = accepting, [OP_DUP] = duplicating,
        [OP_FORK] = forking,   [OP_SEND_FD] = passing,    [OP_RECV_FD] = passing,  [OP_EOF] = learning,
        [OP_RESET] = learning, [OP_STATE] = standing,     [OP_NOW] = standing,     [OP_UNSEEN] = not_seen,
        [OP_RULE] = rule,      [OP_FINDING] = finding,    [OP_END] = end,
    };
    if ((unsigned)event->op < OP_COUNT && tellers[event->op])
        return tellers[event->op];
    return event->fin ? ending : other;
}

void explain_event(const struct event *event, char text[EXPLAIN_MAX]) {
    struct line line;
    line_init(&line, text, EXPLAIN_MAX - 1);
    teller(event)(&line, event);
    while (line.length > 0 && text[line.length - 1] == ' ')
        line.length--;
    text[line.length] = '\0';
}
