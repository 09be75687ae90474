#include "event_words.h"

static const char *const states[STATE_COUNT] = {
    [STATE_SYN_SENT] = "asked for, and not answered yet",
    [STATE_SYN_RECV] = "its handshake is under way",
    [STATE_NEW_SYN_RECV] = "its handshake is under way",
    [STATE_ESTABLISHED] = "open in both directions",
    [STATE_FIN_WAIT1] = "our FIN was sent and is not acknowledged yet",
    [STATE_FIN_WAIT2] = "our FIN is acknowledged, the peer has not sent its own yet",
    [STATE_CLOSING] = "both FINs are on their way: they crossed",
    [STATE_TIME_WAIT] = "both directions have ended in order",
    [STATE_CLOSE_WAIT] = "the peer has ended its direction, ours is still open",
    [STATE_LAST_ACK] = "both FINs were sent, ours waits for its acknowledgement",
    [STATE_CLOSE] = "nothing is left of the connection",
    [STATE_LISTEN] = "waiting for connections",
};

static const char *const reasons[WHY_COUNT] = {
    [WHY_LAST_REFERENCE] = "because the last reference was gone",
    [WHY_SHUTDOWN] = "because that is what shutdown() asks for, whoever else has the socket open",
    [WHY_REFERENCES] = "because others still have the socket open",
    [WHY_CALL_IN_PROGRESS] = "because a thread is still inside a call on the socket",
    [WHY_UNREAD_DATA] = "because bytes had arrived that nobody had read",
    [WHY_LINGER_ZERO] = "because SO_LINGER was set to 0 seconds",
    [WHY_AFTER_SHUTDOWN] = "because of an earlier shutdown()",
    [WHY_NOT_CONNECTED] = "because it was not connected",
    [WHY_LISTENING] = "because it was a listener",
    [WHY_PEER_RESET] = "because the peer had reset the connection",
    [WHY_IN_FLIGHT] = "because a copy of the file descriptor is in a unix socket's queue",
    [WHY_HIDDEN] = "because the kernel still refers to it, although no file descriptor can be seen",
    [WHY_PARKED] = "because a fault rule holds it",
    [WHY_RECEIVE_SIDE] = "because SHUT_RD sends nothing",
    [WHY_DISCONNECT] = "because that is what connect() with AF_UNSPEC does",
    [WHY_LINGER2] = "because TCP_LINGER2 was below 0",
    [WHY_AFTER_CLOSE] = "because it was reset while its FIN or data was still waiting",
    [WHY_TIMED_OUT] = "because the connection had timed out",
    [WHY_DESTROYED] = "because the socket had been destroyed on this host",
    [WHY_OVER] = "because the connection was already over",
    [WHY_REFUSED] = "because the peer refused the connection",
};

const char *state_words(enum tcp_state state) {
    return (unsigned)state < STATE_COUNT ? states[state] : NULL;
}

const char *because(enum event_why why) {
    return (unsigned)why < WHY_COUNT ? reasons[why] : NULL;
}
