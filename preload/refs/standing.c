#define _GNU_SOURCE
#include "standing.h"

#include "fd_table.h"
#include "fds_in_flight.h"
#include "kernel/sock_diag.h"
#include "output/log.h"

static enum event_why death_seen(unsigned seen) {
    if (seen & SEEN_TIMED_OUT)
        return WHY_TIMED_OUT;
    if (seen & SEEN_DESTROYED)
        return WHY_DESTROYED;
    return seen & SEEN_RESET ? WHY_PEER_RESET : WHY_UNSET;
}

/* In CLOSE: both ends have ended in order, or its EOF was read. The bytes received count it as one. */
static bool peer_fin_came(int fd, const struct before *before, unsigned seen) {
    return (seen & SEEN_EOF) || (before->fin_sent && !before->death && !socket_has_error(fd));
}

/* MPTCP's stream ends before the connection of TCP that carries it, of which the kernel tells the state. */
static enum tcp_state state_of_stream(enum tcp_state carrier, unsigned seen) {
    if (carrier != STATE_ESTABLISHED)
        return carrier;
    if (seen & SEEN_OWN_FIN)
        return seen & SEEN_EOF ? STATE_CLOSING : STATE_FIN_WAIT2;
    return seen & SEEN_EOF ? STATE_CLOSE_WAIT : carrier;
}

void standing_of(int fd, const struct identity *identity, bool for_close, struct standing *standing) {
    if (flight_met_strangers()) /* another program may have set them */
        atomic_store_explicit(socket_odd_options, 1, memory_order_relaxed);
    bool asked = socket_stand(fd, identity->role, for_close, standing);
    unsigned seen = table_seen(fd);
    struct before *before = &standing->before;
    standing->used = seen & SEEN_USE;
    if (identity->mptcp)
        before->state = state_of_stream(before->state, seen);
    standing->last = table_last(fd, &standing->asked);
    if (asked && before->state != STATE_CLOSE)
        return;
    /* In CLOSE the kernel's numbers do not tell a connection that is over from a socket that was something else. */
    bool had_peer = identity->role == ROLE_SERVER || !address_is_unspecified(&identity->remote);
    before->was_connected = had_peer && (before->was_connected || !asked);
    before->death = death_seen(seen);
    before->fin_sent = before->was_connected && (before->fin_sent || ((seen & SEEN_OWN_FIN) && !before->death));
    if (asked && standing->received && peer_fin_came(fd, before, seen))
        standing->received--;
}

void standing_count_unread(const struct identity *identity, struct standing *standing, struct scratch *scratch) {
    struct diag_answer answer;
    struct before *before = &standing->before;
    if (before->unread == 0 || !log_settings.verify || !diag_prepare(identity, before->state, scratch))
        return;
    diag_look_up(identity, scratch, &answer);
    bool has_fin =
        before->state == STATE_CLOSE_WAIT || before->state == STATE_LAST_ACK || before->state == STATE_CLOSING;
    if (answer.found && answer.receive_queue > before->unread + has_fin)
        before->unread = answer.receive_queue - has_fin;
}

/* Its peer has ended its direction, and nothing was sent since its last bytes came. */
static bool owes_answer(const struct standing *standing) {
    if (standing->before.state != STATE_CLOSE_WAIT || standing->received == 0)
        return false;
    return standing->last == LAST_READ || (standing->last == LAST_UNSET && !standing->sent && !standing->unsent);
}

void standing_look_at_peer(const struct identity *identity, struct standing *standing, struct scratch *scratch) {
    struct diag_answer peer;
    if (!owes_answer(standing) || !log_settings.verify || !diag_prepare(identity, standing->before.state, scratch))
        return;
    diag_look_up_peer(identity, scratch, &peer);
    if (peer.found && peer.inode)
        standing->peer_state = peer.state;
}
