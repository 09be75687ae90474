#!/usr/bin/env bats
# bats file_tags=root
# close() of the last reference in every state, disconnecting, and listeners: log against wire.

load helpers/scene

@test "close: the last reference sends a FIN" {
  scene close last
  assert_event C op=close call=close fd="$(fact C_FD)" ret=0 fin=sent why=last-reference verified=true refs=1-0 \
    state_before=ESTABLISHED 'state_after=FIN_WAIT1|FIN_WAIT2' unread=0 unsent=0 role=client pid="$(fact PID)" \
    remote="$(fact S)"
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
  assert_event S op=close fin=sent why=last-reference verified=true refs=1-0 state_before=CLOSE_WAIT role=server
  assert_verdicts S sent
  assert_wire S fin=1 rst=0
}

@test "close: an epoll set holds no reference" {
  scene close in-epoll-set
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0 'state_after=FIN_WAIT1|FIN_WAIT2'
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "close: in CLOSE_WAIT, all read, a FIN, though the kernel mostly knows the socket no more" {
  scene close close-wait
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0 state_before=CLOSE_WAIT unread=0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "close: in CLOSE_WAIT, and the last ACK does not come: LAST_ACK" {
  scene close last-ack
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0 state_before=CLOSE_WAIT \
    state_after=LAST_ACK
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "close: both ends close before either's FIN has arrived" {
  scene close crossing
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0 state_before=ESTABLISHED \
    state_after=FIN_WAIT1
  assert_event S op=close fin=sent why=last-reference verified=true refs=1-0 state_before=ESTABLISHED
  assert_verdicts C sent
  assert_verdicts S sent
  assert_wire C fin=1 rst=0
  assert_wire S fin=1 rst=0
}

@test "close: in CLOSING the FIN has left already" {
  scene close closing
  assert_event C op=shutdown fin=sent why=shutdown verified=true state_after=FIN_WAIT1
  assert_event C op=close fin=already why=after-shutdown verified=true refs=1-0 state_before=CLOSING \
    state_after=CLOSING
  assert_verdicts C 'sent already'
  assert_wire C fin=1 rst=0
}

@test "close: unread data turns it into an RST" {
  scene close unread
  assert_event C op=close fin=reset why=unread-data verified=true unread=5 refs=1-0 state_before=ESTABLISHED
  assert_verdicts C reset
  assert_wire C fin=0 rst=1
}

@test "close: what is left after a read counts as unread" {
  scene close unread-rest
  assert_event C op=close fin=reset why=unread-data verified=true unread=4 refs=1-0
  assert_verdicts C reset
  assert_wire C fin=0 rst=1
}

@test "close: unread data in CLOSE_WAIT, which does not count the FIN" {
  scene close unread-close-wait
  assert_event C op=close fin=reset why=unread-data verified=true unread=5 refs=1-0 state_before=CLOSE_WAIT
  assert_verdicts C reset
  assert_wire C fin=0 rst=1
}

@test "close: unread data after SHUT_WR, first the FIN, then an RST" {
  scene close unread-after-shutdown
  assert_event C op=shutdown fin=sent why=shutdown verified=true
  assert_event C op=close fin=reset why=unread-data verified=true unread=5 refs=1-0 state_before=FIN_WAIT2
  assert_verdicts C 'sent reset'
  assert_wire C fin=1 rst=1
}

@test "close: one out-of-band byte, unread, is an RST, though SIOCINQ says 0" {
  scene close out-of-band
  assert_event C op=close fin=reset why=unread-data verified=true unread=1 refs=1-0
  assert_verdicts C reset
  assert_wire C fin=0 rst=1
}

@test "close: one out-of-band byte that was read with MSG_OOB is an RST all the same" {
  scene close out-of-band-read
  assert_event C op=close fin=reset why=unread-data verified=true refs=1-0 '.unread >= 1'
  assert_verdicts C reset
  assert_wire C fin=0 rst=1
}

@test "close: SO_LINGER of 0 seconds is an RST" {
  scene close linger-zero
  assert_event C op=close fin=reset why=linger-zero verified=true unread=0 refs=1-0 state_before=ESTABLISHED
  assert_verdicts C reset
  assert_wire C fin=0 rst=1
}

@test "close: SO_LINGER of 0 seconds in CLOSE_WAIT" {
  scene close linger-zero-close-wait
  assert_event C op=close fin=reset why=linger-zero verified=true refs=1-0 state_before=CLOSE_WAIT
  assert_verdicts C reset
  assert_wire C fin=0 rst=1
}

@test "close: SO_LINGER of 0 seconds after SHUT_WR, first the FIN, then an RST" {
  scene close linger-zero-after-shutdown
  assert_event C op=close fin=reset why=linger-zero verified=true refs=1-0 state_before=FIN_WAIT2
  assert_verdicts C 'sent reset'
  assert_wire C fin=1 rst=1
}

@test "close: SO_LINGER of some seconds ends in good order" {
  scene close linger-seconds
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "close: a FIN that has left no trace but the peer's state" {
  netns_run "$NETNS" sysctl -qw net.ipv4.tcp_max_tw_buckets=0
  scene close linger-seconds
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0 state_before=ESTABLISHED \
    state_after=CLOSE
  assert_verdicts C sent
  assert_wire C fin=1 rst=1 # to the FIN of a peer of whom nothing is known any more
}

@test "close: behind a closed window the FIN is queued, and leaves when the peer reads" {
  scene close window-closed
  assert_event C op=close fin=queued why=last-reference verified=true refs=1-0 state_before=ESTABLISHED \
    state_after=FIN_WAIT1 '.unsent > 0'
  assert_verdicts C 'queued( sent)?' # the release, where it is seen
  assert_events 0 C fin=sent '.op != "release"'
  assert_wire C fin=1 rst=0
  capture_segments "$(fact C)" | awk -v drained="$(fact DRAINED)" '{ exit !($1 >= drained) }'
}

@test "close: corked data and the FIN leave in one segment" {
  scene close corked
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0 'state_after=FIN_WAIT1|FIN_WAIT2'
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
  [[ $(capture_segments "$(fact C)") == *" FIN 5 "* ]]
}

@test "close: data sent with MSG_MORE and the FIN leave in one segment" {
  scene close more
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0 'state_after=FIN_WAIT1|FIN_WAIT2'
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
  [[ $(capture_segments "$(fact C)") == *" FIN 5 "* ]]
}

@test "close: a socket that was never connected has nothing to end" {
  scene close never-connected
  assert_event C op=close fin=none why=not-connected refs=1-0 'local=null|0.0.0.0:0'
  assert_verdicts C none
}

@test "close: in SYN_SENT nothing leaves" {
  scene close syn-sent
  assert_event C op=close fin=none why=not-connected verified=true refs=1-0 state_before=SYN_SENT
  assert_verdicts C none
  assert_wire C fin=0 rst=0
}

@test "close: a refused connection has nothing to end" {
  scene close refused
  assert_event C op=connect ret=-1 errno=ECONNREFUSED fin=none why=refused verified=true '.remote != null'
  assert_event C op=close fin=none why=not-connected refs=1-0 state_before=CLOSE
  assert_verdicts C 'none none'
  assert_wire C fin=0 rst=0
}

@test "close: after the peer's RST there is nothing to end" {
  scene close peer-reset
  assert_event C op=close fin=none why=over verified=true refs=1-0 state_before=CLOSE
  assert_verdicts C none
  assert_wire C fin=0 rst=0
  assert_event S op=close fin=reset why=linger-zero verified=true
  assert_wire S fin=0 rst=1
}

@test "close: in SYN_RECV unread data, which SIOCINQ does not count there, resets" {
  scene close fast-open unread
  assert_event C op=close fin=reset why=unread-data verified=true refs=1-0 state_before=SYN_RECV unread=5
  assert_verdicts C reset
  assert_wire C fin=0 rst=1
  [ "$(fact PEER)" = reset ]
}

@test "close: in SYN_RECV, all read, it sends a FIN" {
  scene close fast-open read
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0 state_before=SYN_RECV unread=0
  assert_verdicts C sent
}

@test "close: in SYN_RECV, over IPv6" {
  scene close fast-open unread v6
  assert_event C op=close fin=reset why=unread-data verified=true refs=1-0 state_before=SYN_RECV unread=5
}

@test "close: after SHUT_WR the FIN has left already" {
  scene close after-shutdown
  assert_event C op=shutdown fin=sent why=shutdown verified=true how=SHUT_WR state_before=ESTABLISHED
  assert_event C op=close fin=already why=after-shutdown verified=true refs=1-0 state_before=FIN_WAIT2 \
    state_after=FIN_WAIT2
  assert_verdicts C 'sent already'
  assert_wire C fin=1 rst=0
}

@test "close: in TIME_WAIT all was over already" {
  scene close time-wait
  assert_event C op=close fin=already why=after-shutdown verified=true refs=1-0
  assert_verdicts C 'sent already'
  assert_wire C fin=1 rst=0
}

@test "close: after the last ACK all was over already" {
  scene close after-last-ack
  assert_event C op=shutdown fin=sent why=shutdown verified=true state_before=CLOSE_WAIT
  assert_event C op=close fin=already why=after-shutdown verified=true refs=1-0 state_before=CLOSE
  assert_verdicts C 'sent already'
  assert_wire C fin=1 rst=0
}

@test "close: a TCP_LINGER2 below 0 sends the FIN, then an RST" {
  scene close linger2-negative
  assert_event C op=close fin=reset why=linger2 refs=1-0 state_before=ESTABLISHED
  assert_verdicts C reset
  assert_wire C fin=1 rst=1
}

@test "close: a TCP_LINGER2 below 0, and the RST has left when the close returns" {
  scene close linger2-negative-waiting
  assert_event C op=close fin=reset why=linger2 verified=true refs=1-0 state_before=ESTABLISHED
  assert_verdicts C reset
  assert_wire C fin=1 rst=1
}

@test "close: in TCP_REPAIR nothing leaves" {
  scene close repair
  assert_event C op=close fin=none why=disconnect verified=true refs=1-0
  assert_verdicts C none
  assert_wire C fin=0 rst=0
}

@test "connect: to AF_UNSPEC is an RST" {
  scene close disconnect
  assert_event C op=connect call=connect fin=reset why=disconnect verified=true ret=0 state_before=ESTABLISHED \
    fd="$(fact C_FD)"
  # what its address is then, is nobody's concern
  assert_event C op=close fin=none why=not-connected refs=1-0 unsent=0 \
    "local=null|0.0.0.0:0|$(fact C | sed s/127.0.0.1/0.0.0.0/)|$(fact C)"
  assert_verdicts C 'reset none'
  assert_wire C fin=0 rst=1
}

@test "close: the RST that answers the peer's later write is no call's" {
  scene close peer-writes
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=1
  assert_event S op=write call=send errno=EPIPE ret=-1
}

@test "close: nor is the RST after an orphan's time in FIN_WAIT2" {
  scene close orphan-expires
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=1
}

@test "close: a listener resets the connections in its queue" {
  scene close listener
  assert_event C op=close fin=none why=listening verified=true pending=3 refs=1-0 state_before=LISTEN
  assert_verdicts C none
  assert_wire C fin=0 rst=3
}

@test "close: a listener with an empty queue" {
  scene close idle-listener
  assert_event C op=close fin=none why=listening pending=0 refs=1-0 state_before=LISTEN
  assert_verdicts C none
  assert_wire C fin=0 rst=0
}

@test "close: a listener with another reference resets nothing until that is gone" {
  scene close shared-listener
  assert_event C op=close fd="$(fact C_FD)" refs=2-1 'fin=withheld|none' '(.pending // 0) == 0'
  assert_event C op=close fd="$(fact DUP)" fin=none why=listening pending=3 refs=1-0
  assert_verdicts C '(withheld|none) none'
  assert_wire C fin=0 rst=3
}

@test "shutdown: of a listener, SHUT_RD, resets the connections in its queue" {
  scene close shut-listener SHUT_RD
  assert_event C op=shutdown fin=none why=listening verified=true pending=3 how=SHUT_RD state_before=LISTEN
  assert_event C op=close fin=none refs=1-0 'why=not-connected|listening' '(.pending // 0) == 0'
  assert_verdicts C 'none none'
  assert_wire C fin=0 rst=3
}

@test "shutdown: of a listener, SHUT_RDWR, resets the connections in its queue" {
  scene close shut-listener SHUT_RDWR
  assert_event C op=shutdown fin=none why=listening verified=true pending=3 how=SHUT_RDWR state_before=LISTEN
  assert_event C op=close fin=none refs=1-0 'why=not-connected|listening' '(.pending // 0) == 0'
  assert_verdicts C 'none none'
  assert_wire C fin=0 rst=3
}
