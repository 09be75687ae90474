#!/usr/bin/env bats
# bats file_tags=root
# Processes that share connections, become other programs, and end: log against wire.

load helpers/scene

held_by() {
  echo ".holders | length == 1 and .[0].pid == $1 and .[0].fd == $2"
}

# One process ends in the way given, with a dozen connections.
ends_by() {
  scene process ending "$1"
  assert_dozen_on_the_wire
}

assert_dozen_on_the_wire() {
  local i
  [ "$(fact RESULTS)" = eeeeeerrrree ]
  for i in 1 2 3 4 5 6 11 12; do
    assert_wire "C$i" fin=1 rst=0
  done
  for i in 7 8 9 10; do
    assert_wire "C$i" fin=0 rst=1
  done
}

# One event a socket, with a prediction. assert_dozen CALL
assert_dozen() {
  local i ends=(op=exit "call=$1" verified=false pid="$(fact SUBJECT)")
  for i in 1 2 3 4 5 6; do
    assert_event "C$i" "${ends[@]}" fin=sent why=last-reference refs=1-0 unread=0 fd="$(fact "C${i}_FD")"
    assert_verdicts "C$i" sent
  done
  for i in 7 8 9; do
    assert_event "C$i" "${ends[@]}" fin=reset why=unread-data refs=1-0 unread=6
    assert_verdicts "C$i" reset
  done
  assert_event C10 "${ends[@]}" fin=reset why=linger-zero refs=1-0
  assert_verdicts C10 reset
  assert_event C11 "${ends[@]}" fin=already why=after-shutdown refs=1-0 state_before=FIN_WAIT2
  assert_verdicts C11 'sent already'
  assert_event C12 "${ends[@]}" fin=sent why=last-reference refs=2-0
  assert_verdicts C12 sent
}

@test "fork: the child holds the connection, and its close sends the FIN" {
  scene process forked-child-closes
  assert_event C op=close pid="$(fact PID)" fin=withheld why=references verified=true refs=2-1 \
    state_after=ESTABLISHED "$(held_by "$(fact CHILD)" "$(fact C_FD)")" '.holders[0].comm == "process"'
  assert_event C op=close pid="$(fact CHILD)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "fork: the child closes its copy, and the parent's close sends the FIN" {
  scene process forked-parent-closes
  assert_event C op=close pid="$(fact CHILD)" fin=withheld why=references verified=true refs=2-1 \
    "$(held_by "$(fact PID)" "$(fact C_FD)")"
  assert_event C op=close pid="$(fact PID)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "fork: a child that nobody could see holds it all the same" {
  scene process unseen-child
  assert_event C op=close fin=withheld why=references verified=true refs_after=1 \
    "$(held_by "$(fact CHILD)" "$(fact C_FD)")"
  assert_verdicts C withheld
  assert_wire C fin=1 rst=0
}

@test "fork: a holder of another user, whose descriptors cannot be read" {
  scene process other-user
  assert_event C op=close pid="$(fact PID)" fin=withheld why=references verified=true .refs_after
  assert_event C op=close pid="$(fact CHILD)" fin=sent why=last-reference verified=true refs_after=0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "fork: a holder of another user that nobody has seen come" {
  scene process other-user unseen
  assert_event C op=close pid="$(fact PID)" fin=withheld why=references verified=true refs=2-1 refs_partial=true
  assert_event C op=close pid="$(fact CHILD)" fin=sent why=last-reference verified=true refs_after=0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "spawn: another program that has inherited it" {
  scene process spawned
  assert_event C op=close pid="$(fact PID)" fin=withheld why=references verified=true refs=2-1 \
    "$(held_by "$(fact CHILD)" "$(fact C_FD)")" '.holders[0].comm == "cat"'
  assert_event C op=exit pid="$(fact CHILD)" fin=sent verified=false refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "exit: a dozen connections, exit()" {
  ends_by exit
  assert_dozen exit
}

@test "exit: a dozen connections, return from main" {
  ends_by return
  assert_dozen return
}

@test "exit: a dozen connections, _exit()" {
  ends_by _exit
  assert_dozen _exit
}

@test "exit: a dozen connections, _Exit()" {
  ends_by _Exit
  assert_dozen _Exit
}

@test "exit: a dozen connections, quick_exit()" {
  ends_by quick_exit
  assert_dozen quick_exit
}

@test "exit: a dozen connections, abort()" {
  ends_by abort
  assert_dozen 'abort|SIGABRT'
}

@test "exit: a dozen connections, raise() of a signal that ends the process" {
  ends_by raise
  assert_dozen 'raise|SIGTERM'
}

@test "exit: a dozen connections, SIGKILL: the same segments, and nobody who could have claimed them" {
  local i
  ends_by SIGKILL
  for i in {1..12}; do
    # what kill(getpid(), SIGKILL) could be seen to do may be said, what was not seen may not
    assert_events 0 "C$i" op=exit '.verified != false'
  done
}

@test "exit: what an exit handler closes is the close's, not the exit's" {
  scene process exit-handler
  assert_event C1 op=close fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C1 sent
  assert_event C2 op=exit call=exit fin=sent why=last-reference verified=false refs=1-0
  assert_verdicts C2 sent
  assert_wire C1 fin=1 rst=0
  assert_wire C2 fin=1 rst=0
}

@test "exit: another process still holds the connection" {
  scene process exit-while-shared
  assert_event C op=exit pid="$(fact SUBJECT)" fin=withheld why=references verified=false refs=2-1 \
    "$(held_by "$(fact CHILD)" "$(fact C_FD)")"
  assert_event C op=close pid="$(fact CHILD)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "exec: close-on-exec ends the connection" {
  scene process exec-closes
  assert_event C op=exec call=execl fin=sent why=last-reference verified=false refs=1-0 state_before=ESTABLISHED \
    fd="$(fact C_FD)"
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "exec: close-on-exec with unread data is an RST" {
  scene process exec-closes-unread
  assert_event C op=exec call=execl fin=reset why=unread-data verified=false refs=1-0 unread=6
  assert_verdicts C reset
  assert_wire C fin=0 rst=1
}

@test "exec: of two descriptors one is closed, the other goes on into the new program" {
  scene process exec-closes-one-of-two
  assert_event C op=exec fd="$(fact C_FD)" fin=withheld why=references verified=false refs=2-1 \
    "$(held_by "$(fact SUBJECT)" "$(fact DUP)")"
  assert_event C op=exit fd="$(fact DUP)" fin=sent verified=false refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "exec: without close-on-exec nothing leaves until the new program ends" {
  scene process exec-keeps exit
  assert_event C op=exit call=exit pid="$(fact SUBJECT)" fin=sent why=last-reference verified=false refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "exec: without close-on-exec nothing leaves until the new program closes it" {
  scene process exec-keeps close
  assert_event C op=close pid="$(fact SUBJECT)" fin=sent why=last-reference verified=true refs=1-0 \
    state_before=ESTABLISHED
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "exec: tries along PATH that fail are not told of, in whichever environment it is" {
  local whose
  for whose in own "the new program's"; do
    scene process exec-along-path "$whose"
    assert_events 1 C op=exec
    assert_event C op=exec fin=sent verified=false refs=1-0 ret=null
    assert_verdicts C sent
  done
}

@test "exec: one that fails takes its verdict back" {
  scene process exec-fails
  assert_event C op=exec fin=sent verified=false refs=1-0 '.ret != -1'
  assert_event C op=exec ret=-1 errno=ENOENT
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C 'sent .*sent'
  assert_wire C fin=1 rst=0
}
