#include "pure/condition.h"

#include <errno.h>
#include <sys/socket.h>

#include "events.h"
#include "unit.h"

#define NUMBERS   "; expected N, FIRST..LAST, FIRST.. or FIRST+ (FIRST or more)"
#define ADDRESSES "; expected an address such as 127.0.0.1, [::1], 10.0.0.0/8 or [2001:db8::]/32"
#define KEYS \
    "lport, rport, laddr, raddr, fd, role, state, refs, sent, received, unread, idle, how, comm, call or caller"
#define SHAPE                                            \
    "expected KEY=VALUE or KEY!=VALUE, with KEY one of " \
    "lport, rport, laddr, raddr, fd, role, state, refs, sent, received, unread, idle, how, comm, call, caller"
#define STATES \
    "ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN or CLOSING"

static struct event accepted(void) {
    struct event event = socket_event(OP_CLOSE, "close");
    event.has |= HAS_UNREAD | HAS_TRAFFIC | HAS_HOW;
    event.how = SHUT_WR;
    event.local = (struct address){.family = ADDRESS_V4, .ip = {10, 1, 2, 3}, .port = 8080};
    event.remote = v6(51432);
    counts(&event, 2, 1);
    turns(&event, STATE_ESTABLISHED, STATE_CLOSE_WAIT);
    event.sent = 1000;
    event.received = 0;
    event.unread = UINT64_MAX;
    event.has |= HAS_IDLE;
    event.idle_us = 10000000;
    snprintf(event.caller_module, CALLER_MODULE_SIZE, "libfoo.so");
    event.caller_offset = 0x1f2e;
    return event;
}

static bool holds(const struct event *event, const char *text) {
    struct conditions conditions;
    struct parse_error error;
    if (!conditions_parse(text, &conditions, &error)) {
        FAILED("%s was refused: %s", text, error.message);
        return false;
    }
    return conditions_hold(&conditions, event);
}

static void that_hold(void) {
    const struct event event = accepted();
    static const char *const texts[] = {
        "",
        "lport=8080",
        "lport=8000..8100",
        "lport=8080..8080",
        "lport=8080..",
        "lport=80+",
        "lport!=80",
        "rport=51432",
        "laddr=10.0.0.0/8",
        "laddr=10.1.2.3",
        "laddr!=11.0.0.0/8",
        "laddr=[::ffff:10.0.0.0]/104",
        "raddr=[::1]",
        "raddr=[::1]:lport=8080",
        "lport=8080:raddr=[::]/0:role=server",
        "fd=7",
        "fd=0..7",
        "role=server",
        "role=s*",
        "role=*",
        "role!=client",
        "state=ESTABLISHED",
        "state=EST*",
        "state!=CLOSE_WAIT",
        "refs=2",
        "refs=2+",
        "sent=1..1000",
        "received=0",
        "unread=18446744073709551615",
        "idle=10",
        "idle=10s",
        "idle=9.5s+",
        "idle=9500ms..10000001us",
        "idle=10..",
        "how=SHUT_WR",
        "comm=ngin*",
        "comm=n*x",
        "comm!=apache*",
        "comm=*",
        "call=close",
        "call!=fclose",
        "caller=libfoo.so+0x1f2e",
        "caller=libfoo*",
        "caller=*+0x1f2e",
        "lport=80,8080",
        "lport=1..79,8000+",
        "lport!=80,443",
        "state=CLOSE_WAIT,EST*,LISTEN",
        "state!=CLOSE_WAIT,LISTEN",
        "raddr=[::2],[::1]:fd=6,7",
        "laddr=192.168.0.0/16,10.0.0.0/8",
        "idle=1ms,9s..11s",
        "comm=apache*,ngin*",
        "call=shutdown,close",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!holds(&event, texts[i]))
            FAILED("does not hold: %s", texts[i]);
}

static void that_do_not_hold(void) {
    const struct event event = accepted();
    static const char *const texts[] = {
        "lport=8081",
        "lport=8081+",
        "lport=1..8079",
        "lport!=8080",
        "raddr=[::2]",
        "raddr=10.0.0.0/8",
        "laddr=[::]/0",
        "fd=8",
        "role=client",
        "role!=*",
        "state=CLOSE_WAIT",
        "refs=1",
        "refs=3+",
        "sent=0",
        "how=SHUT_RD",
        "comm=ngin",
        "comm=*y",
        "call=fclose",
        "caller=libfoo.so",
        "lport=8080:fd=8",
        "fd=8:lport=8080",
        "idle=11s+",
        "idle=10ms",
        "lport=80,443",
        "lport!=80,8080",
        "lport!=8080,80",
        "state=CLOSE_WAIT,LISTEN",
        "state!=CLOSE_WAIT,EST*",
        "comm=a,b,c",
        "comm!=a,nginx",
        "role=client,unknown",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (holds(&event, texts[i]))
            FAILED("holds: %s", texts[i]);
}

static void what_is_not_there_meets_only_negations(void) {
    struct event event;
    static const char *const texts[] = {
        "lport=0..", "rport=0..",    "laddr=0.0.0.0/0", "raddr=[::]/0", "fd=0..", "role=*", "state=*", "refs=0..",
        "sent=0..",  "received=0..", "unread=0..",      "idle=0..",     "how=*",  "comm=*", "call=*",  "caller=*",
    };
    event_init(&event, OP_CLOSE);
    event.role = ROLE_SERVER; /* without HAS_SOCKET */
    for (size_t i = 0; i < KEY_COUNT; i++) {
        struct condition condition;
        struct parse_error error;
        CHECK(condition_parse(texts[i], 0, strlen(texts[i]), &condition, &error));
        CHECK_NUMBER(condition.key, i);
        CHECK(!condition_holds(&condition, &event));
        condition.negated = true;
        CHECK(condition_holds(&condition, &event));
    }
    event.has = HAS_SOCKET | HAS_FD; /* addresses that are not there, a descriptor that is none */
    CHECK(!holds(&event, "lport=0") && !holds(&event, "laddr=0.0.0.0/0") && !holds(&event, "fd=0.."));
}

static void state_after_where_there_is_none_before(void) {
    struct event event = socket_event(OP_EOF, "read");
    event.state_after = STATE_CLOSE_WAIT;
    CHECK(holds(&event, "state=CLOSE_WAIT"));
}

static void names(void) {
    CHECK_TEXT(condition_key_name(KEY_LPORT), "lport");
    CHECK_TEXT(condition_key_name(KEY_CALLER), "caller");
    CHECK(!condition_key_name(KEY_COUNT));
}

static void part_of_a_text(void) {
    struct condition condition;
    struct parse_error error;
    CHECK(condition_parse("x;lport=80;y", 2, 8, &condition, &error));
    CHECK_NUMBER(condition.first, 80);
    CHECK_NUMBER(condition.last, 80);
    CHECK(!condition_parse("x;lport=8x;y", 2, 8, &condition, &error));
    CHECK_NUMBER(error.offset, 9);
    CHECK(condition_parse("comm=abc*def", 0, 9, &condition, &error));
    CHECK_NUMBER(condition.glob_length, 4);
}

static void refuses(const char *text, size_t offset, const char *message) {
    struct conditions conditions;
    struct parse_error error;
    if (conditions_parse(text, &conditions, &error)) {
        FAILED("%s was accepted", text);
        return;
    }
    if (error.offset != offset || strcmp(error.message, message) != 0)
        FAILED("%s\n     is: %zu %s\n wanted: %zu %s", text, error.offset, error.message, offset, message);
}

static void wrong_keys(void) {
    refuses("lprot=80", 0, "unknown condition \"lprot\": " KEYS " (did you mean lport?)");
    refuses("fd=3:LPORT=80", 5, "unknown condition \"LPORT\": " KEYS " (did you mean lport?)");
    refuses("recieved=3", 0, "unknown condition \"recieved\": " KEYS " (did you mean received?)");
    refuses("colour=3", 0, "unknown condition \"colour\": " KEYS);
    refuses("lport", 5, SHAPE);
    refuses("lport>80", 5, SHAPE);
    refuses("lport!", 6, SHAPE);
    refuses("lport!80", 6, SHAPE);
    refuses("=80", 0, SHAPE);
    refuses(":", 0, SHAPE);
    refuses("lport=80:", 9, SHAPE);
    refuses("lport=80::fd=3", 9, SHAPE);
    refuses(" lport=80", 0, SHAPE);
    refuses("an-unknown-key-of-thirty-letters=1", 0, "unknown condition \"an-unknown-key-of-thirty...\": " KEYS);
}

static void wrong_numbers(void) {
    refuses("lport=", 6, "a number is missing" NUMBERS);
    refuses("lport=http", 6, "not a number: \"http\"" NUMBERS);
    refuses("lport=80x", 8, "not a number: \"x\"" NUMBERS);
    refuses("lport=80-90", 8, "not a number: \"-90\"" NUMBERS);
    refuses("lport=80.", 8, "not a number: \".\"" NUMBERS);
    refuses("lport=..80", 6, "not a number: \"..80\"" NUMBERS);
    refuses("lport=80..x", 10, "not a number: \"x\"" NUMBERS);
    refuses("lport=80..90x", 12, "not a number: \"x\"" NUMBERS);
    refuses("lport=80++", 8, "not a number: \"++\"" NUMBERS);
    refuses("lport=-1", 6, "not a number: \"-1\"" NUMBERS);
    refuses("lport=90..80", 10, "the range ends before it begins");
    refuses("lport=65536", 6, "the number is too large, the largest is 65535");
    refuses("lport=1..65536", 9, "the number is too large, the largest is 65535");
    refuses("fd=2147483648", 3, "the number is too large, the largest is 2147483647");
    refuses("sent=18446744073709551616", 5, "the number is too large, the largest is 18446744073709551615");
    refuses("lport=8\n", 7, "not a number: \"\\012\"" NUMBERS);
}

static void wrong_addresses(void) {
    refuses("raddr=", 6, "an address is missing" ADDRESSES);
    refuses("raddr=localhost", 6, "not an address: \"localhost\"" ADDRESSES);
    refuses("raddr=10.0.0.1:80", 15, "unknown condition \"80\": " KEYS);
    refuses("raddr=::1", 6, "an address is missing" ADDRESSES);
    refuses("raddr=[::1", 6, "not an address: \"[::1\"" ADDRESSES);
    refuses("raddr=[::1:lport=80", 6, "not an address: \"[::1:lport=80\"" ADDRESSES);
    refuses("raddr=10.0.0.0/33", 15, "not a prefix length: \"33\"; expected 0 to 32");
    refuses("fd=1:raddr=[::]/129", 16, "not a prefix length: \"129\"; expected 0 to 128");
    refuses("raddr=10.0.0.0/", 6, "not an address: \"10.0.0.0/\"" ADDRESSES);
}

static void wrong_words(void) {
    refuses("role=sever", 5, "unknown role \"sever\": client, server or unknown (did you mean server?)");
    refuses("role=", 5, "unknown role \"\": client, server or unknown");
    refuses("state=ESTABLISH", 6, "unknown state \"ESTABLISH\": " STATES " (did you mean ESTABLISHED?)");
    refuses("state=close_wait", 6, "unknown state \"close_wait\": " STATES " (did you mean CLOSE_WAIT?)");
    refuses("state!=X*", 7, "unknown state \"X*\": " STATES);
    refuses("how=WR", 4, "unknown direction \"WR\": SHUT_RD, SHUT_WR or SHUT_RDWR");
    refuses("how=SHUT_RW", 4, "unknown direction \"SHUT_RW\": SHUT_RD, SHUT_WR or SHUT_RDWR (did you mean SHUT_RD?)");
    refuses("comm=", 5, "a word is missing (* stands for any characters)");
    refuses("comm!=:fd=3", 6, "a word is missing (* stands for any characters)");
}

static void too_many(void) {
    char text[200] = "fd=1";
    for (size_t i = 1; i < CONDITIONS_MAX; i++)
        memcpy(text + 5 * i - 1, ":fd=1", sizeof ":fd=1");
    struct conditions conditions;
    struct parse_error error;
    CHECK(conditions_parse(text, &conditions, &error));
    CHECK_NUMBER(conditions.count, 16);
    memcpy(text + strlen(text), ":fd=1", sizeof ":fd=1");
    refuses(text, 80, "too many conditions: at most 16 are allowed");
}

static void a_list_is_right_in_each_value(void) {
    refuses("lport=80,", 9, "a number is missing" NUMBERS);
    refuses("lport=80,x", 9, "not a number: \"x\"" NUMBERS);
    refuses("lport=,80", 6, "a number is missing" NUMBERS);
    refuses("fd=1:state=CLOSE_WAIT,LISTN", 22, "unknown state \"LISTN\": " STATES " (did you mean LISTEN?)");
    refuses("raddr=[::1],x", 12, "not an address: \"x\"" ADDRESSES);
    refuses("comm=a,,b", 7, "a word is missing (* stands for any characters)");
}

static void a_text_with_a_comma(void) {
    struct event event = accepted();
    memcpy(event.comm, "a,b", sizeof "a,b");
    CHECK(holds(&event, "comm=a,b") && holds(&event, "comm=x,a*") && !holds(&event, "comm!=a,b"));
    CHECK(!holds(&event, "comm=a,c"));
}

static bool matches(const char *glob, const char *text) {
    return glob_match(glob, strlen(glob), text, strlen(text));
}

static void globs(void) {
    CHECK(matches("", "") && !matches("", "a") && !matches("a", ""));
    CHECK(matches("*", "") && matches("*", "abc") && matches("**", "") && matches("**", "a"));
    CHECK(matches("abc", "abc") && !matches("abc", "abd") && !matches("abc", "ab") && !matches("ab", "abc"));
    CHECK(matches("a*", "a") && matches("a*", "abc") && !matches("a*", "ba"));
    CHECK(matches("*c", "abc") && !matches("*c", "abcd") && matches("*c", "cc"));
    CHECK(matches("a*b*c", "aXbXbYc") && !matches("a*b*c", "acb"));
    CHECK(matches("*ab*ab*", "xababx") && !matches("*ab*ab*", "xabx"));
    CHECK(matches("*aab", "aaaab") && matches("a*a", "aa") && !matches("a*a", "a"));
    CHECK(matches("?", "?") && !matches("?", "a") && matches("[a]", "[a]"));
    CHECK(glob_match("a*x", 2, "abc", 3) && !glob_match("abc", 3, "abc", 2));
}

int main(void) {
    errno = 4711;
    that_hold();
    that_do_not_hold();
    what_is_not_there_meets_only_negations();
    state_after_where_there_is_none_before();
    names();
    part_of_a_text();
    wrong_keys();
    wrong_numbers();
    wrong_addresses();
    wrong_words();
    too_many();
    a_list_is_right_in_each_value();
    a_text_with_a_comma();
    globs();
    CHECK_NUMBER(errno, 4711);
    return unit_failures();
}
