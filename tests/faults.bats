#!/usr/bin/env bats
# bats file_tags=root
# Fault rules: what is parked stays out of the program's way, delays are those of a slow kernel, counting, chance, and what
# is said of rules in the end. (Every call with every action: faults_table.bats.)

load helpers/scene

# play RULE SCENE [ARG...]: a scene of tests/programs/fault_place.
play() {
  local rule=$1
  shift
  rm -f "$LOG"
  trace CLOSETRACE_TRACE=none "CLOSETRACE_INJECT=$rule" fault_place "$@" || return
}

# counts JQ: how many lines of the log meet it.
counts() {
  jq -n "[inputs | select($1)] | length" "$LOG"
}

@test "faults: a FIN that is withheld leaves when the hold is over" {
  local closed left
  scene_hold=close:as=HOLD:hold=250ms:role=client
  rm -f "$LOG"
  trace "CLOSETRACE_INJECT=$scene_hold" fault_place until-peer
  capture_stop
  # hold= counts, whatever the peer does
  assert_event C op=close fin=withheld why=parked verified=true injected="$scene_hold"
  assert_event C op=release fin=sent injected="$scene_hold"
  closed=$(jq -r 'select(.op == "close" and .injected) | .time' "$LOG")
  left=$(capture_segments "$(fact C)" | awk '$2 == "FIN" { print $1 }')
  awk -v a="$closed" -v b="$left" 'BEGIN { exit !(b - a >= 0.249 && b - a < 5) }' || log_fail "$closed $left"
}

@test "faults: without hold= it lasts until the peer closes" {
  play close:as=HOLD:role=client until-peer
  [ "$(fact PEER)" = eof ]
  assert_event C op=release fin=sent verified=true
}

@test "faults: many parked connections, and no number of the program's is taken" {
  play close:as=HOLD:hold=50ms:role=client many 60
  [ "$(counts '.op == "close" and .fin == "withheld"')" = 60 ]
  [ "$(counts '.op == "release" and .fin')" = 60 ]
}

@test "faults: past the limit of descriptors the call is made plainly, and the event says so" {
  local parked plain
  rm -f "$LOG"
  # shellcheck disable=SC2016 # the inner shell's
  trace CLOSETRACE_TRACE=none CLOSETRACE_INJECT=close:as=HOLD:role=client /bin/bash -c \
    'ulimit -n 64 && exec "$0" many 40' "$PROGRAMS/fault_place"
  parked=$(counts '.op == "close" and .injected and .fin == "withheld"')
  plain=$(counts '.op == "close" and .not_injected and .fin == "sent" and (.not_injected_why | test("descriptor"))')
  echo "parked $parked, plain $plain"
  [ "$parked" -ge 8 ]
  [ "$plain" -ge 1 ]
  [ $((parked + plain)) = 40 ]
  [ "$(jq 'select(.op == "rule") | .fired' "$LOG" | tail -1)" = "$parked" ]
}

@test "faults: fork, exec, close_range, closefrom and loops over numbers leave parked connections alone" {
  play close:as=HOLD:role=client beside
  [ "$(fact PEER)" = none ]
  [ "$(counts '.op == "release"')" = 1 ]
}

@test "faults: a loop that closes all there is comes to an end" {
  play close:as=HOLD:role=client loop
  [ "$(fact ROUNDS)" -lt 200 ]
}

@test "faults: epoll, poll and select do not report a parked connection" {
  play close:as=HOLD:role=client waiting
}

@test "faults: what is parked ends where the process becomes another program, and the log says so before" {
  play close:as=HOLD:role=client exec-ends
  [ "$(fact EARLY)" = 1 ]
  assert_event C op=release call=execl fin=sent verified=false
}

@test "faults: a delay in a signal handler, one that signals interrupt, one in which the thread is cancelled" {
  play close:delay_enter=100ms:role=client handler
  [ "$(fact MS)" -ge 99 ]
  [ "$(fact PEER)" = eof ]
  play close:delay_enter=200ms:role=client interrupted
  [ "$(fact MS)" -ge 199 ]
  [ "$(fact HANDLED)" -ge 3 ]
  play close:delay_enter=20s:role=client cancelled
  [ "$(fact CANCELED)" = 1 ]
  [ "$(fact OPEN)" = 1 ]
  [ "$(fact MS)" -lt 5000 ]
}

@test "faults: after a short write or read an edge comes, as from a kernel that is slow" {
  play 'write:short=100;read:short=70' edges
  [ "$(fact GOT)" = 1000 ]
  [ "$(fact WAITS)" -ge 15 ]
}

@test "faults: a rule that cannot be carried out has not fired, and the event says why" {
  play read:then=RST:role=client again
  assert_event C op=read errno=EAGAIN injected=null not_injected=read:then=RST:role=client '.not_injected_why | test("the call failed")'
  play close:as=HOLD:role=client borrowed
  assert_event C op=close fin=withheld why=references not_injected=close:as=HOLD:role=client '.not_injected_why | test("vfork")'
  play close:as=HOLD:role=client sandboxed
  assert_event C op=close fin=sent not_injected=close:as=HOLD:role=client '.not_injected_why | test("sandbox")'
  [ "$(jq 'select(.op == "rule") | .fired' "$LOG")" = 0 ]
}

@test "faults: a rule counts over its process, or with scope=session over all of the tree" {
  play close:as=RST:when=2:role=client workers 4
  [ "$(fact RESET)" = 0 ]
  play close:as=RST:when=1:role=client workers 4
  [ "$(fact RESET)" = 4 ]
  play close:as=RST:when=2+2:scope=session:role=client workers 4
  [ "$(fact RESET)" = 2 ]
  play close:as=RST:when=2:scope=connection:role=client workers 3
  [ "$(fact RESET)" = 0 ]
  play close:as=RST:when=1:scope=connection:role=client ten
  [ "$(fact WHICH)" = RRRRRRRRRR ]
  play close:as=RST:when=3+3:scope=thread:role=client ten
  [ "$(fact WHICH)" = --R--R--R- ]
}

@test "faults: every match counts, also where an earlier rule has fired" {
  play 'close:as=RST:when=1..3:role=client;close:as=RST:when=5:role=client' ten
  [ "$(fact WHICH)" = RRR-R----- ]
  [ "$(jq -c 'select(.op == "rule") | [.matched, .fired]' "$LOG" | paste -sd' ')" = '[10,3] [10,1]' ]
}

@test "faults: the same seed gives the same faults, and the seed is in the log" {
  local first seed
  play close:as=RST:prob=50%:role=client ten
  first=$(fact WHICH)
  [[ $first == *R* && $first == *-* ]] || skip "chance: $first"
  seed=$(jq 'select(.op == "start") | .seed' "$LOG")
  for _ in 1 2 3; do
    rm -f "$LOG"
    trace "CLOSETRACE_SEED=$seed" CLOSETRACE_INJECT=close:as=RST:prob=50%:role=client fault_place ten
    [ "$(fact WHICH)" = "$first" ]
  done
}

@test "faults: the end says of every rule how often it matched and fired, and names one that never did" {
  local out
  play 'close:as=RST:when=2:role=client;close:error=EIO:lport=1;shutdown:as=NONE' ten
  [ "$(jq -c 'select(.op == "start") | .rules' "$LOG")" = \
    '["close:as=RST:when=2:role=client","close:error=EIO:lport=1","shutdown:as=NONE"]' ]
  [ "$(jq -c 'select(.op == "rule") | [.rule, .matched, .fired]' "$LOG" | paste -sd' ')" = \
    '["close:as=RST:when=2:role=client",10,1] ["close:error=EIO:lport=1",0,0] ["shutdown:as=NONE",0,0]' ]
  out=$(LD_PRELOAD=$LIB CLOSETRACE_TRACE=none CLOSETRACE_INJECT=shutdown:as=NONE "$PROGRAMS/fault_place" ten 2>&1 >/dev/null)
  [[ $out == *'+++ rule: NEVER FIRED (matched 0 times): shutdown:as=NONE +++'* ]]
}

@test "faults: rules from a file; an error names file and line" {
  cat >"$BATS_TEST_TMPDIR/rules" <<RULES
# the second
close:as=RST:when=2:role=client   # and no other

close:as=RST:when=4:role=client
RULES
  play "@$BATS_TEST_TMPDIR/rules;close:as=RST:when=6:role=client" ten
  [ "$(fact WHICH)" = -R-R-R---- ]
  echo close:as=RTS >>"$BATS_TEST_TMPDIR/rules"
  cd "$BATS_TEST_TMPDIR"
  run env "LD_PRELOAD=$LIB" CLOSETRACE_INJECT=@rules /bin/echo unharmed
  [ "$status" = 0 ]
  [ "${lines[0]}" = 'closetrace: CLOSETRACE_INJECT: rules:5: unknown way "RTS": SHUT_RD, SHUT_WR, SHUT_RDWR, CLOSE, RST, HOLD or NONE (did you mean RST?)' ]
  [ "${lines[1]}" = '  close:as=RTS' ]
  [ "${lines[2]}" = '           ^' ]
  [ "${lines[3]}" = unharmed ]
}

@test "faults: a rule that cannot be is refused, by the command before the program starts" {
  local rule
  for rule in clsoe:as=RST close close:as=RST:when=0 exit:error=EIO write:as=RST close:poke_enter=@arg1=00 write:as=HOLD; do
    run "$CLOSETRACE" run -e "inject=$rule" -- /bin/echo started
    [ "$status" = 125 ]
    [ ${#lines[@]} = 3 ]
    [[ ${lines[0]} == 'closetrace: CLOSETRACE_INJECT: '* ]]
    [ "${lines[1]}" = "  $rule" ]
    [[ ${lines[2]} =~ ^\ +\^$ ]]
  done
}
