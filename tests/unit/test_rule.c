#include "pure/rule.h"

#include <errno.h>
#include <signal.h>

#include "unit.h"

static struct rule rule;
static struct parse_error error;

static bool reads(const char *text) {
    memset(&rule, 0x55, sizeof rule);
    return rule_parse(text, false, &rule, &error);
}

#define ACCEPTS(text)                                                                \
    do {                                                                             \
        if (!reads(text))                                                            \
            FAILED("%s is refused at %zu: %s", (text), error.offset, error.message); \
    } while (0)

static void calls(void) {
    ACCEPTS("close:error=EIO");
    CHECK_NUMBER(rule.families, RULE_CLOSE);
    CHECK_NUMBER(rule.error, EIO);
    CHECK(rule_names(&rule, RULE_CLOSE, "fclose") && rule_names(&rule, RULE_CLOSE, NULL));
    CHECK(!rule_names(&rule, RULE_SHUTDOWN, "shutdown"));
    ACCEPTS("sendto,recv:error=5");
    CHECK_NUMBER(rule.families, 0);
    CHECK_NUMBER(rule_families(&rule), RULE_WRITE | RULE_READ);
    CHECK(rule_names(&rule, RULE_WRITE, "sendto") && rule_names(&rule, RULE_READ, "recv"));
    CHECK(!rule_names(&rule, RULE_WRITE, "send") && !rule_names(&rule, RULE_WRITE, NULL));
    CHECK(!rule_names(&rule, RULE_READ, "sendto"));
    ACCEPTS("close,shutdown,write,read,connect,accept,exit,fork,dup:delay_enter=1");
    CHECK_NUMBER(rule.families, 511);
}

/* As strace(1) has them. */
static void expressions_of_strace(void) {
    ACCEPTS("inject=close:error=EIO");
    ACCEPTS("inject=shutdown,close:retval=0:when=2..8+2");
    CHECK(rule.retval == 0 && rule.first == 2 && rule.last == 8 && rule.step == 2);
    ACCEPTS("fault=connect");
    CHECK_NUMBER(rule.error, ENOSYS);
    ACCEPTS("fault=accept4:error=EMFILE:when=1+3");
    CHECK_NUMBER(rule.error, EMFILE);
    ACCEPTS("fault=connect:when=3");
    CHECK_NUMBER(rule.error, ENOSYS);
    ACCEPTS("inject=write:signal=SIGUSR1:delay_enter=100000:delay_exit=1s");
    CHECK(rule.signal == SIGUSR1 && rule.delay_enter == 100000000 && rule.delay_exit == 1000000000);
    ACCEPTS("inject=read:retval=0x10:signal=term");
    CHECK(rule.retval == 16 && rule.signal == SIGTERM);
    ACCEPTS("inject=read:retval=-1:signal=9:when=65535+65535");
    CHECK(rule.retval == -1 && rule.signal == SIGKILL);
}

static void times(void) {
    static const struct {
        const char *text;
        uint64_t nanoseconds;
    } rows[] = {{"7", 7000},
                {"7us", 7000},
                {"7ms", 7000000},
                {"7s", 7000000000},
                {"7ns", 7},
                {"0", 0},
                {"2147483647s", 2147483647000000000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64];
        snprintf(text, sizeof text, "close:delay_exit=%s", rows[i].text);
        ACCEPTS(text);
        CHECK_NUMBER(rule.delay_exit, rows[i].nanoseconds);
    }
    ACCEPTS("close:linger=1500ms");
    CHECK_NUMBER(rule.linger, 2);
    ACCEPTS("close:linger=0:linger2=3s");
    CHECK(rule.linger == 0 && rule.linger2 == 3);
    ACCEPTS("close:linger2=-1");
    CHECK_NUMBER(rule.linger2, -1);
}

static void whens(void) {
    static const struct {
        const char *when, *fires; /* of the first nine */
    } rows[] = {{"1", "100000000"},    {"3", "001000000"},      {"3+", "001111111"},    {"2+3", "010010010"},
                {"2..4", "011100000"}, {"2..6+2", "010101000"}, {"2..4+", "011100000"}, {"9..9", "000000001"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[64], fires[10] = "";
        snprintf(text, sizeof text, "close:as=RST:when=%s", rows[i].when);
        ACCEPTS(text);
        for (unsigned n = 1; n <= 9; n++)
            fires[n - 1] = rule_is_due(&rule, n) ? '1' : '0';
        CHECK_TEXT(fires, rows[i].fires);
    }
    ACCEPTS("close:as=RST");
    CHECK(rule_is_due(&rule, 1) && rule_is_due(&rule, 1000000));
}

static unsigned lucky_of(const char *text, uint32_t seed, unsigned count) {
    unsigned lucky = 0;
    ACCEPTS(text);
    for (unsigned i = 1; i <= count; i++)
        lucky += rule_is_lucky(&rule, seed, i);
    return lucky;
}

static void chances(void) {
    CHECK_NUMBER(lucky_of("close:as=RST:prob=0%", 1, 1000), 0);
    CHECK_NUMBER(lucky_of("close:as=RST:prob=100%", 1, 1000), 1000);
    CHECK_NUMBER(lucky_of("close:as=RST", 1, 1000), 1000);
    const unsigned tenth = lucky_of("close:as=RST:prob=10%", 1, 10000);
    CHECK(tenth > 900 && tenth < 1100);
    const unsigned few = lucky_of("close:as=RST:prob=0.5%", 1, 100000);
    CHECK(few > 400 && few < 600);
    /* The same again, and another with another seed, rule, scope. */
    unsigned alike[4] = {0};
    for (unsigned i = 1; i <= 1000; i++) {
        struct rule other;
        CHECK(rule_parse("close:as=RST:prob=50%:scope=thread", false, &other, &error));
        ACCEPTS("close:as=RST:prob=50%");
        const bool lucky = rule_is_lucky(&rule, 7, i);
        alike[0] += lucky == rule_is_lucky(&rule, 7, i);
        alike[1] += lucky == rule_is_lucky(&rule, 8, i);
        alike[2] += lucky == rule_is_lucky(&other, 7, i);
        alike[3] += lucky == rule_is_lucky(&rule, 7, i + 1);
    }
    CHECK_NUMBER(alike[0], 1000);
    for (int i = 1; i < 4; i++)
        CHECK(alike[i] > 400 && alike[i] < 600);
}

static void scopes_and_ways(void) {
    ACCEPTS("close:as=HOLD:hold=2s:scope=connection");
    CHECK(rule.as == WAY_HOLD && rule.hold == 2000000000 && rule.scope == SCOPE_CONNECTION);
    ACCEPTS("write:then=SHUT_WR:when=1:role=client");
    CHECK(rule.then == WAY_SHUT_WR && rule.conditions.count == 1 && rule.scope == SCOPE_PROCESS);
    ACCEPTS("shutdown:as=CLOSE:raddr=[2001:db8::]/32:lport!=80:how=SHUT_WR");
    CHECK(rule.as == WAY_CLOSE && rule.conditions.count == 3 && rule.conditions.list[1].negated);
    ACCEPTS("close:error=EIO:as=NONE");
    ACCEPTS("write,read:short=3:scope=session:prob=12.5%");
    CHECK(rule.most == 3 && rule.scope == SCOPE_SESSION && rule.chance == RULE_CERTAIN / 8);
    CHECK(rule_parse("exit:as=HOLD", true, &rule, &error));
    CHECK(rule_parse("close,exit:as=HOLD:hold=1s", true, &rule, &error));
}

/* The matrix: which part goes with which call. One letter a call, in the order of the families. */
static void matrix(void) {
    static const struct {
        const char *part, *goes; /* close shutdown write read connect accept exit fork dup */
    } rows[] = {
        {"error=EIO", "111111011"},
        {"retval=0", "111111001"},
        {"signal=TERM", "111111111"},
        {"delay_enter=1", "111111111"},
        {"delay_exit=1", "111111011"},
        {"as=SHUT_WR", "110000100"},
        {"as=SHUT_RD", "110000100"},
        {"as=SHUT_RDWR", "110000100"},
        {"as=CLOSE", "010000000"},
        {"as=RST", "110000100"},
        {"as=HOLD", "100000000"},
        {"as=NONE", "110000000"},
        {"then=SHUT_WR", "011111000"},
        {"then=SHUT_RDWR", "011111000"},
        {"then=RST", "011111000"},
        {"as=HOLD:hold=1", "100000000"},
        {"short=1", "001100000"},
        {"linger=1s", "100000000"},
        {"linger2=1s", "100000000"},
        {"error=EIO:as=NONE", "100000000"},
        {"signal=TERM:when=2:scope=thread:prob=1%", "111111111"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char goes[10] = "";
        for (unsigned family = 0; rule_family_name(family); family++) {
            char text[96];
            snprintf(text, sizeof text, "%s:%s", rule_family_name(family), rows[i].part);
            goes[family] = reads(text) ? '1' : '0';
        }
        if (strcmp(goes, rows[i].goes) != 0)
            FAILED("%s goes with %s, not %s", rows[i].part, goes, rows[i].goes);
    }
}

static void refuses(const char *text, size_t offset, const char *message) {
    if (reads(text))
        FAILED("%s was accepted", text);
    else if (error.offset != offset || strcmp(error.message, message) != 0)
        FAILED("%s\n     is: %zu %s\n wanted: %zu %s", text, error.offset, error.message, offset, message);
}

#define FAMILIES "close, shutdown, write, read, connect, accept, exit, fork, dup, or one function of these"
#define NOTHING                                                                                                 \
    "the rule does nothing: expected error=, retval=, signal=, delay_enter=, delay_exit=, as=, then=, short=, " \
    "linger= or linger2="
#define TIME   "a whole number with s, ms, us or ns (without: microseconds)"
#define WHEN   "FIRST[..LAST][+[STEP]], counted from 1: 3, 3+, 2..8, 1+2"
#define STRACE " (closetrace does not write to memory): error=, retval= or short= change a call"

static void bad_calls(void) {
    refuses("", 0, "a call is missing: " FAMILIES);
    refuses(":error=EIO", 0, "a call is missing: " FAMILIES);
    refuses("close,:error=EIO", 6, "a call is missing: " FAMILIES);
    refuses("clsoe:error=EIO", 0, "unknown call \"clsoe\": " FAMILIES " (did you mean close?)");
    refuses("inject=openat:error=EIO", 7, "unknown call \"openat\": " FAMILIES);
    refuses("close", 5, NOTHING);
    refuses("close:when=3:lport=80", 21, NOTHING);
    refuses("write,writev,pwritev2,send,sendto,sendmsg,sendfile,splice,fwrite,fputs,fputc,putc,puts,puts,puts,puts,"
            "puts,putw:"
            "error=EIO",
            107, "too many functions: at most 16 are allowed; name their family");
}

static void bad_parts(void) {
    refuses(
        "close:", 6,
        "a part is missing: error, retval, signal, delay_enter, delay_exit, when, scope, prob, as, then, hold, short, "
        "linger, linger2, or a condition");
    refuses("close:dealy_enter=1", 6, "unknown part \"dealy_enter\", did you mean delay_enter=?");
    refuses("close:error", 11, "expected PART=VALUE");
    refuses("close:error!=EIO", 11, "expected PART=VALUE");
    refuses("close:error=EIO:error=EIO", 16, "this part is given twice");
    refuses("close:poke_enter=@arg1=00", 6, "poke_enter= exists only in strace" STRACE);
    refuses("close:error=EIO:poke_exit=x", 16, "poke_exit= exists only in strace" STRACE);
    refuses("close:syscall=getpid", 6,
            "syscall= exists only in strace (closetrace does not replace calls): as= turns one end into another");
    refuses("close:as=RST:lport=x", 19,
            "not a number: \"x\"; expected N, FIRST..LAST, FIRST.. or FIRST+ (FIRST or more)");
}

static void bad_values(void) {
    refuses("close:error=EFOO", 12,
            "not an error: \"EFOO\"; expected a name as in errno(3), EIO, or a number from 1 to 4095");
    refuses("close:error=0", 12,
            "not an error: \"0\"; expected a name as in errno(3), EIO, or a number from 1 to 4095");
    refuses("close:error=4096", 12,
            "not an error: \"4096\"; expected a name as in errno(3), EIO, or a number from 1 to 4095");
    refuses("close:retval=", 13, "not a number: \"\"; expected decimal digits, or 0x and hexadecimal ones");
    refuses("close:signal=SIGFOO", 13, "not a signal: \"SIGFOO\"; expected a name, SIGTERM, or a number from 1 to 64");
    refuses("close:delay_enter=2m", 18, "not a time: \"2m\"; expected " TIME);
    refuses("close:delay_enter=-1", 18, "not a time: \"-1\"; expected " TIME);
    refuses("close:delay_enter=99999999999s", 18, "not a time: \"99999999999s\"; expected " TIME);
    refuses("close:as=RST:when=0", 18, "not a choice of calls: \"0\"; expected " WHEN);
    refuses("close:as=RST:when=3..2", 18, "not a choice of calls: \"3..2\"; expected " WHEN);
    refuses("close:as=RST:when=3+0", 18, "not a choice of calls: \"3+0\"; expected " WHEN);
    refuses("close:as=RST:scope=proces", 19,
            "unknown scope \"proces\": process, thread, connection or session (did you mean process?)");
    refuses("close:as=RST:prob=101%", 18, "not a probability: \"101%\"; expected 0% to 100%, as in prob=12.5%");
    refuses("close:as=RST:prob=10", 18, "not a probability: \"10\"; expected 0% to 100%, as in prob=12.5%");
    refuses("close:as=RESET", 9, "unknown way \"RESET\": SHUT_RD, SHUT_WR, SHUT_RDWR, CLOSE, RST, HOLD or NONE");
    refuses("write:short=0", 12, "not a number of bytes: \"0\"; expected 1 or more");
}

static void bad_pairs(void) {
    refuses("exit:error=EIO", 5,
            "error= does not go with exit; it goes with close, shutdown, write, read, connect, accept, fork and dup");
    refuses("close,write:as=RST", 12, "as= does not go with write; it goes with close, shutdown and exit");
    refuses("close:as=CLOSE", 6, "as=CLOSE does not go with close; it goes with shutdown");
    refuses("close:error=EIO:retval=0", 16, "retval= and error= exclude each other; use two rules");
    refuses("close:retval=0:error=EIO", 15, "error= and retval= exclude each other; use two rules");
    refuses("write:then=HOLD", 6, "then= is SHUT_WR, SHUT_RDWR or RST");
    refuses("close:hold=1s:delay_enter=1", 6, "hold= needs as=HOLD, or as=SHUT_WR, SHUT_RD or SHUT_RDWR");
    refuses("close:error=EIO:as=RST", 16,
            "error= goes with as= only in close:error=ERRNO:as=NONE, which keeps the descriptor");
    refuses("exit:as=HOLD", 5,
            "a process cannot hold a connection beyond its own end; exit:as=HOLD works under closetrace run");
    refuses("fork:error=EAGAIN:lport=80", 26,
            "a fork does not concern a single socket: expected comm=, call= or caller=");
}

/* Functions that are wrapped and belong to no family: nothing is done to a connection by them. */
static const char *const no_family[] = {
    "fcloseall",
    "login_tty",
    "setrlimit",
    "prlimit",
    "pidfd_getfd",
    "socket",
    "socketpair",
    "getsockopt",
    "unshare",
    "setsockopt",
    "poll",
    "__poll_chk",
    "ppoll",
    "__ppoll_chk",
    "select",
    "pselect",
    "execve",
    "execv",
    "execvp",
    "execvpe",
    "execl",
    "execle",
    "execlp",
    "fexecve",
    "execveat",
    "__libc_start_main",
    "abort",
    "raise",
    "gsignal",
    "kill",
    "prctl",
    "pthread_setname_np",
    "bind",
    "listen",
    "syscall",
    /* events name these otherwise: read, putc, scanf ... */
    "__uflow",
    "__underflow",
    "__overflow",
    "__wuflow",
    "__wunderflow",
    "__woverflow",
};

static bool has_no_family(const char *symbol) {
    for (size_t i = 0; i < sizeof no_family / sizeof *no_family; i++)
        if (strcmp(no_family[i], symbol) == 0)
            return true;
    return false;
}

/* __fgets_chk is fgets in events, __isoc99_scanf and __isoc23_scanf are scanf. */
static const struct rule_call *call_of(const char *symbol) {
    static const char isoc99[] = "__isoc99_", isoc23[] = "__isoc23_";
    size_t length = strlen(symbol);
    if (length > 6 && strcmp(symbol + length - 4, "_chk") == 0)
        return rule_call_find(symbol + 2, length - 6);
    if (strncmp(symbol, isoc99, sizeof isoc99 - 1) == 0 || strncmp(symbol, isoc23, sizeof isoc23 - 1) == 0)
        return rule_call_find(symbol + sizeof isoc99 - 1, length - (sizeof isoc99 - 1));
    return rule_call_find(symbol, length);
}

static void every_hook_has_a_place(void) {
    static const char *const hooks[] = {
#define HOOK(symbol) #symbol,
#define TWIN(symbol, of)
#define OLD(symbol, of, version)
#include "kernel/hooks.def"
    };
    for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++)
        if (!has_no_family(hooks[i]) && !call_of(hooks[i]))
            FAILED("%s has no family, and is not known to have none", hooks[i]);
}

int main(void) {
    calls();
    expressions_of_strace();
    times();
    whens();
    chances();
    scopes_and_ways();
    matrix();
    bad_calls();
    bad_parts();
    bad_values();
    bad_pairs();
    every_hook_has_a_place();
    return unit_failures();
}
