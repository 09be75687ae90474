/* Lines as the library writes them, read and written again; and what is refused. */
#include "pure/render.h"
#include "reader/match.h"
#include "reader/parse.h"

#include "events.h"
#include "unit.h"

static struct event_wrong wrong;

static bool parse(const char *line, size_t length, struct event *event) {
    static _Alignas(16) char memory[EVENT_STORE_SIZE(RENDER_LINE_MAX)];
    const struct event_store store = {memory, sizeof memory};
    return event_parse(line, length, event, &store, &wrong);
}

static void check_again(const struct event *event) {
    char line[RENDER_LINE_MAX + 1], again[RENDER_LINE_MAX + 1];
    char text[RENDER_LINE_MAX + 1], text_again[RENDER_LINE_MAX + 1];
    const struct text_style style = {.color = true, .utc_offset = 3600};
    struct event parsed;
    line[render_json(event, line, sizeof line - 1)] = '\0';
    if (!parse(line, strlen(line), &parsed)) {
        FAILED("%s: at %zu of %s", wrong.message, wrong.offset, line);
        return;
    }
    again[render_json(&parsed, again, sizeof again - 1)] = '\0';
    CHECK_TEXT(again, line);
    text[render_text(event, &style, text, sizeof text - 1)] = '\0';
    text_again[render_text(&parsed, &style, text_again, sizeof text_again - 1)] = '\0';
    CHECK_TEXT(text_again, text);
}

static void holders(void) {
    struct event event = socket_event(OP_CLOSE, "close");
    event.fin = FIN_WITHHELD;
    event.why = WHY_CALL_IN_PROGRESS;
    event.verified = true;
    event.refs_partial = true;
    struct holder holder = {.pid = 4712, .fd = 9, .comm = "a\"\\\x01\xff\xc3\xa4"};
    struct holder thread = {.pid = 4713, .fd = -1, .tid = 4714, .call = "recvfrom", .comm = "thread"};
    event_add_holder(&event, &holder);
    event_add_holder(&event, &thread);
    check_again(&event);
    for (int i = 0; i < 40; i++)
        event_add_holder(&event, &holder);
    check_again(&event);
}

static void bytes(void) {
    struct event event = socket_event(OP_EXIT, "_exit");
    /* Fifteen bytes that are not UTF-8 are forty-five of JSON. */
    memset(event.comm, 0xff, COMM_SIZE - 1);
    memset(event.caller_module, 0xfe, CALLER_MODULE_SIZE - 1);
    event.caller_offset = UINT64_MAX;
    event.has |= HAS_STATUS | HAS_TRAFFIC | HAS_UNREAD | HAS_UNSENT | HAS_IDLE | HAS_DURATION;
    event.status = -1;
    event.sent = UINT64_MAX;
    event.idle_us = 10000001;
    event.used = USED_NO;
    event.last = LAST_READ;
    event.has |= HAS_ASKED;
    event.asked = 70000;
    event.peer_state = STATE_FIN_WAIT2;
    event.has |= HAS_ASKED_AFTER;
    event.asked_after_us = 4698;
    check_again(&event);
    event.has |= HAS_LOST | HAS_IN_STATE | HAS_BACKLOG | HAS_EXPIRES;
    event.lost = 3000000;
    event.in_state_us = 10000001;
    event.expires_us = 43000000;
    event.backlog = 128;
    event.would = FIN_RESET;
    check_again(&event);
    event.local = v6(80);
    event.local.ip[0] = 0xfe;
    event.local.ip[1] = 0x80;
    event.local.scope_id = 3;
    event.injected = "close:as=RST\x1b[2J\xff";
    check_again(&event);
}

static void errors(void) {
    struct event event = socket_event(OP_WRITE, "send");
    event.has |= HAS_RET | HAS_ERRNO;
    event.ret = -1;
    event.sigpipe = SIGPIPE_FATAL;
    for (event.error = -1; event.error < 140; event.error++)
        if (event.error != 0)
            check_again(&event);
    event.error = 4000;
    check_again(&event);
}

static void frames(void) {
    const char *const command[] = {"a", "", "\xf0\x9f\x98\x80 \n", NULL};
    const char *const rules[] = {"close:as=RST", NULL};
    const char *const sockets[] = {"1", "2", NULL};
    const char *const evidence[] = {"one \x1b[31m", "two", NULL};
    struct event event = bare_event(OP_START, NULL);
    event.command = command;
    event.rules = rules;
    event.seed = UINT32_MAX;
    check_again(&event);
    event.version = "9.9";
    event.command_more = 3;
    check_again(&event);
    event = bare_event(OP_END, NULL);
    event.events = event.lost = event.asked = event.contradicted = UINT64_MAX;
    check_again(&event);
    event = socket_event(OP_FINDING, NULL);
    event.finding = "fin-withheld";
    event.possible = true;
    event.sockets = sockets;
    event.evidence = evidence;
    check_again(&event);
}

static void every_word(void) {
    for (int op = OP_CONNECT; op <= OP_READ; op++)
        for (int i = 1; i < WHY_COUNT; i++) {
            struct event event = socket_event((enum event_op)op, "call");
            event.why = (enum event_why)i;
            event.fin = (enum event_fin)(i % FIN_COUNT);
            event.verified = event.fin && i % 2;
            event.state_before = (enum tcp_state)(i % STATE_NEW_SYN_RECV);
            event.state_after = (enum tcp_state)(op % STATE_NEW_SYN_RECV);
            event.sigpipe = (enum event_sigpipe)(i % SIGPIPE_COUNT);
            event.role = (enum event_role)(i % ROLE_COUNT);
            event.has |= HAS_HOW | HAS_REFS_BEFORE | HAS_REFS_AFTER | HAS_PENDING;
            event.how = i % 3;
            check_again(&event);
        }
}

static void check_refused(const char *line, const char *message, bool newer) {
    struct event event;
    CHECK(!parse(line, strlen(line), &event));
    CHECK_TEXT(wrong.message, message);
    CHECK(wrong.newer == newer);
}

static void refused(void) {
    check_refused("{\"op\":\"close\"", "cut off", false);
    check_refused("{\"op\":\"clo", "cut off", false);
    check_refused("", "cut off", false);
    check_refused("hello", "not JSON", false);
    check_refused("{\"op\":\"clothe\"}", "unknown word", false);
    check_refused("{\"pid\":1}", "not an event: it has no \"op\"", false);
    check_refused("{\"op\":\"close\"}{", "more text after the object", false);
    check_refused("{\"op\":\"close\",\"fd\":\"7\"}", "not a value", false);
    check_refused("{\"op\":\"close\",\"fd\":99999999999}", "not a valid number", false);
    check_refused("{\"op\":\"close\",\"local\":\"localhost:80\"}", "not ADDRESS:PORT", false);
    check_refused("{\"op\":\"close\",\"call\":\"a\nb\"}", "a control character in a string", false);
    check_refused("{\"op\":\"start\",\"schema\":2}", "from a newer version of closetrace", true);
}

static void tolerant(void) {
    static const char line[] = " { \"new\" : [ { \"a\" : null } , -1.5e3 ] , \"op\" : \"close\", \"fd\" : 7 } ";
    struct event event;
    CHECK(parse(line, sizeof line - 1, &event));
    CHECK_NUMBER(event.op, OP_CLOSE);
    CHECK_NUMBER(event.fd, 7);
    static const char jq[] = "{\"op\":\"eof\",\"time\":1.25,\"duration\":1e-05}";
    CHECK(parse(jq, sizeof jq - 1, &event));
    CHECK_NUMBER(event.time_us, 1250000);
    CHECK_NUMBER(event.duration_us, 10);
}

static void check_match(const char *text, bool expected) {
    static const char line[] =
        "{\"time\":1.500000,\"pid\":7,\"op\":\"close\",\"call\":\"dup2\",\"refs_before\":2,\"socket\":\"99\",\"local\":"
        "\"127.0.0.1:80\",\"remote\":\"10.1.2.3:4000\",\"fin\":\"withheld\",\"verified\":true,\"holders\":[{\"pid\":8,"
        "\"comm\":\"nginx\",\"fd\":3}]}";
    const struct json_text json = {line, sizeof line - 1};
    struct parse_error error;
    struct match match;
    struct event event;
    char store[sizeof line];
    CHECK(parse(line, sizeof line - 1, &event));
    if (!match_parse(text, &match, &error))
        FAILED("%s: %s", text, error.message);
    else if (match_holds(&match, &event, &json, store, sizeof store) != expected)
        FAILED("%s %s", text, expected ? "does not hold" : "holds");
}

static void matches(void) {
    static const char *const holding[] = {"fin=withheld",
                                          "fin=with*",
                                          "fin!=sent",
                                          "pid=7",
                                          "pid=1..9",
                                          "pid=7+",
                                          "verified=true",
                                          "refs_before=2+",
                                          "refs=2",
                                          "lport=80",
                                          "raddr=10.0.0.0/8",
                                          "call=dup*",
                                          "socket=99",
                                          "holders=8",
                                          "holders=nginx",
                                          "time=1.2..1.6",
                                          "time=1.5",
                                          "why!=shutdown",
                                          "local=127.0.0.1:80",
                                          "child!=5",
                                          "fin=sent,withheld",
                                          "fin!=sent,queued",
                                          "pid=1,5..8",
                                          "lport=81,80",
                                          "holders=9,ngin*",
                                          "socket=98,99"};
    static const char *const failing[] = {
        "fin=sent,queued", "fin!=sent,with*", "pid=1,2", "lport!=80,81",   "fin=sent",  "fin!=withheld", "pid=8",
        "pid=8+",          "verified=false",  "why=*",   "holders=apache", "time=1.6+", "socket=9",      "child=1+"};
    for (unsigned i = 0; i < sizeof holding / sizeof *holding; i++)
        check_match(holding[i], true);
    for (unsigned i = 0; i < sizeof failing / sizeof *failing; i++)
        check_match(failing[i], false);
}

int main(void) {
    holders();
    bytes();
    errors();
    frames();
    every_word();
    refused();
    tolerant();
    matches();
    return unit_failures();
}
