/* Packed events: what comes out is what went in, and what was cut or changed is none. */
#include "pure/pack.h"
#include "pure/render.h"

#include <errno.h>

#include "events.h"
#include "unit.h"

static char packed[4096];

static void comes_through(const struct event *event) {
    static char line[RENDER_LINE_MAX + 1], again[RENDER_LINE_MAX + 1];
    struct event unpacked;
    size_t size = event_pack(event, packed, sizeof packed);
    CHECK(size > 0 && is_packed(packed, size));
    CHECK(event_unpack(packed, size, &unpacked));
    line[render_json(event, line, RENDER_LINE_MAX)] = '\0';
    again[render_json(&unpacked, again, RENDER_LINE_MAX)] = '\0';
    CHECK_TEXT(again, line);
}

static struct event rich_event(void) {
    struct event event = socket_event(OP_CLOSE, "close");
    event.has |= HAS_UNREAD | HAS_UNSENT | HAS_TRAFFIC | HAS_DURATION | HAS_IDLE | HAS_PENDING;
    fails(&event, EIO);
    counts(&event, 3, 2);
    ends(&event, FIN_WITHHELD, WHY_REFERENCES, true);
    turns(&event, STATE_CLOSE_WAIT, STATE_LAST_ACK);
    event.refs_partial = true;
    event.used = USED_YES;
    event.peer_state = STATE_FIN_WAIT2;
    event.sigpipe = SIGPIPE_FATAL;
    event.unread = UINT64_MAX;
    event.unsent = 1;
    event.sent = 2;
    event.received = 3;
    event.unacked = 4;
    event.idle_us = 5000000;
    event.pending = 6;
    event.duration_us = 7;
    event.remote = v6(443);
    snprintf(event.caller_module, CALLER_MODULE_SIZE, "nginx");
    event.caller_offset = 0x1f2e;
    event.injected = "close:lport=80:as=HOLD";
    event.not_injected = "a \"rule\"";
    event.not_injected_why = "for a reason";
    event_add_holder(&event, &(struct holder){.pid = 12, .fd = 5, .comm = "child"});
    event_add_holder(&event,
                     &(struct holder){.pid = 13, .fd = -1, .tid = 14, .call = "recv", .comm = "fifteen-letters"});
    event_add_holder(&event, NULL);
    return event;
}

static void events_come_through(void) {
    struct event event = rich_event();
    comes_through(&event);
    event = socket_event(OP_ACCEPT, "accept4");
    returns(&event, 9);
    comes_through(&event);
    event = bare_event(OP_FORK, "fork");
    event.has = HAS_CHILD | HAS_SHARED;
    event.child = 4712;
    event.shared = 3;
    comes_through(&event);
    event = socket_event(OP_EXIT, NULL);
    event.has |= HAS_STATUS | HAS_HOW;
    event.status = -1;
    event.how = 2;
    comes_through(&event);
}

static void others_go_as_lines(void) {
    static const enum event_op ops[] = {OP_START, OP_RULE, OP_FINDING, OP_END};
    for (unsigned i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct event event = bare_event(ops[i], NULL);
        CHECK(event_pack(&event, packed, sizeof packed) == 0);
    }
    CHECK(!is_packed("{}\n", 3));
    CHECK(!is_packed("", 0));
}

static void too_little_room(void) {
    struct event event = rich_event();
    size_t size = event_pack(&event, packed, sizeof packed);
    for (size_t room = 0; room < size; room++)
        CHECK(event_pack(&event, packed, room) == 0);
    CHECK(event_pack(&event, packed, size) == size);
}

static void cut_or_too_long(void) {
    struct event event = rich_event(), unpacked;
    size_t size = event_pack(&event, packed, sizeof packed);
    for (size_t length = 0; length < size; length++)
        CHECK(!event_unpack(packed, length, &unpacked));
    CHECK(!event_unpack(packed, size + 1, &unpacked));
}

/* The first bytes are kinds of things: what no kind has is refused. */
static void no_such_kind(void) {
    enum { PARTS = 2, KINDS = 12 };
    struct event event = rich_event(), unpacked;
    size_t size = event_pack(&event, packed, sizeof packed);
    for (unsigned i = 0; i < KINDS; i++) {
        char was = packed[i];
        packed[i] = (char)0xff;
        CHECK(i == PARTS || !event_unpack(packed, size, &unpacked));
        packed[i] = was;
    }
    CHECK(event_unpack(packed, size, &unpacked));
}

int main(void) {
    events_come_through();
    others_go_as_lines();
    too_little_room();
    cut_or_too_long();
    no_such_kind();
    return unit_failures();
}
