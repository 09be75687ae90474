#include "pure/rules.h"

#include <errno.h>

#include "unit.h"

static struct rules rules;
static struct settings_error error;
static const char *file;   /* what every file holds; NULL: there is none */
static size_t file_length; /* 0: up to its NUL */

static long read_file(const char *path, char *buffer, size_t size) {
    (void)path;
    if (!file)
        return -ENOENT;
    size_t length = file_length ? file_length : strlen(file);
    if (length > size)
        length = size;
    memcpy(buffer, file, length); // NOLINT(bugprone-not-null-terminated-result): a file ends without one
    return (long)length;
}

static bool reads(const char *text) {
    memset(&error, 0, sizeof error);
    error.variable = "CLOSETRACE_INJECT";
    return rules_read(text, false, read_file, &rules, &error);
}

static void lists(void) {
    CHECK(reads(NULL) && rules.count == 0 && !rules.texts[0] && rules_families(&rules) == 0);
    CHECK(reads("") && rules.count == 0);
    CHECK(reads(" close:as=RST ;\tread,write:short=1"));
    CHECK_NUMBER(rules.count, 2);
    CHECK_TEXT(rules.texts[0], "close:as=RST");
    CHECK_TEXT(rules.list[1].text, "read,write:short=1");
    CHECK(!rules.texts[2] && rules_families(&rules) == (RULE_CLOSE | RULE_READ | RULE_WRITE));
}

static void files(void) {
    file = "# late\nclose:delay_enter=1s  # each\n\n  exit:signal=TERM\r\n#";
    CHECK(reads("@faults;dup:error=EMFILE"));
    CHECK_NUMBER(rules.count, 3);
    CHECK_TEXT(rules.texts[0], "close:delay_enter=1s");
    CHECK_TEXT(rules.texts[1], "exit:signal=TERM");
    CHECK_TEXT(rules.texts[2], "dup:error=EMFILE");
    file = "";
    CHECK(reads("@faults") && rules.count == 0);
}

static void shows(const char *text, const char *expected) {
    char line[1024];
    if (reads(text)) {
        FAILED("%s was accepted", text);
        return;
    }
    line[settings_error_render(&error, line, sizeof line)] = '\0';
    CHECK_TEXT(line, expected);
}

static void errors(void) {
    file = "close:as=RST\n  close:as=RTS\n";
    shows("close:as=RST;@faults", "closetrace: CLOSETRACE_INJECT: faults:2: unknown way \"RTS\": SHUT_RD, SHUT_WR, "
                                  "SHUT_RDWR, CLOSE, RST, HOLD or NONE (did you mean RST?)\n"
                                  "  close:as=RTS\n"
                                  "           ^\n");
    file = NULL;
    shows("close:as=RST; @none",
          "closetrace: CLOSETRACE_INJECT: cannot be read (ENOENT): expected a regular file of rules, one per line\n"
          "  close:as=RST; @none\n"
          "                 ^\n");
    shows("close:as=RST; close:retval=x",
          "closetrace: CLOSETRACE_INJECT: not a number: \"x\"; expected decimal digits, or 0x and "
          "hexadecimal ones\n"
          "  close:as=RST; close:retval=x\n"
          "                             ^\n");
}

static void shows_file(const char *bytes, size_t length, const char *expected) {
    file = bytes;
    file_length = length;
    shows("@faults", expected);
    file_length = 0;
}
#define SHOWS_FILE(bytes, expected) shows_file((bytes), sizeof(bytes) - 1, expected)

static void nuls(void) {
    SHOWS_FILE("close:as=RST\0:when=1\n",
               "closetrace: CLOSETRACE_INJECT: faults:1: a NUL character: rules are text, one per line\n"
               "  close:as=RST\n"
               "              ^\n");
    SHOWS_FILE("exit:signal=9\nclose:as=RST\0",
               "closetrace: CLOSETRACE_INJECT: faults:2: a NUL character: rules are text, one per line\n"
               "  close:as=RST\n"
               "              ^\n");
    SHOWS_FILE("# only a comment\0\n",
               "closetrace: CLOSETRACE_INJECT: faults:1: a NUL character: rules are text, one per line\n"
               "  # only a comment\n"
               "                  ^\n");
    SHOWS_FILE("\0",
               "closetrace: CLOSETRACE_INJECT: faults:1: a NUL character: rules are text, one per line\n  \n  ^\n");
}

static void limits(void) {
    static char many[RULES_MAX * 16 + 64], large[RULES_TEXT + 64];
    size_t used = 0;
    for (int i = 0; i < RULES_MAX; i++)
        used += (size_t)snprintf(many + used, sizeof many - used, i ? ";exit:signal=9" : "exit:signal=9");
    CHECK(reads(many) && rules.count == RULES_MAX);
    snprintf(many + used, sizeof many - used, ";exit:signal=9");
    CHECK(!reads(many));
    CHECK_TEXT(error.parse.message, "too many rules: at most 64 are allowed");
    memset(large, '#', sizeof large - 1);
    file = large;
    CHECK(!reads("@faults") && error.parse.offset == 1);
    CHECK_TEXT(error.parse.message, "the rules are longer than 64 kilobytes");
    CHECK(!reads(large));
}

int main(void) {
    lists();
    files();
    errors();
    nuls();
    limits();
    return unit_failures();
}
