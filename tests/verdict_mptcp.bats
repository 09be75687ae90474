#!/usr/bin/env bats
# MPTCP: told as TCP, its verdicts as predictions; what a listener of it accepts from a peer of TCP is TCP.

load helpers/log

@test "mptcp: connect, accept, EOF and closes are seen; a verdict is a prediction" {
  trace mptcp ends close
  assert_event C op=connect role=client
  assert_event S op=accept role=server
  assert_event C op=close fin=sent why=last-reference verified=false refs=1-0
  assert_event S op=eof
  assert_event S op=close fin=sent verified=false refs=1-0
}

@test "mptcp: references are counted, a shutdown is one" {
  trace mptcp ends dup
  assert_event C op=close fin=withheld why=references refs=2-1 ".holders[0].fd == $(fact DUP)"
  assert_event C op=close fin=sent why=last-reference refs=1-0
  rm -f "$LOG"
  trace mptcp ends shutdown
  assert_event C op=shutdown fin=sent why=shutdown
  assert_event S op=eof
  assert_event C op=exit fin=already why=after-shutdown
}

@test "mptcp: a peer of TCP at its listener is TCP, and the kernel is asked" {
  trace mptcp ends close tcp
  assert_event S op=accept role=server
  assert_event C op=close fin=sent verified=true
  assert_event S op=close fin=sent verified=true
}
