#define _GNU_SOURCE
#include "pure/names.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "unit.h"

static void every_enum_value_has_a_word(void) {
    for (int i = 0; i < OP_COUNT; i++)
        CHECK(op_name((enum event_op)i));
    for (int i = 1; i < FIN_COUNT; i++)
        CHECK(fin_name((enum event_fin)i));
    for (int i = 1; i < WHY_COUNT; i++)
        CHECK(why_name((enum event_why)i));
    for (int i = 1; i < ROLE_COUNT; i++)
        CHECK(role_name((enum event_role)i));
    for (int i = 1; i < STATE_COUNT; i++)
        CHECK(state_name((enum tcp_state)i));
    for (int i = 1; i < SIGPIPE_COUNT; i++)
        CHECK(sigpipe_name((enum event_sigpipe)i));
}

static void the_words_of_the_contract(void) {
    CHECK_TEXT(op_name(OP_START), "start");
    CHECK_TEXT(op_name(OP_SEND_FD), "send_fd");
    CHECK_TEXT(op_name(OP_END), "end");
    CHECK_TEXT(fin_name(FIN_WITHHELD), "withheld");
    CHECK_TEXT(fin_name(FIN_NONE), "none");
    CHECK_TEXT(why_name(WHY_LAST_REFERENCE), "last-reference");
    CHECK_TEXT(why_name(WHY_CALL_IN_PROGRESS), "call-in-progress");
    CHECK_TEXT(why_name(WHY_LINGER2), "linger2");
    CHECK_TEXT(role_name(ROLE_CLIENT), "client");
    CHECK_TEXT(state_name(STATE_ESTABLISHED), "ESTABLISHED");
    CHECK_TEXT(state_name(STATE_CLOSING), "CLOSING");
    CHECK_TEXT(state_name(STATE_NEW_SYN_RECV), "SYN_RECV");
    CHECK_TEXT(how_name(SHUT_RD), "SHUT_RD");
    CHECK_TEXT(how_name(SHUT_RDWR), "SHUT_RDWR");
    CHECK_TEXT(sigpipe_name(SIGPIPE_FATAL), "fatal");
    for (int i = 1; i < REACH_COUNT; i++)
        CHECK(reach_name((enum event_reach)i));
    CHECK_TEXT(reach_name(REACH_OTHER_LIBC), "other-libc");
    CHECK_TEXT(last_name(LAST_WRITE), "write");
    CHECK(!last_name(LAST_UNSET) && !last_name(LAST_COUNT));
}

static void no_word_for_what_is_not_there(void) {
    CHECK(!op_name(OP_COUNT));
    CHECK(!fin_name(FIN_UNSET) && !fin_name(FIN_COUNT));
    CHECK(!why_name(WHY_UNSET) && !why_name(WHY_COUNT));
    CHECK(!role_name(ROLE_UNSET) && !role_name(ROLE_COUNT));
    CHECK(!state_name(STATE_UNSET) && !state_name(STATE_COUNT));
    CHECK(!how_name(-1) && !how_name(3));
    CHECK(!sigpipe_name(SIGPIPE_UNSET) && !sigpipe_name(SIGPIPE_COUNT));
    CHECK(!errno_name(0) && !errno_name(-1) && !errno_name(41) && !errno_name(4095) && !errno_name(-2147483647 - 1));
    CHECK(!signal_name(0) && !signal_name(-1) && !signal_name(65));
}

static void numbers_of_linux(void) {
    CHECK_TEXT(errno_name(EPERM), "EPERM");
    CHECK_TEXT(errno_name(EPIPE), "EPIPE");
    CHECK_TEXT(errno_name(EWOULDBLOCK), "EAGAIN");
    CHECK_TEXT(errno_name(ENOTSUP), "EOPNOTSUPP");
    CHECK_TEXT(errno_name(EDEADLOCK), "EDEADLK");
    CHECK_TEXT(errno_name(EHWPOISON), "EHWPOISON");
    CHECK_TEXT(signal_name(SIGHUP), "SIGHUP");
    CHECK_TEXT(signal_name(SIGPIPE), "SIGPIPE");
    CHECK_TEXT(signal_name(SIGSYS), "SIGSYS");
    CHECK_TEXT(signal_name(32), "SIGRT");
    CHECK_TEXT(signal_name(64), "SIGRT");
    for (int error = 1; error <= EHWPOISON; error++)
        if (error != 41 && error != 58) /* the two that Linux left out */
            CHECK(errno_name(error));
    for (int signal = 1; signal <= 31; signal++)
        CHECK(signal_name(signal));
}

#if defined __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 32)
static void agrees_with_libc(void) {
    for (int error = 1; error < 200; error++)
        if (strerrorname_np(error) && error != ENOTSUP)
            CHECK_TEXT(errno_name(error), strerrorname_np(error));
    for (int signal = 1; signal < 32; signal++)
        if (signal != SIGIO) /* which libc calls POLL, and strace and everybody IO */
            CHECK_TEXT(signal_name(signal) + 3, sigabbrev_np(signal));
}
#define HAVE_LIBC_NAMES
#endif
#endif

int main(void) {
    every_enum_value_has_a_word();
    the_words_of_the_contract();
    no_word_for_what_is_not_there();
    numbers_of_linux();
#ifdef HAVE_LIBC_NAMES
    agrees_with_libc();
#endif
    return unit_failures();
}
