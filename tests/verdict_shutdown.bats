#!/usr/bin/env bats
# bats file_tags=root
# shutdown() in its three directions, and the close after it: log against wire.

load helpers/scene

@test "shutdown: SHUT_RD sends nothing" {
  scene shutdown then-close SHUT_RD
  assert_event C op=shutdown call=shutdown how=SHUT_RD ret=0 fin=none why=receive-side verified=true refs=1-1 \
    state_before=ESTABLISHED state_after=ESTABLISHED fd="$(fact C_FD)"
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C 'none sent'
  assert_wire C fin=1 rst=0
}

@test "shutdown: SHUT_WR sends the FIN" {
  scene shutdown then-close SHUT_WR
  assert_event C op=shutdown how=SHUT_WR ret=0 fin=sent why=shutdown verified=true refs=1-1 \
    state_before=ESTABLISHED 'state_after=FIN_WAIT1|FIN_WAIT2'
  assert_event C op=close fin=already why=after-shutdown verified=true refs=1-0 state_before=FIN_WAIT2
  assert_verdicts C 'sent already'
  assert_wire C fin=1 rst=0
}

@test "shutdown: SHUT_RDWR sends the FIN" {
  scene shutdown then-close SHUT_RDWR
  assert_event C op=shutdown how=SHUT_RDWR ret=0 fin=sent why=shutdown verified=true refs=1-1 \
    state_before=ESTABLISHED 'state_after=FIN_WAIT1|FIN_WAIT2'
  assert_event C op=close fin=already why=after-shutdown verified=true refs=1-0 state_before=FIN_WAIT2
  assert_verdicts C 'sent already'
  assert_wire C fin=1 rst=0
}

@test "shutdown: what is unread after SHUT_RD still turns the close into an RST" {
  scene shutdown read-side-unread
  assert_event C op=shutdown how=SHUT_RD fin=none why=receive-side verified=true unread=5
  assert_event C op=close fin=reset why=unread-data verified=true unread=7 refs=1-0
  assert_verdicts C 'none reset'
  assert_wire C fin=0 rst=1
}

@test "shutdown: sends the FIN whatever the references, and no close after it sends one" {
  scene shutdown shared
  assert_event C op=shutdown fin=sent why=shutdown verified=true refs=2-2
  assert_event C op=close fd="$(fact C_FD)" fin=already why=after-shutdown refs=2-1
  assert_event C op=close fd="$(fact DUP)" fin=already why=after-shutdown verified=true refs=1-0
  assert_verdicts C 'sent already already'
  assert_wire C fin=1 rst=0
}

@test "shutdown: a second one sends no second FIN" {
  scene shutdown twice
  assert_event C op=shutdown how=SHUT_WR fin=sent why=shutdown verified=true
  assert_event C op=shutdown how=SHUT_WR fin=already why=after-shutdown verified=true state_before=FIN_WAIT2
  assert_event C op=shutdown how=SHUT_RDWR fin=already why=after-shutdown verified=true state_before=FIN_WAIT2
  assert_event C op=close fin=already why=after-shutdown verified=true refs=1-0
  assert_verdicts C 'sent already already already'
  assert_wire C fin=1 rst=0
}

@test "shutdown: the RST that answers a write after SHUT_RDWR is no call's" {
  scene shutdown peer-writes
  assert_event C op=shutdown how=SHUT_RDWR fin=sent why=shutdown verified=true
  assert_event C op=close refs=1-0 'fin=already|none' state_before=CLOSE
  assert_verdicts C 'sent (already|none)'
  assert_wire C fin=1 rst=1
}

@test "shutdown: in CLOSE_WAIT" {
  scene shutdown close-wait
  assert_event C op=shutdown fin=sent why=shutdown verified=true refs=1-1 state_before=CLOSE_WAIT \
    'state_after=LAST_ACK|CLOSE'
  assert_event C op=exit fin=already why=after-shutdown verified=false refs=1-0
  assert_verdicts C 'sent already'
  assert_wire C fin=1 rst=0
}

@test "shutdown: behind a closed window the FIN is queued, and so it is at the close" {
  scene shutdown window-closed
  assert_event C op=shutdown fin=queued why=shutdown verified=true refs=1-1 state_after=FIN_WAIT1 '.unsent > 0'
  assert_event C op=close fin=queued verified=true refs=1-0 state_before=FIN_WAIT1 state_after=FIN_WAIT1 '.unsent > 0'
  assert_verdicts C 'queued queued( sent)?'
  assert_events 0 C fin=sent '.op != "release"'
  assert_wire C fin=1 rst=0
}

@test "shutdown: of a socket that was never connected fails, and ends nothing" {
  scene shutdown never-connected
  assert_event C op=shutdown ret=-1 errno=ENOTCONN 'fin=none|null' 'local=null|0.0.0.0:0'
  assert_event C op=close fin=none why=not-connected refs=1-0 'local=null|0.0.0.0:0'
  assert_verdicts C '(none )?none'
}

@test "shutdown: data held back leaves with the FIN" {
  scene shutdown corked
  assert_event C op=shutdown fin=sent why=shutdown verified=true
  assert_event C op=close fin=already why=after-shutdown verified=true refs=1-0
  assert_verdicts C 'sent already'
  assert_wire C fin=1 rst=0
  [[ $(capture_segments "$(fact C)") == *" FIN 5 "* ]]
}
