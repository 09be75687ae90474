#include "pure/render.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "events.h"
#include "unit.h"
#include "json_check.h"

#define WHO(pid)  "{\"time\":50602.123456,\"pid\":" pid ",\"tid\":4711,\"comm\":\"nginx\""
#define ADDRESSES "\"local\":\"127.0.0.1:8080\",\"remote\":\"127.0.0.1:51432\",\"role\":\"server\""
#define SOCKET    "\"socket\":\"4097\"," ADDRESSES

static char buffer[8192];

static void show_to_jq(const char *line) {
    if (getenv("UNIT_JSON")) /* UNIT_JSON=1 test_render_json | jq */
        fputs(line, stdout);
}

static const char *in(const struct event *event, size_t size) {
    buffer[size] = '~';
    const size_t length = render_json(event, buffer, size);
    CHECK(length <= size && buffer[size] == '~');
    CHECK(size < 3 || is_json_line(buffer, length));
    buffer[length] = '\0';
    show_to_jq(buffer);
    return buffer;
}

static const char *line_of(const struct event *event) {
    return in(event, RENDER_LINE_MAX);
}

static void a_close(void) {
    struct event event = socket_event(OP_CLOSE, "close");
    event.has |= HAS_UNREAD | HAS_UNSENT | HAS_TRAFFIC | HAS_DURATION;
    returns(&event, 0);
    counts(&event, 1, 0);
    ends(&event, FIN_SENT, WHY_LAST_REFERENCE, true);
    turns(&event, STATE_ESTABLISHED, STATE_FIN_WAIT2);
    event.sent = 1000;
    event.received = UINT64_MAX;
    event.unacked = 1;
    event.duration_us = 42;
    snprintf(event.caller_module, CALLER_MODULE_SIZE, "nginx");
    event.caller_offset = 0x1f2e;
    CHECK_TEXT(line_of(&event),
               WHO("4711") ",\"op\":\"close\",\"call\":\"close\",\"fd\":7,\"ret\":0," SOCKET
                           ",\"refs_before\":1,\"refs_after\":0,\"fin\":\"sent\",\"why\":\"last-reference\","
                           "\"verified\":true,\"state_before\":\"ESTABLISHED\",\"state_after\":\"FIN_WAIT2\","
                           "\"unread\":0,\"unsent\":0,\"sent\":1000,\"received\":18446744073709551615,\"unacked\":1,"
                           "\"caller\":\"nginx+0x1f2e\",\"duration\":0.000042}\n");
}

static void everything_that_opens_or_shares(void) {
    struct event event = socket_event(OP_CONNECT, "connect");
    fails(&event, EINPROGRESS);
    event.role = ROLE_CLIENT;
    event.local = (struct address){.family = ADDRESS_V4};
    event.remote = v6(80);
    CHECK_TEXT(line_of(&event), WHO("4711") ",\"op\":\"connect\",\"call\":\"connect\",\"fd\":7,\"ret\":-1,"
                                            "\"errno\":\"EINPROGRESS\",\"socket\":\"4097\","
                                            "\"remote\":\"[::1]:80\",\"role\":\"client\"}\n");
    event = socket_event(OP_ACCEPT, "accept4");
    event.role = ROLE_UNSET;
    returns(&event, 9);
    event.cookie = UINT64_MAX;
    event.local.family = event.remote.family = ADDRESS_UNSET;
    CHECK_TEXT(line_of(&event), WHO("4711") ",\"op\":\"accept\",\"call\":\"accept4\",\"fd\":7,\"ret\":9,"
                                            "\"socket\":\"18446744073709551615\"}\n");
    event = bare_event(OP_FORK, "fork");
    event.has = HAS_CHILD | HAS_SHARED;
    event.child = 4712;
    event.shared = 3;
    CHECK_TEXT(line_of(&event), WHO("4711") ",\"op\":\"fork\",\"call\":\"fork\",\"child\":4712,\"shared\":3}\n");
    event = socket_event(OP_DUP, "dup");
    returns(&event, 9);
    counts(&event, 1, 2);
    event.refs_partial = true;
    CHECK_TEXT(line_of(&event), WHO("4711") ",\"op\":\"dup\",\"call\":\"dup\",\"fd\":7,\"ret\":9," SOCKET
                                            ",\"refs_before\":1,\"refs_after\":2,\"refs_partial\":true}\n");
}

static void everything_else(void) {
    struct event event = socket_event(OP_SHUTDOWN, "shutdown");
    event.has |= HAS_HOW;
    event.how = SHUT_RD;
    ends(&event, FIN_NONE, WHY_RECEIVE_SIDE, true);
    CHECK_TEXT(line_of(&event),
               WHO("4711") ",\"op\":\"shutdown\",\"call\":\"shutdown\",\"fd\":7,\"how\":\"SHUT_RD\"," SOCKET
                           ",\"fin\":\"none\",\"why\":\"receive-side\",\"verified\":true}\n");
    event = socket_event(OP_CLOSE, "close");
    event.has |= HAS_PENDING;
    event.pending = 3;
    event.injected = "close:delay_exit=1s:comm=\"x\"";
    ends(&event, FIN_NONE, WHY_LISTENING, true);
    CHECK_TEXT(line_of(&event), WHO("4711") ",\"op\":\"close\",\"call\":\"close\",\"fd\":7," SOCKET
                                            ",\"fin\":\"none\",\"why\":\"listening\",\"verified\":true,\"pending\":3,"
                                            "\"injected\":\"close:delay_exit=1s:comm=\\\"x\\\"\"}\n");
    event = socket_event(OP_EXIT, "return");
    event.has |= HAS_STATUS | HAS_UNREAD;
    event.status = 1;
    event.unread = 312;
    ends(&event, FIN_RESET, WHY_UNREAD_DATA, false);
    CHECK_TEXT(line_of(&event), WHO("4711") ",\"op\":\"exit\",\"call\":\"return\",\"fd\":7,\"status\":1," SOCKET
                                            ",\"fin\":\"reset\",\"why\":\"unread-data\",\"verified\":false,"
                                            "\"unread\":312}\n");
    event = socket_event(OP_EOF, "read");
    returns(&event, 0);
    event.state_after = STATE_CLOSE_WAIT;
    CHECK_TEXT(line_of(&event), WHO("4711") ",\"op\":\"eof\",\"call\":\"read\",\"fd\":7,\"ret\":0," SOCKET
                                            ",\"state_after\":\"CLOSE_WAIT\"}\n");
    event = socket_event(OP_WRITE, "write");
    fails(&event, EPIPE);
    event.sigpipe = SIGPIPE_FATAL;
    CHECK_TEXT(line_of(&event),
               WHO("4711") ",\"op\":\"write\",\"call\":\"write\",\"fd\":7,\"ret\":-1,\"errno\":\"EPIPE\"," SOCKET
                           ",\"sigpipe\":\"fatal\"}\n");
    fails(&event, 524);
    CHECK(strstr(line_of(&event), "\"errno\":\"524\""));
    event = bare_event(OP_RELEASE, NULL);
    CHECK_TEXT(line_of(&event), WHO("4711") ",\"op\":\"release\"}\n");
}

/* The words of every op and verdict, each where it belongs. */
static void every_word(void) {
    static const char *const ops[] = {"start", "connect", "accept",  "bind",    "dup",      "fork",
                                      "exec",  "send_fd", "recv_fd", "close",   "shutdown", "release",
                                      "exit",  "eof",     "reset",   "write",   "read",     "state",
                                      "now",   "unseen",  "rule",    "finding", "end"};
    static const char *const whys[] = {
        NULL,          "last-reference", "shutdown",      "references", "call-in-progress", "unread-data",
        "linger-zero", "after-shutdown", "not-connected", "listening",  "peer-reset",       "in-flight",
        "hidden",      "parked",         "receive-side",  "disconnect", "linger2",          "after-close",
        "timed-out",   "destroyed",      "over",          "refused"};
    static const char *const fins[] = {NULL, "sent", "queued", "withheld", "already", "reset", "none"};
    char wanted[100];
    for (int op = 0; op < OP_COUNT; op++) {
        const struct event event = bare_event((enum event_op)op, "call");
        snprintf(wanted, sizeof wanted, ",\"op\":\"%s\"", ops[op]);
        CHECK(strstr(line_of(&event), wanted));
    }
    for (int fin = 1; fin < FIN_COUNT; fin++)
        for (int why = 1; why < WHY_COUNT; why++) {
            struct event event = socket_event(OP_CLOSE, "close");
            ends(&event, (enum event_fin)fin, (enum event_why)why, fin % 2);
            snprintf(wanted, sizeof wanted, ",\"fin\":\"%s\",\"why\":\"%s\",\"verified\":%s}\n", fins[fin], whys[why],
                     fin % 2 ? "true" : "false");
            CHECK(strstr(line_of(&event), wanted));
        }
}

static void holders(void) {
    struct event event = socket_event(OP_CLOSE, "close");
    event.has = 0;
    ends(&event, FIN_WITHHELD, WHY_REFERENCES, true);
    held_by(&event, 4712, "nginx", 7);
    held_by_thread(&event, 4711, 4713, "a\"b", "recvfrom");
    turns(&event, STATE_ESTABLISHED, STATE_ESTABLISHED);
    const char *start = WHO("4711") ",\"op\":\"close\",\"call\":\"close\",\"fin\":\"withheld\",\"why\":\"references\","
                                    "\"verified\":true,\"holders\":[";
    const char *line = line_of(&event);
    CHECK(strncmp(line, start, strlen(start)) == 0);
    CHECK_TEXT(line + strlen(start), "{\"pid\":4712,\"comm\":\"nginx\",\"fd\":7},"
                                     "{\"pid\":4711,\"tid\":4713,\"comm\":\"a\\\"b\",\"call\":\"recvfrom\"}],"
                                     "\"state_before\":\"ESTABLISHED\",\"state_after\":\"ESTABLISHED\"}\n");
    for (int i = 2; i < 19; i++)
        held_by(&event, 4712, "nginx", i);
    CHECK(strstr(line_of(&event), "\"fd\":15}],\"holders_more\":3,\"state_before\""));
}

static unsigned times(const char *text, const char *word) {
    unsigned count = 0;
    while ((text = strstr(text, word))) {
        text++;
        count++;
    }
    return count;
}

/* Before anything else is left out, holders are; and those are counted. */
static void holders_go_first(void) {
    unsigned shown_before = 0;
    struct event event = widest_event(40);
    memset(event.comm, 'c', COMM_SIZE);
    event.injected = "close";
    for (size_t size = 1340; size <= 4096; size++) {
        char more[40];
        const char *line = in(&event, size);
        const unsigned shown = times(line, "{\"pid\":");
        snprintf(more, sizeof more, "],\"holders_more\":%u,\"state_before\":", 40 - shown);
        CHECK(shown >= shown_before && strstr(line, more));
        CHECK(strstr(line, ",\"injected\":\"close\",\"duration\":18446744073709.551615}\n"));
        shown_before = shown;
    }
    CHECK_NUMBER(shown_before, HOLDERS_SHOWN);
}

static void the_usual_event_is_whole_in_1024(void) {
    struct event event = socket_event(OP_CLOSE, "__close_nocancel");
    event.has = ~0U & ~(unsigned)(HAS_CHILD | HAS_SHARED | HAS_STATUS | HAS_HOW);
    event.time_us = UINT64_C(1999999999999999);
    event.local = event.remote = v6(65535);
    memset(&event.local.ip, 0x77, 16);
    memset(&event.remote.ip, 0x77, 16);
    ends(&event, FIN_WITHHELD, WHY_CALL_IN_PROGRESS, false);
    turns(&event, STATE_ESTABLISHED, STATE_ESTABLISHED);
    event.unread = event.unsent = event.sent = event.received = event.unacked = UINT64_C(999999999999);
    event.cookie = UINT64_C(0xffffffffff);
    snprintf(event.caller_module, CALLER_MODULE_SIZE, "libsomething.so.6.0.30");
    for (int i = 0; i < 20; i++)
        held_by(&event, 1000000 + i, "fifteen-letters", i);
    for (size_t size = 1024; size <= 4096; size++) {
        const char *line = in(&event, size);
        CHECK(times(line, "{\"pid\":") >= 1);
        CHECK(strstr(line, ",\"holders_more\":") && strstr(line, ",\"duration\":0.000000}\n"));
    }
}

static void long_rules_are_cut(void) {
    char rule[6000];
    struct event event = widest_event(3);
    for (size_t i = 0; i < sizeof rule; i++)
        rule[i] = "r\"\xc3\xa4"[i % 4];
    rule[sizeof rule - 1] = '\0';
    event.injected = rule;
    for (size_t size = 1500; size <= 4096; size++)
        CHECK(strstr(in(&event, size), ",\"injected\":\"r\\\"\xc3\xa4"));
}

static void rules(void) {
    struct event event = bare_event(OP_RULE, NULL);
    event.rule = "write:short=1:comm=\"";
    event.matched = 7;
    event.fired = 2;
    CHECK(strstr(in(&event, 4096), ",\"op\":\"rule\",\"matched\":7,\"fired\":2,"
                                   "\"rule\":\"write:short=1:comm=\\\"\"}\n"));
    event = bare_event(OP_CLOSE, "close");
    event.not_injected = "close:as=HOLD";
    event.not_injected_why = "no descriptor";
    CHECK(strstr(in(&event, 4096), ",\"not_injected\":\"close:as=HOLD\",\"not_injected_why\":\"no descriptor\"}\n"));
}

static void start_and_end(void) {
    const char *const command[] = {"./app", "a \"b\"", "\377", NULL};
    const char *const rules[] = {"close:delay_enter=1s", "exit", NULL};
    struct event event = bare_event(OP_START, "ignored");
    event.command = command;
    event.seed = UINT32_MAX;
    const char *start = WHO("4711") ",\"op\":\"start\",\"schema\":1,\"version\":\"" CLOSETRACE_VERSION
                                    "\",\"command\":[\"./app\",\"a \\\"b\\\"\",\"\xef\xbf\xbd\"],\"seed\":4294967295";
    CHECK(strncmp(line_of(&event), start, strlen(start)) == 0);
    CHECK_TEXT(buffer + strlen(start), "}\n");
    event.rules = rules;
    CHECK(strncmp(line_of(&event), start, strlen(start)) == 0);
    CHECK_TEXT(buffer + strlen(start), ",\"rules\":[\"close:delay_enter=1s\",\"exit\"]}\n");
    event.rules = rules + 2;
    line_of(&event);
    CHECK_TEXT(buffer + strlen(start), "}\n");

    event = bare_event(OP_END, "exit");
    event.events = 12;
    event.lost = 1;
    event.asked = 3;
    event.contradicted = 2;
    CHECK_TEXT(line_of(&event), WHO("4711") ",\"op\":\"end\",\"call\":\"exit\",\"events\":12,\"lost\":1,\"asked\":3,"
                                            "\"contradicted\":2}\n");
}

static void long_commands(void) {
    static char word[5000];
    const char *command[400];
    const char *const rules[] = {"a rule", NULL};
    struct event event = bare_event(OP_START, NULL);
    memset(word, 1, sizeof word - 1);
    event.command = command;
    event.rules = rules;
    for (size_t i = 0; i < 399; i++)
        command[i] = "a-word";
    command[399] = NULL;
    for (size_t size = 1024; size <= 4096; size++) {
        char more[60];
        const char *line = in(&event, size);
        const unsigned shown = times(line, "\"a-word\"");
        snprintf(more, sizeof more, "],\"command_more\":%u,\"seed\":0,\"rules\":[\"a rule\"]}\n", 399 - shown);
        if (shown < 399)
            CHECK(strstr(line, more));
        CHECK(shown > 50);
    }
    command[1] = word;
    CHECK(
        strstr(line_of(&event), "\"command\":[\"a-word\"],\"command_more\":398,\"seed\":0,\"rules\":[\"a rule\"]}\n"));
    const char *const long_rules[] = {"a rule", word, NULL};
    event.rules = long_rules;
    CHECK(strstr(line_of(&event), "\"seed\":0,\"rules\":[\"a rule\"],\"rules_more\":1}\n"));
}

static void whatever_the_bytes(void) {
    struct event event = widest_event(16);
    memset(event.comm, 0xff, COMM_SIZE);
    memset(event.caller_module, 0xf0, CALLER_MODULE_SIZE);
    line_of(&event);
    memset(event.caller_module, 1, CALLER_MODULE_SIZE);
    memset(event.comm, '{', COMM_SIZE);
    line_of(&event);
    memcpy(event.comm, "fifteen letter\xc3\xa4", COMM_SIZE);
    CHECK(strstr(line_of(&event), "\"comm\":\"fifteen letter\xef\xbf\xbd\"") ||
          strstr(buffer, "\"comm\":\"fifteen letter\xc3\xa4\""));
}

static void no_buffer_is_too_small(void) {
    struct event event = widest_event(40);
    for (size_t size = 0; size < 1400; size++) {
        event.op = OP_CLOSE;
        in(&event, size);
        event.op = OP_START;
        in(&event, size);
        event.op = OP_END;
        in(&event, size);
    }
}

static void the_checker_checks(void) {
    static const char *const good[] = {"{}\n", "{\"a\":[1,-2.50,\"\\u00e4\"],\"b\":{\"c\":true}}\n"};
    static const char *const bad[] = {"{}",           "{\"a\":}\n",        "{\"a\":1,}\n",   "{\"a\":01}\n",
                                      "{\"a\":1.}\n", "{\"a\":\"}\n",      "{\"a\":[1}\n",   "{\"a\" 1}\n",
                                      "{}}\n",        "{\"a\":\"\\x\"}\n", "{\"\xff\":1}\n", "{\"a\":1}\n\n",
                                      "[1]\n",        "{\"a\":\"\x01\"}\n"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK(is_json_line(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (is_json_line(bad[i], strlen(bad[i])))
            FAILED("was taken for JSON: %s", bad[i]);
}

int main(void) {
    errno = 4711;
    the_checker_checks();
    a_close();
    everything_that_opens_or_shares();
    everything_else();
    every_word();
    holders();
    holders_go_first();
    the_usual_event_is_whole_in_1024();
    long_rules_are_cut();
    rules();
    start_and_end();
    long_commands();
    whatever_the_bytes();
    no_buffer_is_too_small();
    CHECK_NUMBER(errno, 4711);
    return unit_failures();
}
