#!/usr/bin/env bats
# bats file_tags=root
# Connections that ended before anybody closed them, and connects that failed: who is blamed, and who is not.

load helpers/scene

# play SCENE [ARG...]: without the wire; as often as one likes.
play() {
  rm -f "$LOG"
  trace death "$@"
}

# Nothing that is said of C blames its peer.
refute_peer_reset() {
  [ -z "${KERNEL_ONLY-}" ] || return 0
  [ -z "$(events C '.op == "reset" or .why == "peer-reset"')" ] || log_fail "the peer is blamed"
}

@test "death: the peer's RST is said where an error said so, else that it was over" {
  local how
  for how in read write error number; do
    play reset $how
    assert_event C op=reset errno=ECONNRESET
    assert_event C op=close fin=none why=peer-reset verified=true refs=1-0 state_before=CLOSE
  done
  play reset nothing
  refute_peer_reset
  assert_event C op=close fin=none why=over verified=true refs=1-0 state_before=CLOSE
  play reset read v6
  assert_event C op=close fin=none why=peer-reset
  play reset nothing v6
  assert_event C op=close fin=none why=over
}

@test "death: what was seen goes with a dup, and to the end of the process" {
  play reset-dup
  assert_events 2 C op=close fin=none why=peer-reset
  play reset-exit read
  assert_event C op=exit fin=none why=peer-reset
  play reset-exit nothing
  assert_event C op=exit fin=none why=over
}

@test "death: an RST in CLOSE_WAIT is told as EPIPE" {
  local how
  for how in write error; do
    play reset-close-wait $how
    assert_event C op=close fin=none why=peer-reset verified=true
  done
  play reset-close-wait nothing
  assert_event C op=close fin=none why=over
}

@test "death: what our own kernel gives up is no RST of the peer's" {
  local how
  for how in read write error number; do
    play user-timeout $how
    refute_peer_reset
    assert_event C op=read\|write errno=ETIMEDOUT fin=none why=timed-out verified=true
    assert_event C op=close fin=none why=timed-out verified=true refs=1-0
  done
  play user-timeout read v6
  assert_event C op=close fin=none why=timed-out
  play keepalive read
  refute_peer_reset
  assert_event C op=close fin=none why=timed-out
  play keepalive nothing
  refute_peer_reset
  assert_event C op=close fin=none why=over
}

@test "death: what was destroyed on this host is no RST of the peer's" {
  local how
  for how in read write error; do
    play destroyed $how
    refute_peer_reset
    assert_event C op=read\|write errno=ECONNABORTED fin=none why=destroyed verified=true
    assert_event C op=close fin=none why=destroyed verified=true refs=1-0
  done
  play destroyed nothing
  refute_peer_reset
  assert_event C op=close fin=none why=over
}

@test "death: this side's own RST is none of the peer's, whichever process sent it" {
  local how
  for how in read error nothing; do
    play own-reset $how
    refute_peer_reset
    assert_event C op=connect fin=reset why=disconnect
    assert_event C op=close fin=none why=not-connected local=null\|0.0.0.0:0\|"$(fact C)"
  done
  play child-resets read
  refute_peer_reset
}

@test "death: when both directions were shut down an RST may be our own kernel's" {
  scene death shut-both read
  refute_peer_reset
  assert_event C op=close fin=already why=after-shutdown
  assert_wire C fin=1 rst=1
  assert_wire S fin=0 rst=0
}

@test "received: the peer's FIN is no byte, in CLOSE either, read or not" {
  local how
  for how in read unread peer-first; do
    play received $how
    assert_event C op=close fin=already why=after-shutdown state_before=CLOSE received=100
  done
  for how in read nothing; do
    play received-reset $how
    assert_event C op=close state_before=CLOSE received=100
  done
}

@test "connect: refused, it says by whom" {
  play refused
  [ "$(jq -r 'select(.op == "connect") | .remote, .why' "$LOG" | paste -sd ' ')" = "$(fact REMOTE) refused" ]
  play refused v6
  [ "$(jq -r 'select(.op == "connect") | .remote, .why' "$LOG" | paste -sd ' ')" = "$(fact REMOTE) refused" ]
  play refused-fast
  [ "$(jq -r 'select(.op == "connect") | .remote, .why' "$LOG" | paste -sd ' ')" = "$(fact REMOTE) refused" ]
}

@test "connect: refused later, the call that learns of it says by whom" {
  local how
  for how in read write error number connect; do
    play refused-later $how
    [ "$(jq -r 'select(.op == "connect" and .errno == "ECONNREFUSED") | .remote, .fin, .why' "$LOG" | paste -sd ' ')" = "$(fact REMOTE) none refused" ] || log_fail "$how"
    [ "$(jq -r 'select(.op == "close" and .role == "client") | .fin, .why, .remote' "$LOG" | paste -sd ' ')" = "none not-connected $(fact REMOTE)" ] || log_fail "$how"
  done
  play refused-later error v6
  [ "$(jq -r 'select(.op == "connect" and .errno == "ECONNREFUSED") | .remote' "$LOG")" = "$(fact REMOTE)" ]
  play refused-later nothing
  [ "$(jq -r 'select(.op == "close" and .role == "client") | .fin, .why, .remote' "$LOG" | paste -sd ' ')" = "none not-connected $(fact REMOTE)" ]
}

@test "connect: timed out, at once or later" {
  local how
  for how in wait later; do
    play connect-timed-out $how
    [ "$(jq -r 'select(.op == "connect" and .errno == "ETIMEDOUT") | .remote, .fin, .why' "$LOG" | paste -sd ' ')" = "$(fact REMOTE) none timed-out" ] || log_fail "$how"
  done
}

@test "connect: a socket that never was connected has had no RST" {
  play never-connected
  refute_peer_reset
  [ "$(jq -r 'select(.op == "close") | .fin, .why' "$LOG" | paste -sd ' ')" = "none not-connected" ]
}
