#include "pure/settings.h"

#include <errno.h>

#include "events.h"
#include "unit.h"

#define CLASSES "open, refs, end, eof, data, all or none"
#define SETTINGS                                                                                   \
    "CLOSETRACE_OUTPUT, CLOSETRACE_FORMAT, CLOSETRACE_TRACE, CLOSETRACE_ONLY, CLOSETRACE_INJECT, " \
    "CLOSETRACE_SEED or CLOSETRACE_VERIFY"
#define PERCENT "%p becomes the process id, %% becomes a percent sign; nothing else may follow a %"

enum { DEFAULT = TRACE_OPEN | TRACE_REFS | TRACE_END | TRACE_EOF };

static struct settings settings;
static struct settings_error error;

static bool reads(const char *entry) {
    const char *const environment[] = {"HOME=/", entry, NULL};
    memset(&settings, 0x55, sizeof settings);
    return settings_read(environment, &settings, &error);
}

static void defaults(void) {
    const char *const environment[] = {"CLOSETRACE=1",
                                       "CLOSETRACE_FORMAT=",
                                       "CLOSETRACE_TRACE=",
                                       "CLOSETRACE_ONLY=",
                                       "CLOSETRACE_INJECT=",
                                       "CLOSETRACE_SEED=",
                                       "CLOSETRACE_VERIFY=",
                                       "closetrace_x=1",
                                       "CLOSETRACE_NOTHING",
                                       "",
                                       NULL};
    const char *const *const environments[] = {environment, environment + 9, NULL};
    for (int i = 0; i < 3; i++) {
        memset(&settings, 0x55, sizeof settings);
        CHECK(settings_read(environments[i], &settings, &error));
        CHECK(!settings.output && settings.format == FORMAT_TEXT && settings.trace == DEFAULT);
        CHECK(settings.only.count == 0 && !settings.seed_given && settings.seed == 0 && settings.verify);
    }
}

static void output(void) {
    CHECK(reads("CLOSETRACE_OUTPUT=stderr") && !settings.output);
    CHECK(reads("CLOSETRACE_OUTPUT=/tmp/a=b.%p.%%"));
    CHECK_TEXT(settings.output, "/tmp/a=b.%p.%%");
}

static void words(void) {
    CHECK(reads("CLOSETRACE_FORMAT=json") && settings.format == FORMAT_JSON);
    CHECK(reads("CLOSETRACE_FORMAT=text") && settings.format == FORMAT_TEXT);
    CHECK(reads("CLOSETRACE_VERIFY=off") && !settings.verify);
    CHECK(reads("CLOSETRACE_VERIFY=kernel") && settings.verify);
    CHECK(reads("CLOSETRACE_TRACE=open") && settings.trace == TRACE_OPEN);
    CHECK(reads("CLOSETRACE_TRACE=eof,data") && settings.trace == (TRACE_EOF | TRACE_DATA));
    CHECK(reads("CLOSETRACE_TRACE=all,end") && settings.trace == (DEFAULT | TRACE_DATA));
    CHECK(reads("CLOSETRACE_TRACE=none") && settings.trace == 0);
    CHECK(reads("CLOSETRACE_SEED=0") && settings.seed_given && settings.seed == 0);
    CHECK(reads("CLOSETRACE_SEED=4294967295") && settings.seed == UINT32_MAX);
    CHECK(reads("CLOSETRACE_SEED=0000000000000000000000007") && settings.seed == 7);
    CHECK(reads("CLOSETRACE_ONLY=lport=80:raddr=[::1]") && settings.only.count == 2);
    CHECK(reads("CLOSETRACE_INJECT=close:as=RST") && strcmp(settings.inject, "close:as=RST") == 0);
}

static void the_first_of_a_name_counts(void) {
    const char *const environment[] = {"CLOSETRACE_FORMAT=json", "CLOSETRACE_FORMAT=nonsense", "CLOSETRACE_OUTPUT=a",
                                       "CLOSETRACE_OUTPUT=b", NULL};
    CHECK(settings_read(environment, &settings, &error));
    CHECK_NUMBER(settings.format, FORMAT_JSON);
    CHECK_TEXT(settings.output, "a");
}

static void refuses(const char *entry, size_t offset, const char *message) {
    if (reads(entry)) {
        FAILED("%s was accepted", entry);
        return;
    }
    if (error.parse.offset != offset || strcmp(error.parse.message, message) != 0)
        FAILED("%s\n     is: %zu %s\n wanted: %zu %s", entry, error.parse.offset, error.parse.message, offset, message);
    const size_t name = strcspn(entry, "=");
    CHECK(strncmp(error.variable, entry, name) == 0 && strcspn(error.variable, "=") == name);
    CHECK(error.text == error.variable || error.text == entry + name + 1);
}

static void errors(void) {
    refuses("CLOSETRACE_OUTPUT=", 0,
            "a file name is missing: expected stderr, or a file (%p in its name becomes the process id)");
    refuses("CLOSETRACE_OUTPUT=/tmp/%d", 5, PERCENT);
    refuses("CLOSETRACE_OUTPUT=a%%%p%", 5, PERCENT);
    refuses("CLOSETRACE_FORMAT=jsn", 0, "unknown format \"jsn\": text or json (did you mean json?)");
    refuses("CLOSETRACE_FORMAT=xml", 0, "unknown format \"xml\": text or json");
    refuses("CLOSETRACE_FORMAT=JSON", 0, "unknown format \"JSON\": text or json (did you mean json?)");
    refuses("CLOSETRACE_VERIFY=kernal", 0, "unknown way to verify \"kernal\": off or kernel (did you mean kernel?)");
    refuses("CLOSETRACE_TRACE=open,opne", 5, "unknown event class \"opne\": " CLASSES " (did you mean open?)");
    refuses("CLOSETRACE_TRACE=open, end", 5, "unknown event class \" end\": " CLASSES " (did you mean end?)");
    refuses("CLOSETRACE_TRACE=close", 0, "unknown event class \"close\": " CLASSES);
    refuses("CLOSETRACE_TRACE=,", 0, "unknown event class \"\": " CLASSES);
    refuses("CLOSETRACE_TRACE=end,", 4, "unknown event class \"\": " CLASSES);
    refuses("CLOSETRACE_TRACE=end,none", 4, "none cannot be combined with other classes");
    refuses("CLOSETRACE_TRACE=none,end", 0, "none cannot be combined with other classes");
    refuses("CLOSETRACE_ONLY=lport=80:rprot=1", 9,
            "unknown condition \"rprot\": lport, rport, laddr, raddr, fd, role, state, refs, sent, received, unread, "
            "idle, how, comm, call or caller (did you mean rport?)");
    refuses("CLOSETRACE_SEED=12x", 2, "not a decimal digit; expected a number from 0 to 4294967295");
    refuses("CLOSETRACE_SEED=-1", 0, "not a decimal digit; expected a number from 0 to 4294967295");
    refuses("CLOSETRACE_SEED=4294967296", 0, "the number is too large; expected 0 to 4294967295");
    refuses("CLOSETRACE_SEED=99999999999999999999999999", 0, "the number is too large; expected 0 to 4294967295");
    refuses("CLOSETRACE_OUPUT=x", 11, "there is no such setting, did you mean CLOSETRACE_OUTPUT?");
    refuses("CLOSETRACE_trace=x", 11, "there is no such setting, did you mean CLOSETRACE_TRACE?");
    refuses("CLOSETRACE_=x", 11, "there is no such setting: " SETTINGS);
    refuses("CLOSETRACE_COLOR_OF_THE_LINES=x", 11, "there is no such setting: " SETTINGS);
}

static const char *rendered(const char *entry, size_t size) {
    static char buffer[4096];
    CHECK(!reads(entry));
    buffer[size] = '~';
    const size_t length = settings_error_render(&error, buffer, size);
    CHECK(length <= size && buffer[size] == '~' && (size == 0 || buffer[length - 1] == '\n'));
    buffer[length] = '\0';
    return buffer;
}

static void as_lines(void) {
    CHECK_TEXT(rendered("CLOSETRACE_TRACE=open,opne", 4095),
               "closetrace: CLOSETRACE_TRACE: unknown event class \"opne\": " CLASSES " (did you mean open?)\n"
               "  open,opne\n"
               "       ^\n");
    CHECK_TEXT(rendered("CLOSETRACE_OUPUT=x", 4095),
               "closetrace: CLOSETRACE_OUPUT: there is no such setting, did you mean CLOSETRACE_OUTPUT?\n"
               "  CLOSETRACE_OUPUT=x\n"
               "             ^\n");
    CHECK_TEXT(rendered("CLOSETRACE_OUTPUT=", 4095), "closetrace: CLOSETRACE_OUTPUT: a file name is missing: expected "
                                                     "stderr, or a file (%p in its name becomes the process id)\n"
                                                     "  \n"
                                                     "  ^\n");
    CHECK_TEXT(rendered("CLOSETRACE_OUTPUT=a\n\xc3\xa4\x1b%d\t", 4095), "closetrace: CLOSETRACE_OUTPUT: " PERCENT "\n"
                                                                        "  a\\012\\303\\244\\033%d\\011\n"
                                                                        "                   ^\n");
    CHECK_TEXT(rendered("CLOSETRACE_X\n\x1b=", 4095),
               "closetrace: CLOSETRACE_X\\012\\033: there is no such setting: " SETTINGS "\n"
               "  CLOSETRACE_X\\012\\033=\n"
               "             ^\n");
}

static void of_long_texts_a_window(void) {
    char entry[1000] = "CLOSETRACE_OUTPUT=";
    const size_t name = strlen(entry);
    memset(entry + name, 'x', 500);
    entry[name + 200] = '%';
    CHECK_TEXT(rendered(entry, 4095), "closetrace: CLOSETRACE_OUTPUT: " PERCENT "\n"
                                      "  ...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx%"
                                      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\n"
                                      "                                                     ^\n");
    entry[name + 199] = '\a'; /* wider than others: fewer fit */
    entry[name + 201] = '\0';
    CHECK_TEXT(rendered(entry, 4095), "closetrace: CLOSETRACE_OUTPUT: " PERCENT "\n"
                                      "  ...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\\007%\n"
                                      "                                                     ^\n");
    memset(entry, 'Y', 900);
    memcpy(entry, "CLOSETRACE_", 11);
    entry[900] = '=';
    CHECK(strstr(rendered(entry, 4095), "YYY...: there is no such setting"));
    for (size_t size = 0; size < 600; size++)
        rendered(entry, size);
}

static unsigned classes(enum event_op op) {
    const struct event event = bare_event(op, "call");
    return event_classes(&event);
}

static void classes_of_events(void) {
    CHECK(classes(OP_START) == 0 && classes(OP_END) == 0 && classes(OP_RULE) == 0 && classes(OP_FINDING) == 0);
    CHECK(classes(OP_CONNECT) == TRACE_OPEN && classes(OP_ACCEPT) == TRACE_OPEN && classes(OP_BIND) == TRACE_OPEN);
    CHECK(classes(OP_DUP) == TRACE_REFS && classes(OP_FORK) == TRACE_REFS && classes(OP_EXEC) == TRACE_REFS);
    CHECK(classes(OP_SEND_FD) == TRACE_REFS && classes(OP_RECV_FD) == TRACE_REFS);
    CHECK(classes(OP_CLOSE) == TRACE_END && classes(OP_SHUTDOWN) == TRACE_END);
    CHECK(classes(OP_RELEASE) == TRACE_END && classes(OP_EXIT) == TRACE_END);
    CHECK(classes(OP_EOF) == TRACE_EOF && classes(OP_RESET) == TRACE_EOF);
    CHECK(classes(OP_READ) == TRACE_DATA && classes(OP_WRITE) == TRACE_DATA);
    struct event event = socket_event(OP_WRITE, "write");
    fails(&event, EPIPE);
    CHECK_NUMBER(event_classes(&event), TRACE_DATA | TRACE_EOF);
    event.op = OP_READ;
    fails(&event, ETIMEDOUT);
    CHECK_NUMBER(event_classes(&event), TRACE_DATA | TRACE_EOF);
    fails(&event, EAGAIN);
    CHECK_NUMBER(event_classes(&event), TRACE_DATA);
    fails(&event, EINTR);
    CHECK_NUMBER(event_classes(&event), TRACE_DATA);
    for (int op = 0; op < OP_COUNT; op++) {
        event = bare_event((enum event_op)op, "call");
        ends(&event, FIN_SENT, WHY_SHUTDOWN, true);
        CHECK_NUMBER(event_classes(&event), classes(event.op) ? classes(event.op) | TRACE_END : 0);
    }
}

static void output_paths(void) {
    char path[32];
    CHECK_NUMBER(settings_output_path("/tmp/log", 7, path, sizeof path), 8);
    CHECK_TEXT(path, "/tmp/log");
    CHECK_NUMBER(settings_output_path("%p-%%p-%%%p", 4711, path, sizeof path), 13);
    CHECK_TEXT(path, "4711-%p-%4711");
    CHECK_NUMBER(settings_output_path("a%p", 4711, path, 6), 5);
    CHECK_NUMBER(settings_output_path("a%p", 4711, path, 5), 0);
    CHECK_NUMBER(settings_output_path("a%p", 4711, path, 1), 0);
    CHECK_NUMBER(settings_output_path("a", 4711, path, 0), 0);
}

int main(void) {
    errno = 4711;
    defaults();
    output();
    words();
    the_first_of_a_name_counts();
    errors();
    as_lines();
    of_long_texts_a_window();
    classes_of_events();
    output_paths();
    CHECK_NUMBER(errno, 4711);
    return unit_failures();
}
