#!/usr/bin/env bats
# bats file_tags=root
# Listeners: their end is never a FIN withheld; who keeps one open is named; several on a port are told apart.

bats_require_minimum_version 1.5.0

load helpers/scene

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}

# play SCENE [ARG...]: without the wire; as often as one likes.
play() {
  rm -f "$LOG"
  trace listener "$@"
}

# of_listeners JQ: how many ends of listeners that is true of.
of_listeners() {
  jq -c "select(.state_before == \"LISTEN\") | select($1)" "$LOG" | wc -l
}

@test "listeners on one port: each that somebody holds is still LISTEN, and says who" {
  local family
  for family in v4 v6 mapped; do
    play siblings-held $family
    [ "$(of_listeners '.fin == "none" and .why == "listening" and .verified and .state_after == "LISTEN" and (.holders | length == 1) and .refs_after == 1')" = 8 ] || log_fail $family
    [ "$(of_listeners '.fin == "none" and .why == "listening" and .verified and .state_after == "CLOSE" and .holders == null and .refs_after == 0')" = 8 ] || log_fail $family
  done
}

@test "listeners on one port: of each that is closed the queue is reset" {
  local family
  for family in v4 v6; do
    play siblings-closed $family
    [ "$(of_listeners '.fin == "none" and .why == "listening" and .verified and .state_after == "CLOSE" and .holders == null')" = 8 ] || log_fail $family
    [ "$(jq -s 'map(.pending // 0) | add' "$LOG")" = 32 ] || log_fail $family
  done
}

@test "listeners on one port: the kernel is believed of others after they were closed" {
  play siblings-then-call
  assert_event C op=close fin=withheld why=call-in-progress verified=true
}

@test "a listener closed while a thread is in accept(): still LISTEN, held by that call; what it accepts is seen" {
  local how
  for how in 'close v4' 'close v6' 'dup2 v4' 'close_range v4'; do
    # shellcheck disable=SC2086
    play accept-closed $how
    assert_event C op=close fin=none why=listening verified=true state_after=LISTEN \
      ".holders | length == 1 and (.[0] | .pid == $(fact PID) and .tid == $(fact TID) and (.call | startswith(\"accept\")))"
    assert_event C op=release call=accept fin=none why=listening
    assert_event S op=accept role=server
    assert_event S op=close fin=sent role=server refs=1-0 verified=true
    "$CLOSETRACE" report "$LOG" >"$BATS_TEST_TMPDIR/report"
    grep -q '^finding closed-in-use .*while thread [0-9]* was inside accept.* on it: that call goes on, and the port stays open until it returns' "$BATS_TEST_TMPDIR/report" || log_fail "$(cat "$BATS_TEST_TMPDIR/report")"
  done
  play accept-reused
  assert_event S op=accept role=server
}

@test "a listener closed while a thread is in poll() on it: its queue is reset when that returns" {
  scene listener poll-closed
  assert_event C op=close fin=none why=listening state_after=LISTEN '.holders[0].call | IN("poll", "ppoll")'
  assert_event C op=release fin=none why=listening
  assert_wire C fin=0 rst=1
}

@test "a listener that a child gives up lives on with its parent" {
  local how
  for how in close exit exec; do
    play child $how
    assert_event C op=$how pid="$(fact CHILD)" fin=none why=listening ".holders | length == 1 and .[0].pid == $(fact PID)"
    assert_event C op=close pid="$(fact PID)" fin=none why=listening pending=1 holders=null
  done
}

@test "a listener whose other holder is killed lives on: no FIN belongs to it" {
  cd "$BATS_TEST_TMPDIR"
  "$CLOSETRACE" run -o trace "$PROGRAMS/listener" killed >facts 2>said 3>&-
  [ "$(jq -c 'select(.call == "SIGKILL") | [.fin, .why, .state_after, (.holders | length)]' trace)" = '["none","listening","LISTEN",1]' ] || { cat trace && false; }
  run ! grep FIN <("$CLOSETRACE" print trace | grep SIGKILL)
  "$CLOSETRACE" print trace | grep -q 'SIGKILL .* still listening: held by [0-9]* listener fd [0-9]'
  run ! grep -q fin-withheld said
}
