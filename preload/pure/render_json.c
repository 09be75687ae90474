#include <string.h>

#include "line.h"
#include "names.h"
#include "render.h"

/*
 * A member is added whole or not at all, and two bytes are kept for the end of the object: so the line is a whole
 * object however small the buffer is.
 */
enum { OBJECT_END_SIZE = 2, INJECTED_RESERVE = 48 };

/*
 * How a member begins: a comma (the first one's becomes the object's brace), its name, a colon; made by the compiler.
 * All are of one size, and copied whole where there is room, so that a member is few instructions and the code for
 * thirty of them small: in a server that does other things between two lines it is the code that must be fetched first.
 */
struct head {
    char text[31];
    uint8_t length;
};

#define HEAD(name)                                                                               \
    ({                                                                                           \
        static const struct head head_of_name = {",\"" name "\":", sizeof ",\"" name "\":" - 1}; \
        &head_of_name;                                                                           \
    })

static __attribute__((noinline)) void begin_in_little_room(struct line *line, const struct head *head) {
    line_bytes(line, head->text, head->length);
}

static inline void begin(struct line *line, const struct head *head) {
    if (__builtin_expect(line->cut || line->size - line->length < sizeof *head, 0)) {
        begin_in_little_room(line, head);
        return;
    }
    memcpy(line->text + line->length, head, sizeof *head);
    line->length += head->length;
}

static void string(struct line *line, const char *text, size_t length) {
    line_char(line, '"');
    line_json_escaped(line, text, length);
    line_char(line, '"');
}

static void whole_or_nothing(struct line *line, size_t mark) {
    if (line->cut)
        line_back(line, mark);
}

static void member_unsigned(struct line *line, const struct head *head, uint64_t number) {
    const size_t mark = line->length;
    begin(line, head);
    line_unsigned(line, number);
    whole_or_nothing(line, mark);
}

static void member_signed(struct line *line, const struct head *head, int64_t number) {
    const size_t mark = line->length;
    begin(line, head);
    line_signed(line, number);
    whole_or_nothing(line, mark);
}

static void member_seconds(struct line *line, const struct head *head, uint64_t microseconds) {
    const size_t mark = line->length;
    begin(line, head);
    line_seconds(line, microseconds);
    whole_or_nothing(line, mark);
}

static void member_bool(struct line *line, const struct head *head, bool value) {
    const size_t mark = line->length;
    begin(line, head);
    line_text(line, value ? "true" : "false");
    whole_or_nothing(line, mark);
}

/* A text that needs no escaping: a word of names.h, an address. NULL: the member does not apply. */
static void member_plain(struct line *line, const struct head *head, const char *word) {
    const size_t mark = line->length;
    if (!word)
        return;
    begin(line, head);
    line_char(line, '"');
    line_text(line, word);
    line_char(line, '"');
    whole_or_nothing(line, mark);
}

static void member_word(struct line *line, const struct head *head, const char *word) {
    const size_t mark = line->length;
    if (!word)
        return;
    begin(line, head);
    string(line, word, strlen(word));
    whole_or_nothing(line, mark);
}

static size_t comm_length(const char comm[COMM_SIZE]) {
    const char *end = memchr(comm, '\0', COMM_SIZE);
    return end ? (size_t)(end - comm) : COMM_SIZE;
}

static void member_comm(struct line *line, const char comm[COMM_SIZE]) {
    const size_t mark = line->length;
    begin(line, HEAD("comm"));
    string(line, comm, comm_length(comm));
    whole_or_nothing(line, mark);
}

/* A list of which as many items are shown as leave room for what follows it; the others are counted in KEY_more. */
struct list {
    const char *name;
    size_t count;                                                         /* in all */
    size_t known;                                                         /* of which item() can show */
    void (*item)(struct line *line, const struct event *event, size_t i); /* may leave the line cut */
    void (*follows)(struct line *line, const struct event *event);        /* members; NULL: none */
};

static void list_key(struct line *line, const char *name) {
    line_text(line, ",\"");
    line_text(line, name);
    line_text(line, "\":[");
}

static void list_more(struct line *line, const char *name, size_t more) {
    line_text(line, ",\"");
    line_text(line, name);
    line_text(line, "_more\":");
    line_unsigned(line, more);
}

static size_t members_length(void (*members)(struct line *, const struct event *), struct line *line,
                             const struct event *event) {
    const size_t mark = line->length;
    if (members)
        members(line, event);
    const size_t length = line->length - mark;
    line_back(line, mark);
    return length;
}

static size_t list_items(struct line *line, const struct event *event, const struct list *list) {
    for (size_t i = 0; i < list->known; i++) {
        const size_t mark = line->length;
        if (i > 0)
            line_char(line, ',');
        list->item(line, event, i);
        if (line->cut) {
            line_back(line, mark);
            return i;
        }
    }
    return list->known;
}

/* Within the room that the line has now. */
static void list_whole(struct line *line, const struct event *event, const struct list *list) {
    list_key(line, list->name);
    if (list->known < list->count || list_items(line, event, list) < list->known)
        line->cut = true;
    line_char(line, ']');
}

static void list_counted(struct line *line, const struct event *event, const struct list *list, size_t closing) {
    list_key(line, list->name);
    const size_t size = line_reserve(line, closing);
    const size_t shown = line->cut ? 0 : list_items(line, event, list);
    line->size = size;
    line_char(line, ']');
    list_more(line, list->name, list->count - shown);
}

static void member_list(struct line *line, const struct event *event, const struct list *list) {
    const size_t mark = line->length;
    const size_t opening = strlen(list->name) + sizeof ",\"\":[";
    const size_t closing = strlen(list->name) + sizeof "],\"_more\":18446744073709551615";
    const size_t size = line_reserve(line, opening + closing);
    const size_t follows = members_length(list->follows, line, event);
    line->size = size;
    line_reserve(line, follows);
    list_whole(line, event, list);
    if (line->cut) {
        line_back(line, mark);
        list_counted(line, event, list, closing);
    }
    line->size = size;
    whole_or_nothing(line, mark);
}

static void who_and_what(struct line *line, const struct event *event) {
    member_seconds(line, HEAD("time"), event->time_us);
    member_signed(line, HEAD("pid"), event->pid);
    member_signed(line, HEAD("tid"), event->tid);
    member_comm(line, event->comm);
    member_plain(line, HEAD("op"), op_name(event->op));
    if (event->op != OP_START)
        member_word(line, HEAD("call"), event->call);
}

/* One without a name (a fault rule may inject any) is its number. */
static void member_errno(struct line *line, int error) {
    const size_t mark = line->length;
    if (errno_name(error)) {
        member_plain(line, HEAD("errno"), errno_name(error));
        return;
    }
    begin(line, HEAD("errno"));
    line_char(line, '"');
    line_signed(line, error);
    line_char(line, '"');
    whole_or_nothing(line, mark);
}

static void call_members(struct line *line, const struct event *event) {
    if (event->has & HAS_FD)
        member_signed(line, HEAD("fd"), event->fd);
    if (event->has & HAS_RET)
        member_signed(line, HEAD("ret"), event->ret);
    if (event->has & HAS_ERRNO)
        member_errno(line, event->error);
    if (event->has & HAS_HOW)
        member_plain(line, HEAD("how"), how_name(event->how));
    if (event->has & HAS_CHILD)
        member_signed(line, HEAD("child"), event->child);
    if (event->has & HAS_SHARED)
        member_unsigned(line, HEAD("shared"), event->shared);
    if (event->has & HAS_STATUS)
        member_signed(line, HEAD("status"), event->status);
}

static void member_address(struct line *line, const struct head *head, const struct address *address) {
    char text[ADDRESS_TEXT_SIZE];
    if (address_is_unspecified(address))
        return;
    address_to_text(address, text);
    member_plain(line, head, text);
}

static void socket_members(struct line *line, const struct event *event) {
    const size_t mark = line->length;
    if (!(event->has & HAS_SOCKET))
        return;
    begin(line, HEAD("socket"));
    line_char(line, '"');
    line_unsigned(line, event->cookie);
    line_char(line, '"');
    whole_or_nothing(line, mark);
    member_address(line, HEAD("local"), &event->local);
    member_address(line, HEAD("remote"), &event->remote);
    member_plain(line, HEAD("role"), role_name(event->role));
}

static void verdict_members(struct line *line, const struct event *event) {
    if (event->has & HAS_REFS_BEFORE)
        member_unsigned(line, HEAD("refs_before"), event->refs_before);
    if (event->has & HAS_REFS_AFTER)
        member_unsigned(line, HEAD("refs_after"), event->refs_after);
    if (event->refs_partial)
        member_bool(line, HEAD("refs_partial"), true);
    member_plain(line, HEAD("fin"), fin_name(event->fin));
    member_plain(line, HEAD("why"), why_name(event->why));
    if (event->fin != FIN_UNSET)
        member_bool(line, HEAD("verified"), event->verified);
    if (event->has & HAS_PENDING)
        member_unsigned(line, HEAD("pending"), event->pending);
    if (event->has & HAS_BACKLOG)
        member_unsigned(line, HEAD("backlog"), event->backlog);
    if (event->has & HAS_LOST)
        member_unsigned(line, HEAD("lost"), event->lost);
    member_plain(line, HEAD("would"), fin_name(event->would));
}

static void member_caller(struct line *line, const struct event *event) {
    const size_t mark = line->length;
    const char *end = memchr(event->caller_module, '\0', CALLER_MODULE_SIZE);
    const size_t length = end ? (size_t)(end - event->caller_module) : CALLER_MODULE_SIZE;
    if (length == 0)
        return;
    begin(line, HEAD("caller"));
    line_char(line, '"');
    line_json_escaped(line, event->caller_module, length);
    line_text(line, "+0x");
    line_hex(line, event->caller_offset);
    line_char(line, '"');
    whole_or_nothing(line, mark);
}

/* A rule may be of any length: what does not fit is cut off its end. */
static void member_rule(struct line *line, const struct head *head, const char *rule) {
    const size_t mark = line->length;
    if (!rule)
        return;
    begin(line, head);
    line_char(line, '"');
    if (!line->cut) {
        const size_t size = line_reserve(line, INJECTED_RESERVE);
        line_json_escaped(line, rule, strlen(rule));
        line->size = size;
        line_back(line, line->length);
    }
    line_char(line, '"');
    whole_or_nothing(line, mark);
}

static void connection_members(struct line *line, const struct event *event) {
    member_plain(line, HEAD("state_before"), state_name(event->state_before));
    member_plain(line, HEAD("state_after"), state_name(event->state_after));
    if (event->has & HAS_UNREAD)
        member_unsigned(line, HEAD("unread"), event->unread);
    if (event->has & HAS_UNSENT)
        member_unsigned(line, HEAD("unsent"), event->unsent);
    if (event->has & HAS_TRAFFIC) {
        member_unsigned(line, HEAD("sent"), event->sent);
        member_unsigned(line, HEAD("received"), event->received);
        member_unsigned(line, HEAD("unacked"), event->unacked);
    }
    if (event->has & HAS_IDLE)
        member_seconds(line, HEAD("idle"), event->idle_us);
    if (event->has & HAS_IN_STATE)
        member_seconds(line, HEAD("in_state"), event->in_state_us);
    if (event->has & HAS_EXPIRES)
        member_seconds(line, HEAD("expires"), event->expires_us);
    if (event->used != USED_UNSET)
        member_bool(line, HEAD("used"), event->used == USED_YES);
    member_plain(line, HEAD("last"), last_name(event->last));
    if (event->has & HAS_AFTER_FIN)
        member_seconds(line, HEAD("after_fin"), event->after_fin_us);
    if (event->has & HAS_ASKED_AFTER)
        member_seconds(line, HEAD("asked_after"), event->asked_after_us);
    if (event->has & HAS_ASKED)
        member_unsigned(line, HEAD("asked"), event->asked);
    member_plain(line, HEAD("peer_state"), state_name(event->peer_state));
    member_plain(line, HEAD("sigpipe"), sigpipe_name(event->sigpipe));
    member_caller(line, event);
    member_rule(line, HEAD("injected"), event->injected);
    member_rule(line, HEAD("not_injected"), event->not_injected);
    member_word(line, HEAD("not_injected_why"), event->not_injected_why);
    if (event->has & HAS_DURATION)
        member_seconds(line, HEAD("duration"), event->duration_us);
}

static void holder_item(struct line *line, const struct event *event, size_t i) {
    const struct holder *holder = &event->holders[i];
    line_text(line, "{\"pid\":");
    line_signed(line, holder->pid);
    if (holder->fd < 0 || holder->tid) {
        line_text(line, ",\"tid\":");
        line_signed(line, holder->tid);
    }
    line_text(line, ",\"comm\":");
    string(line, holder->comm, comm_length(holder->comm));
    if (holder->fd >= 0) {
        line_text(line, ",\"fd\":");
        line_signed(line, holder->fd);
    } else if (holder->call) {
        line_text(line, ",\"call\":");
        string(line, holder->call, strlen(holder->call));
    }
    line_char(line, '}');
}

static void socket_event(struct line *line, const struct event *event) {
    const struct list holders = {"holders", event->holder_count, event->holders_named, holder_item, connection_members};
    call_members(line, event);
    socket_members(line, event);
    verdict_members(line, event);
    if (event->holder_count > 0)
        member_list(line, event, &holders);
    connection_members(line, event);
}

static size_t string_count(const char *const *strings) {
    size_t count = 0;
    while (strings && strings[count])
        count++;
    return count;
}

static void rule_item(struct line *line, const struct event *event, size_t i) {
    string(line, event->rules[i], strlen(event->rules[i]));
}

static void command_item(struct line *line, const struct event *event, size_t i) {
    string(line, event->command[i], strlen(event->command[i]));
}

static void seed_and_rules(struct line *line, const struct event *event) {
    const size_t count = string_count(event->rules);
    const struct list rules = {"rules", count + event->rules_more, count, rule_item, NULL};
    member_unsigned(line, HEAD("seed"), event->seed);
    if (rules.count > 0)
        member_list(line, event, &rules);
}

static void start_event(struct line *line, const struct event *event) {
    const size_t count = string_count(event->command);
    const struct list command = {"command", count + event->command_more, count, command_item, seed_and_rules};
    member_unsigned(line, HEAD("schema"), 1);
    member_word(line, HEAD("version"), event->version ? event->version : CLOSETRACE_VERSION);
    if (event->reach)
        member_plain(line, HEAD("reach"), reach_name(event->reach));
    if (event->command)
        member_list(line, event, &command);
    seed_and_rules(line, event);
}

static void socket_item(struct line *line, const struct event *event, size_t i) {
    string(line, event->sockets[i], strlen(event->sockets[i]));
}

static void evidence_item(struct line *line, const struct event *event, size_t i) {
    string(line, event->evidence[i], strlen(event->evidence[i]));
}

/* The connection is that of its first socket. */
static void finding_event(struct line *line, const struct event *event) {
    const size_t evidence_count = string_count(event->evidence);
    const struct list sockets = {"sockets", string_count(event->sockets), string_count(event->sockets), socket_item,
                                 NULL};
    const struct list evidence = {"evidence", evidence_count, evidence_count, evidence_item, NULL};
    member_word(line, HEAD("finding"), event->finding);
    if (event->possible)
        member_bool(line, HEAD("possible"), true);
    socket_members(line, event);
    member_caller(line, event);
    if (event->sockets)
        member_list(line, event, &sockets);
    if (event->evidence)
        member_list(line, event, &evidence);
}

static void rule_event(struct line *line, const struct event *event) {
    member_unsigned(line, HEAD("matched"), event->matched);
    member_unsigned(line, HEAD("fired"), event->fired);
    if (event->fired_nowhere)
        member_bool(line, HEAD("fired_nowhere"), true);
    member_rule(line, HEAD("rule"), event->rule);
}

static void end_event(struct line *line, const struct event *event) {
    member_unsigned(line, HEAD("events"), event->events);
    member_unsigned(line, HEAD("lost"), event->lost);
    member_unsigned(line, HEAD("asked"), event->asked);
    member_unsigned(line, HEAD("contradicted"), event->contradicted);
}

size_t render_json(const struct event *event, char *buffer, size_t size) {
    struct line line;
    if (size < sizeof "{}")
        return 0;
    line_init(&line, buffer, size);
    line_reserve(&line, OBJECT_END_SIZE);
    who_and_what(&line, event);
    if (event->op == OP_START)
        start_event(&line, event);
    else if (event->op == OP_RULE)
        rule_event(&line, event);
    else if (event->op == OP_END)
        end_event(&line, event);
    else if (event->op == OP_FINDING)
        finding_event(&line, event);
    else if (event->op == OP_UNSEEN)
        member_plain(&line, HEAD("reach"), reach_name(event->reach));
    else
        socket_event(&line, event);
    line.size = size;
    if (line.length == 0)
        line_char(&line, '{');
    line.text[0] = '{';
    line_text(&line, "}\n");
    return line.length;
}
