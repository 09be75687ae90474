#include "pure/render.h"

#include <errno.h>
#include <sys/socket.h>

#include "events.h"
#include "unit.h"

#define SEVEN "7<TCP:[127.0.0.1:8080->127.0.0.1:51432]>"
#define WHO   "14:03:22.123456  4711 nginx  "

static char buffer[8192];
static struct text_style style;

static const char *line_of(const struct event *event) {
    buffer[render_text(event, &style, buffer, RENDER_LINE_MAX)] = '\0';
    return buffer;
}

/* The line, without what every line begins and ends with. */
static const char *what(const struct event *event) {
    const char *line = line_of(event);
    const size_t length = strlen(line);
    CHECK(strncmp(line, WHO, strlen(WHO)) == 0);
    CHECK(length > 0 && line[length - 1] == '\n' && strchr(line, '\n') == line + length - 1);
    buffer[length - 1] = '\0';
    return buffer + strlen(WHO);
}

static void the_lines_of_the_contract(void) {
    struct event event = socket_event(OP_CLOSE, "close");
    returns(&event, 0);
    counts(&event, 2, 1);
    ends(&event, FIN_WITHHELD, WHY_REFERENCES, true);
    turns(&event, STATE_ESTABLISHED, STATE_ESTABLISHED);
    held_by(&event, 4712, "nginx", 7);
    CHECK_TEXT(line_of(&event), "14:03:22.123456  4711 nginx  close(7<TCP:[127.0.0.1:8080->127.0.0.1:51432]>) = 0  "
                                "refs 2->1  FIN withheld: held by 4712 nginx fd 7\n");

    event = socket_event(OP_CLOSE, "close");
    event.time_us += 345;
    event.pid = 4712;
    returns(&event, 0);
    counts(&event, 1, 0);
    ends(&event, FIN_SENT, WHY_LAST_REFERENCE, true);
    turns(&event, STATE_ESTABLISHED, STATE_FIN_WAIT2);
    CHECK_TEXT(line_of(&event), "14:03:22.123801  4712 nginx  close(7<TCP:[127.0.0.1:8080->127.0.0.1:51432]>) = 0  "
                                "refs 1->0  FIN sent  ESTABLISHED->FIN_WAIT2\n");

    event = socket_event(OP_SHUTDOWN, "shutdown");
    event.time_us = 14 * UINT64_C(3600000000) + 3 * 60000000 + 23000120;
    event.fd = 9;
    event.has |= HAS_HOW;
    event.how = SHUT_WR;
    returns(&event, 0);
    counts(&event, 2, 2);
    ends(&event, FIN_SENT, WHY_SHUTDOWN, true);
    turns(&event, STATE_ESTABLISHED, STATE_FIN_WAIT1);
    CHECK_TEXT(line_of(&event),
               "14:03:23.000120  4711 nginx  shutdown(9<TCP:[127.0.0.1:8080->127.0.0.1:51432]>, SHUT_WR) = 0"
               "  refs 2  FIN sent  ESTABLISHED->FIN_WAIT1\n");

    event = socket_event(OP_EXIT, "exit");
    event.time_us = 14 * UINT64_C(3600000000) + 3 * 60000000 + 24500001;
    event.has |= HAS_STATUS | HAS_UNREAD;
    event.unread = 312;
    counts(&event, 1, 0);
    ends(&event, FIN_RESET, WHY_UNREAD_DATA, false);
    turns(&event, STATE_ESTABLISHED, STATE_UNSET);
    CHECK_TEXT(line_of(&event), "14:03:24.500001  4711 nginx  exit(0)  7<TCP:[127.0.0.1:8080->127.0.0.1:51432]>  "
                                "refs 1->0  RST expected: 312 bytes unread\n");
}

static void who_and_when(void) {
    struct event event = bare_event(OP_CLOSE, "close");
    event.pid = 1;
    CHECK_TEXT(line_of(&event), "14:03:22.123456     1 nginx  close()\n");
    event.pid = 4194304;
    CHECK_TEXT(line_of(&event), "14:03:22.123456 4194304 nginx  close()\n");
    event.pid = 10;
    style.utc_offset = 2 * 3600;
    CHECK_TEXT(line_of(&event), "16:03:22.123456    10 nginx  close()\n");
    style.utc_offset = -15 * 3600;
    CHECK_TEXT(line_of(&event), "23:03:22.123456    10 nginx  close()\n");
    style.utc_offset = 0;
    event.time_us = UINT64_C(1700000000000007);
    memcpy(event.comm, "\x1b[2J six\377teen ch", COMM_SIZE);
    CHECK_TEXT(line_of(&event), "22:13:20.000007    10 \\033[2J six\xef\xbf\xbdteen ch  close()\n");
}

/* What a call has waited for bears the time at which it came. */
static void when_it_came(void) {
    static const enum event_op come_at_the_end[] = {OP_EOF, OP_RESET, OP_ACCEPT, OP_RECV_FD};
    struct event event = bare_event(OP_CLOSE, "close");
    event.has = HAS_DURATION;
    event.duration_us = 2000001;
    CHECK(strncmp(line_of(&event), "14:03:22.123456 ", 16) == 0);
    for (size_t i = 0; i < sizeof come_at_the_end / sizeof *come_at_the_end; i++) {
        event.op = come_at_the_end[i];
        CHECK(strncmp(line_of(&event), "14:03:24.123457 ", 16) == 0);
    }
    event.op = OP_CONNECT;
    CHECK(strncmp(line_of(&event), "14:03:22.123456 ", 16) == 0);
    ends(&event, FIN_NONE, WHY_TIMED_OUT, true);
    CHECK(strncmp(line_of(&event), "14:03:24.123457 ", 16) == 0);
    event.op = OP_READ;
    CHECK(strncmp(line_of(&event), "14:03:24.123457 ", 16) == 0);
    ends(&event, FIN_UNSET, WHY_UNSET, false);
    CHECK(strncmp(line_of(&event), "14:03:22.123456 ", 16) == 0);
}

static void sockets(void) {
    struct event event = socket_event(OP_CLOSE, "close");
    event.local = v6(80);
    event.remote = v6(5000);
    CHECK_TEXT(what(&event), "close(7<TCPv6:[[::1]:80->[::1]:5000]>)");
    event.remote = (struct address){.family = ADDRESS_V6};
    CHECK_TEXT(what(&event), "close(7<TCPv6:[[::1]:80]>)");
    event.local = v4(1, 80);
    CHECK_TEXT(what(&event), "close(7<TCP:[127.0.0.1:80]>)");
    event.local = (struct address){.family = ADDRESS_V6};
    CHECK_TEXT(what(&event), "close(7<TCPv6:[4097]>)");
    event.local = event.remote = (struct address){.family = ADDRESS_V4};
    CHECK_TEXT(what(&event), "close(7<TCP:[4097]>)");
    event.local.family = event.remote.family = ADDRESS_UNSET;
    CHECK_TEXT(what(&event), "close(7<TCP:[4097]>)");
    event.local.family = ADDRESS_V4;
    event.remote = v4(1, 80);
    CHECK_TEXT(what(&event), "close(7<TCP:[0.0.0.0:0->127.0.0.1:80]>)");
    event.local.family = ADDRESS_UNSET;
    CHECK_TEXT(what(&event), "close(7<TCP:[?->127.0.0.1:80]>)");
    event.has = HAS_FD;
    CHECK_TEXT(what(&event), "close(7)");
    event.has = HAS_SOCKET;
    CHECK_TEXT(what(&event), "close(TCP:[?->127.0.0.1:80])");
}

static void opening(void) {
    struct event event = socket_event(OP_CONNECT, "connect");
    fails(&event, EINPROGRESS);
    CHECK_TEXT(what(&event), "connect(" SEVEN ") = -1 EINPROGRESS");
    event.has &= ~(unsigned)HAS_ERRNO;
    returns(&event, 0);
    CHECK_TEXT(what(&event), "connect(" SEVEN ") = 0");
    ends(&event, FIN_RESET, WHY_DISCONNECT, true);
    turns(&event, STATE_ESTABLISHED, STATE_CLOSE);
    CHECK_TEXT(what(&event), "connect(" SEVEN ") = 0  RST sent: disconnect  ESTABLISHED->CLOSE");
    event = socket_event(OP_ACCEPT, "accept4");
    event.fd = 6;
    returns(&event, 7);
    CHECK_TEXT(what(&event), "accept4(6) = " SEVEN);
    fails(&event, EMFILE);
    CHECK_TEXT(what(&event), "accept4(6) = -1 EMFILE");
}

static void references(void) {
    struct event event = socket_event(OP_DUP, "dup");
    returns(&event, 9);
    counts(&event, 1, 2);
    CHECK_TEXT(what(&event), "dup(" SEVEN ") = 9  refs 1->2");
    event.refs_partial = true;
    CHECK_TEXT(what(&event), "dup(" SEVEN ") = 9  refs 1->2+");
    event.has &= ~(unsigned)HAS_REFS_BEFORE;
    CHECK_TEXT(what(&event), "dup(" SEVEN ") = 9  refs 2+");

    event = bare_event(OP_FORK, "fork");
    event.has = HAS_CHILD | HAS_SHARED;
    event.child = 4712;
    event.shared = 3;
    CHECK_TEXT(what(&event), "fork() = 4712  shares 3 TCP sockets");
    event.shared = 1;
    event.call = "vfork";
    CHECK_TEXT(what(&event), "vfork() = 4712  shares 1 TCP socket");
    event = bare_event(OP_FORK, "fork");
    fails(&event, EAGAIN);
    CHECK_TEXT(what(&event), "fork() = -1 EAGAIN");

    event = socket_event(OP_EXEC, "execve");
    counts(&event, 2, 1);
    ends(&event, FIN_WITHHELD, WHY_REFERENCES, false);
    CHECK_TEXT(what(&event), "execve()  " SEVEN "  refs 2->1  FIN withheld (unverified): other references remain");
    event = socket_event(OP_EXEC, "execve");
    fails(&event, ENOENT);
    CHECK_TEXT(what(&event), "execve() = -1 ENOENT  " SEVEN);
    event.has = HAS_RET | HAS_ERRNO;
    CHECK_TEXT(what(&event), "execve() = -1 ENOENT");

    event = socket_event(OP_SEND_FD, "sendmsg");
    returns(&event, 1);
    counts(&event, 1, 2);
    CHECK_TEXT(what(&event), "sendmsg(SCM_RIGHTS " SEVEN ") = 1  refs 1->2");
    event = socket_event(OP_RECV_FD, "recvmsg");
    returns(&event, 1);
    CHECK_TEXT(what(&event), "recvmsg(SCM_RIGHTS) = " SEVEN);
    event.has = HAS_RET;
    CHECK_TEXT(what(&event), "recvmsg(SCM_RIGHTS) = 1");
}

static void ending(void) {
    struct event event = socket_event(OP_CLOSE, "dup2");
    returns(&event, 7);
    CHECK_TEXT(what(&event), "dup2(..., " SEVEN ") = 7");
    event = socket_event(OP_CLOSE, "fclose");
    fails(&event, EIO);
    ends(&event, FIN_SENT, WHY_LAST_REFERENCE, true);
    turns(&event, STATE_UNSET, STATE_FIN_WAIT1);
    CHECK_TEXT(what(&event), "fclose(" SEVEN ") = -1 EIO  FIN sent  FIN_WAIT1");
    fails(&event, 524);
    event.injected = "close:error=524";
    turns(&event, STATE_ESTABLISHED, STATE_FIN_WAIT1);
    CHECK_TEXT(what(&event),
               "fclose(" SEVEN ") = -1 errno 524  FIN sent  ESTABLISHED->FIN_WAIT1  (INJECTED close:error=524)");
    event = socket_event(OP_EXIT, "return");
    event.has |= HAS_STATUS;
    event.status = 3;
    ends(&event, FIN_SENT, WHY_LAST_REFERENCE, false);
    CHECK_TEXT(what(&event), "return 3  " SEVEN "  FIN expected");
    event.call = "SIGPIPE";
    event.has &= ~(unsigned)HAS_STATUS;
    CHECK_TEXT(what(&event), "SIGPIPE  " SEVEN "  FIN expected");
    event.call = "abort";
    CHECK_TEXT(what(&event), "abort()  " SEVEN "  FIN expected");
    event = socket_event(OP_RELEASE, "recvfrom");
    counts(&event, 1, 0);
    ends(&event, FIN_SENT, WHY_LAST_REFERENCE, true);
    CHECK_TEXT(what(&event), "release(recvfrom)  " SEVEN "  refs 1->0  FIN sent");
    event.has = HAS_SOCKET;
    event.call = NULL;
    CHECK_TEXT(what(&event), "release  TCP:[127.0.0.1:8080->127.0.0.1:51432]  FIN sent");
}

static void data(void) {
    struct event event = socket_event(OP_EOF, "read");
    returns(&event, 0);
    event.state_after = STATE_CLOSE_WAIT;
    CHECK_TEXT(what(&event), "read(" SEVEN ") = 0  EOF: the peer's FIN  CLOSE_WAIT");
    event = socket_event(OP_RESET, "recv");
    fails(&event, ECONNRESET);
    event.state_after = STATE_CLOSE;
    CHECK_TEXT(what(&event), "recv(" SEVEN ") = -1 ECONNRESET  RST from the peer  CLOSE");
    event = socket_event(OP_WRITE, "write");
    fails(&event, EPIPE);
    event.sigpipe = SIGPIPE_FATAL;
    CHECK_TEXT(what(&event), "write(" SEVEN ") = -1 EPIPE  SIGPIPE fatal");
    event.sigpipe = SIGPIPE_SUPPRESSED;
    CHECK_TEXT(what(&event), "write(" SEVEN ") = -1 EPIPE  SIGPIPE suppressed");
    event = socket_event(OP_READ, "recvfrom");
    returns(&event, 512);
    CHECK_TEXT(what(&event), "recvfrom(" SEVEN ") = 512");
}

static void standing(void) {
    struct event event = socket_event(OP_STATE, NULL);
    event.state_before = event.state_after = STATE_CLOSE_WAIT;
    event.has |= HAS_IDLE | HAS_UNREAD;
    event.idle_us = 10003999;
    event.unread = 312;
    event_add_holder(&event, &(struct holder){.pid = 4712, .fd = 4, .comm = "sleep"});
    CHECK_TEXT(what(&event), "state " SEVEN "  CLOSE_WAIT  without traffic for 10.003 s  312 unread"
                             "  held by 4712 sleep fd 4");
    event.state_before = event.state_after = STATE_ESTABLISHED;
    event.has &= ~(unsigned)HAS_UNREAD;
    event.fin = FIN_WITHHELD;
    event.why = WHY_REFERENCES;
    event.verified = true;
    CHECK_TEXT(what(&event), "state " SEVEN "  ESTABLISHED  without traffic for 10.003 s"
                             "  FIN withheld: held by 4712 sleep fd 4");
    event = socket_event(OP_RELEASE, NULL);
    event.fin = FIN_RESET;
    event.why = WHY_AFTER_CLOSE;
    event.verified = true;
    event.has |= HAS_LOST;
    event.lost = 1;
    CHECK_TEXT(what(&event), "release  " SEVEN "  RST sent after the close: 1 byte never reached the peer");
}

static void rules(void) {
    struct event event = bare_event(OP_RULE, NULL);
    event.rule = "close:as=RST:when=3";
    event.matched = 2;
    event.fired_nowhere = true;
    CHECK_TEXT(what(&event), "+++ rule: NEVER FIRED (matched 2 times): close:as=RST:when=3 +++");
    event.fired_nowhere = false;
    CHECK_TEXT(what(&event), "+++ rule: fired elsewhere (matched 2 times): close:as=RST:when=3 +++");
    event.matched = event.fired = 1;
    CHECK_TEXT(what(&event), "+++ rule: fired 1 time (matched 1 time): close:as=RST:when=3 +++");
    event = socket_event(OP_CLOSE, "close");
    returns(&event, 0);
    event.not_injected = "close:as=HOLD";
    event.not_injected_why = "no file descriptor is left to park it";
    CHECK_TEXT(what(&event),
               "close(" SEVEN ") = 0  (NOT INJECTED no file descriptor is left to park it: close:as=HOLD)");
}

static void frames(void) {
    const char *const command[] = {"./app", "a b", "x\ny", NULL};
    struct event event = bare_event(OP_START, NULL);
    CHECK_TEXT(what(&event), "+++ closetrace " CLOSETRACE_VERSION ": +++");
    event.command = command;
    CHECK_TEXT(what(&event), "+++ closetrace " CLOSETRACE_VERSION ": ./app a b x\\012y +++");
    event = bare_event(OP_END, "exit");
    event.events = 12;
    event.asked = 3;
    event.contradicted = 1;
    CHECK_TEXT(what(&event), "+++ 12 events, 0 lost, kernel asked 3 times, knew better 1 time +++");
    event.events = event.asked = 1;
    event.lost = 2;
    event.contradicted = 0;
    CHECK_TEXT(what(&event), "+++ 1 event, 2 lost, kernel asked 1 time +++");
}

static void colors(void) {
    struct event event = socket_event(OP_CLOSE, "close");
    turns(&event, STATE_ESTABLISHED, STATE_FIN_WAIT1);
    style.color = true;
    ends(&event, FIN_SENT, WHY_LAST_REFERENCE, true);
    CHECK_TEXT(what(&event), "close(" SEVEN ")  \x1b[32mFIN sent\x1b[0m  ESTABLISHED->FIN_WAIT1");
    ends(&event, FIN_QUEUED, WHY_LAST_REFERENCE, true);
    CHECK_TEXT(what(&event), "close(" SEVEN ")  \x1b[33mFIN queued\x1b[0m  ESTABLISHED->FIN_WAIT1");
    ends(&event, FIN_WITHHELD, WHY_IN_FLIGHT, true);
    CHECK(strstr(what(&event), "  \x1b[33mFIN withheld: a copy is in flight in a unix socket\x1b[0m  EST"));
    ends(&event, FIN_RESET, WHY_LINGER_ZERO, false);
    CHECK(strstr(what(&event), "  \x1b[31mRST expected: SO_LINGER 0\x1b[0m  EST"));
    ends(&event, FIN_ALREADY, WHY_AFTER_SHUTDOWN, true);
    CHECK(strstr(what(&event), "  FIN already sent  EST"));
    ends(&event, FIN_UNSET, WHY_UNSET, false);
    CHECK_TEXT(what(&event), "close(" SEVEN ")  ESTABLISHED->FIN_WAIT1");
    event = socket_event(OP_RESET, "read");
    CHECK_TEXT(what(&event), "read(" SEVEN ")  \x1b[31mRST from the peer\x1b[0m");
    style.color = false;
}

/* size bytes, one more that must stay as it is. */
static const char *cut_line(const struct event *event, size_t size) {
    buffer[size] = '~';
    const size_t length = render_text(event, &style, buffer, size);
    CHECK(length <= size && buffer[size] == '~');
    CHECK(size == 0 || (length > 0 && buffer[length - 1] == '\n'));
    buffer[length] = '\0';
    CHECK(!strchr(buffer, '\n') || strchr(buffer, '\n') == buffer + length - 1);
    return buffer;
}

static void holders_go_first(void) {
    struct event event = widest_event(40);
    event.injected = "close:as=HOLD";
    style.color = true;
    for (size_t size = 1024; size <= 4096; size++) {
        const char *line = cut_line(&event, size);
        CHECK(strstr(line, "held by "));
        CHECK(strstr(line, " more\x1b[0m  ESTABLISHED->CLOSE_WAIT  (INJECTED close:as=HOLD)\n"));
    }
    style.color = false;
}

static void then_the_rule(void) {
    char rule[6000];
    struct event event = widest_event(40);
    memset(rule, 'r', sizeof rule);
    rule[sizeof rule - 1] = '\0';
    event.injected = rule;
    for (size_t size = 1024; size <= 4096; size++) {
        const char *line = cut_line(&event, size);
        CHECK(strstr(line, " (unverified): held by "));
        CHECK(strstr(line, "  ESTABLISHED->CLOSE_WAIT  (INJECTED rrr"));
        CHECK(strcmp(line + strlen(line) - 3, "r)\n") == 0);
    }
}

static void long_commands(void) {
    char word[5000];
    const char *command[400];
    struct event event = bare_event(OP_START, NULL);
    memset(word, 'w', sizeof word);
    word[sizeof word - 1] = '\0';
    event.command = command;
    for (size_t i = 0; i < 399; i++)
        command[i] = "a-word-of-a-command";
    command[399] = NULL;
    for (size_t size = 128; size <= 4096; size++)
        CHECK(strstr(cut_line(&event, size), ": a-word-of-a-command "));
    CHECK(strstr(cut_line(&event, 4096), "a-word-of-a-command ... +++\n"));
    command[1] = word;
    CHECK_TEXT(cut_line(&event, RENDER_LINE_MAX),
               WHO "+++ closetrace " CLOSETRACE_VERSION ": a-word-of-a-command ... +++\n");
}

static void no_buffer_is_too_small(void) {
    struct event event = widest_event(40);
    for (size_t size = 0; size < 1024; size++) {
        event.op = OP_CLOSE;
        cut_line(&event, size);
        event.op = OP_START;
        cut_line(&event, size);
        event.op = OP_END;
        cut_line(&event, size);
    }
}

int main(void) {
    errno = 4711;
    the_lines_of_the_contract();
    who_and_when();
    when_it_came();
    sockets();
    opening();
    references();
    ending();
    data();
    standing();
    rules();
    frames();
    colors();
    holders_go_first();
    then_the_rule();
    long_commands();
    no_buffer_is_too_small();
    CHECK_NUMBER(errno, 4711);
    return unit_failures();
}
