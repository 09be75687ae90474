#include "advice.h"

static const char *const advice[FINDING_COUNT] = {
    [FINDING_FIN_WITHHELD] =
        "Open sockets close-on-exec (SOCK_CLOEXEC, accept4), close in a forked child what is not its own, or call "
        "shutdown(fd, SHUT_WR) before close(): it sends the FIN whoever else has the socket open.",
    [FINDING_RESET_ON_CLOSE] =
        "Read to the end before closing; if you do not want the data, shutdown(fd, SHUT_WR), read and discard until "
        "EOF or a timeout, then close.",
    [FINDING_HALF_CLOSE_AS_ABORT] =
        "Treat EOF as the end of the request, not of the connection: answer, then close. In a proxy, pass the "
        "half-close on with shutdown(SHUT_WR).",
    [FINDING_CLOSE_WAIT] =
        "Close the connection where read() returns 0, on error paths too; where the language allows, close by scope "
        "(with, defer, RAII).",
    [FINDING_NEVER_CLOSED] =
        "Call close() after shutdown(), once the peer's end has been read or a timeout has passed: shutdown() does not "
        "free the descriptor.",
    [FINDING_DOUBLE_CLOSE] =
        "Give each descriptor one owner, and set the variable to -1 where it is closed: with threads the second "
        "close() can hit somebody else's descriptor.",
    [FINDING_CLOSED_IN_USE] =
        "Call shutdown(fd, SHUT_RDWR) first: it wakes the threads that are inside a call and sends the FIN; close() "
        "when they have left.",
    [FINDING_WRITE_AFTER_END] =
        "Ignore SIGPIPE or write with MSG_NOSIGNAL, and take EPIPE for the end of the connection: close it.",
    [FINDING_QUEUE_RESET] =
        "Accept what waits in the queue before closing the listener, or do not close it: hand it to the new process "
        "(socket activation, a graceful reload).",
    [FINDING_ANSWER_CUT] =
        "Close in two steps: shutdown(fd, SHUT_WR), read and discard until EOF or a timeout, then close(fd).",
    [FINDING_SHORT_WRITE] =
        "Keep what write() did not take, wait until the socket is writable, write the rest, and only then close.",
    [FINDING_UNREAD_AT_END] =
        "When a write fails, read what has arrived before giving the connection up: the answer that says why may be "
        "in it.",
    [FINDING_UPLOAD_CUT] =
        "In a relay, pass one direction's end on with shutdown(SHUT_WR) and go on with the other direction.",
    [FINDING_REQUEST_AFTER_FIN] =
        "Before reusing an idle connection, check that it is not readable; keep the client's idle timeout below the "
        "server's; repeat requests that may be repeated.",
    [FINDING_PORT_HELD] =
        "Open the listener with SOCK_CLOEXEC, or close it in the child before exec; closetrace now shows who holds "
        "the port.",
    [FINDING_CLOSED_ANOTHERS] =
        "Give each descriptor one owner, closed once; look at error paths, which close what the normal path closes "
        "too.",
    [FINDING_SHARED_CONNECTION] =
        "Open connections to databases and brokers after the fork, in the worker that uses them.",
    [FINDING_GAVE_UP] = "If answers are missed, look at how long the client waited before it closed.",
    [FINDING_QUEUE_FULL] =
        "Let one thread do nothing but accept; give listen() a longer queue; refuse early what cannot be served.",
};

const char *finding_advice(enum finding_kind kind) {
    return (unsigned)kind < FINDING_COUNT && advice[kind] ? advice[kind] : "";
}
