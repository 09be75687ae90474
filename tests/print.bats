#!/usr/bin/env bats
# closetrace print --explain; and what the subcommands have in common on a screen: --color, lists of values, progress.

# shellcheck disable=SC2154 # bats sets status, output, stderr

bats_require_minimum_version 1.5.0

load helpers/wait

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
}

# event OP KEYS: a line of a trace.
event() {
  printf '{"time":1700000000.5,"pid":10,"tid":10,"comm":"server","op":"%s","fd":7,"socket":"1",%s,%s}\n' "$1" \
    '"local":"127.0.0.1:80","remote":"127.0.0.1:5000","role":"server"' "$2"
}

# closed FIN WHY [KEYS]
closed() {
  event close '"call":"close","ret":0,"refs_before":2,"refs_after":1,"fin":"'"$1"'","why":"'"$2"'","verified":true'"${3-}"
}

# explains WORDS: the one event on standard input, wherever its lines were wrapped.
explains() {
  output=$("$CLOSETRACE" print --explain - | sed 1d | tr -s ' \n' ' ')
  [[ $output == *"$1"* ]] || { echo "is: $output" && return 1; }
}

@test "--explain: every operation has words, below its line, and an empty line" {
  for op in $("$CLOSETRACE" --list op); do
    event "$op" '"call":"thecall","ret":8' >trace
    "$CLOSETRACE" print --explain trace >out
    [ "$(wc -l <out)" -ge 3 ] && [ -z "$(tail -n 1 out)" ] || { echo "$op" && cat out && return 1; }
    sed -n 2p out | grep -q '^    [A-Za-z]' || { echo "$op" && cat out && return 1; }
    diff <(head -n 1 out) <("$CLOSETRACE" print trace)
  done
}

@test "--explain: every verdict and every reason has words" {
  for fin in $("$CLOSETRACE" --list fin); do
    closed "$fin" last-reference | explains ', because the last reference was gone.'
  done
  for why in $("$CLOSETRACE" --list why); do
    closed sent "$why" | explains 'nothing more will follow, because '
  done
  closed withheld references ',"holders":[{"pid":11,"comm":"worker","fd":5},{"pid":12,"tid":13,"comm":"x","call":"recv"}]' |
    explains 'No FIN has left, because others still have the socket open. Held by pid 11 (worker) as descriptor 5; thread 13 of pid 12 (x), inside recv().'
  closed queued last-reference ',"unsent":12' | explains 'The FIN waits behind 12 unsent bytes'
  closed reset unread-data ',"unread":1' | explains '1 byte had arrived and not been read. The kernel was asked afterwards, and agrees.'
}

@test "--explain: what happened, to what, with which result" {
  event close '"call":"close","ret":-1,"errno":"EIO","injected":"close:error=EIO"' |
    explains 'server calls close() on descriptor 7. The call failed: EIO.'
  closed sent last-reference ',"state_before":"CLOSE_WAIT","state_after":"LAST_ACK"' |
    explains 'server gives up descriptor 7 (close()). 2 references to the socket before the call (descriptors, in all processes), 1 after it.'
  closed sent last-reference ',"state_before":"CLOSE_WAIT","state_after":"LAST_ACK"' |
    explains "The kernel's state went from CLOSE_WAIT to LAST_ACK: both FINs were sent"
  event shutdown '"call":"shutdown","how":"SHUT_WR","ret":0,"fin":"sent","why":"shutdown","verified":true' |
    explains 'server calls shutdown(), SHUT_WR, on descriptor 7.'
  event exit '"call":"_exit","fin":"sent","why":"last-reference","verified":false' |
    explains 'server ends (_exit()) with descriptor 7 open.'
  event exit '"call":"_exit","fin":"sent","why":"last-reference","verified":false' | explains 'This is a prediction'
  event accept '"call":"accept4","ret":9' | explains "server takes a connection from 127.0.0.1:5000 out of its listener's queue: descriptor 9."
  event connect '"call":"connect","ret":-1,"errno":"EINPROGRESS"' | explains 'It did not wait for the handshake (EINPROGRESS).'
  event fork '"call":"fork","child":99,"shared":2' | explains 'server makes a child, 99, which shares 2 TCP sockets with it.'
  event end '"events":1,"lost":0,"asked":3,"contradicted":1' |
    explains 'This process logged 1 event; it asked the kernel 3 times, which corrected the prediction 1 time.'
}

@test "--explain: what a trace says is never obeyed by the terminal; lines are as wide as it is" {
  event close '"call":"a\u001b[31mb","ret":0' | sed 's/"server"/"\\u001b]0;x\\u0007"/' >trace
  "$CLOSETRACE" print --explain trace >out
  [ "$(tr -d '\n\40-\176' <out | wc -c)" = 0 ]
  closed withheld references ',"holders":[{"pid":11,"comm":"worker","fd":5}]' >trace
  script -qec "stty cols 60; '$CLOSETRACE' print --explain trace" out </dev/null >/dev/null
  sed 1,2d out | tr -d '\r' | awk 'length > 60 && /^    / { wide = 1; print } END { exit wide }'
}

@test "--color: auto, always, never; it outdoes NO_COLOR; every subcommand takes it" {
  closed sent last-reference >trace
  "$CLOSETRACE" print --color=always trace | grep -q $'\e\\[32mFIN sent'
  NO_COLOR=1 "$CLOSETRACE" print --color trace | grep -q $'\e\\[32mFIN sent'
  run ! grep -q $'\e' <("$CLOSETRACE" print --color=auto trace)
  script -qec "'$CLOSETRACE' print --color=never trace" out </dev/null >/dev/null
  run ! grep -q $'\e\\[32m' out
  { event connect '"call":"connect","ret":0' | sed 's/server/client/' && closed reset unread-data ',"unread":9,"unacked":5'; } >wrong
  "$CLOSETRACE" report --color=always wrong | grep -q $'\e\\[3'
  "$CLOSETRACE" report --color=always --connection 80 wrong | grep -q $'\e\\[3'
  run -0 "$CLOSETRACE" grep --color=always trace fin=sent
  "$CLOSETRACE" now --color=always lport=1 || [ $? = 1 ]
  "$CLOSETRACE" run --color=never true
  for subcommand in print report grep now run; do
    run "$CLOSETRACE" $subcommand --color=blue trace
    [ "$output" = "closetrace $subcommand: --color=blue: expected auto, always or never" ] || { echo "$output" && return 1; }
    [ "$status" = 125 ] || [ $subcommand = grep ]
  done
}

@test "a list of values: one of them is enough; negated, none may be; print, grep, report, run" {
  for fin in sent queued withheld; do closed $fin last-reference; done >trace
  run -0 "$CLOSETRACE" grep -c trace fin=sent,queued
  [ "$output" = 2 ]
  run -0 "$CLOSETRACE" grep -c trace 'fin!=sent,queued'
  [ "$output" = 1 ]
  run -0 "$CLOSETRACE" print trace fin=with*,reset lport=1,80
  [ ${#lines[@]} = 1 ]
  run -2 "$CLOSETRACE" grep trace fin=sent,quened
  [[ $output == *'no such value: "quened"'*'did you mean queued?'* ]]
  run -0 "$CLOSETRACE" run -e only=lport=1,2:state=CLOSE_WAIT,LAST_ACK -e inject=close,shutdown:lport=1,2:error=EIO true
  run -125 "$CLOSETRACE" run -e only=lport=1,x true
  [[ $output == *'not a number: "x"'* ]]
}

@test "the ladder: of a port; no line is wider than the terminal, and nothing is cut away" {
  { event accept '"call":"accept4","ret":7' &&
    closed withheld references ',"state_before":"ESTABLISHED","state_after":"ESTABLISHED","holders":[{"pid":11,"comm":"worker","fd":5}]' &&
    closed queued last-reference ',"state_before":"ESTABLISHED","state_after":"FIN_WAIT1"'; } >trace
  "$CLOSETRACE" report --connection 5000 trace >wide
  run -125 "$CLOSETRACE" report --connection 5001 trace
  for columns in 60 80 94 95 120 200; do
    script -qec "stty cols $columns; '$CLOSETRACE' report --connection 80 --color=never trace" out </dev/null >/dev/null
    tr -d '\r' <out | sed '1d;$d' >ladder
    awk -v columns=$columns 'length > columns { wide = 1; print } END { exit wide }' ladder
    # The same letters, whatever lines they stand on.
    diff <(letters_of ladder) <(letters_of wide) || { echo "$columns columns" && cat ladder && return 1; }
  done
}

letters_of() {
  sed 's/^[0-9:.]* *//; s/(FIN queued)/(queued)/; s/[|<>-]//g' "$1" | tr -d ' \n' | fold -w 1 | sort
}

@test "progress: after two seconds, on a terminal alone, and wiped away" {
  mkfifo slow
  { closed sent last-reference && sleep 2.3 && closed sent last-reference && sleep 0.1; } >slow 3>&- &
  writer=$!
  script -qec "'$CLOSETRACE' report slow" out </dev/null >/dev/null
  wait "$writer"
  grep -q $'\rclosetrace report: 2 events\e\\[K\r\e\\[K' out
  { closed sent last-reference && sleep 2.3 && closed sent last-reference; } | "$CLOSETRACE" report - >out 2>said
  [ ! -s said ]
}
