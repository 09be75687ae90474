#!/usr/bin/env bats
# Each finding comes out of a program that has it, with its evidence, and not of one that looks like it.

bats_require_minimum_version 1.5.0

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}
LIB=${LIB:-$BATS_TEST_DIRNAME/../libclosetrace.so}

load helpers/libc

setup() {
  cd "$BATS_TEST_TMPDIR" || return
}

show() {
  "$CLOSETRACE" report trace
  cat trace
  return 1
}

# scene NAME: a scene of programs/findings.py, traced; what was found is in found, notes included.
scene() {
  rm -f trace
  LD_PRELOAD=$LIB CLOSETRACE_FORMAT=json CLOSETRACE_OUTPUT=$PWD/trace \
    /usr/bin/python3 "$BATS_TEST_DIRNAME/programs/findings.py" "$1" 3>&- || [ "$1" = killed_by_sigpipe ]
  "$CLOSETRACE" print trace >text
  "$CLOSETRACE" report trace >reported
  found=$(grep -E '^(finding|possible|note) ' reported || :)
}

# has PATTERN...: each is in exactly one of the lines; there is one line.
has() {
  local pattern
  for pattern in "$@"; do
    if ! callers_are_known; then
      pattern=${pattern%called from*}
      pattern=${pattern%'; '}
    fi
    [ "$(grep -cE -e "$pattern" <<<"$found")" = 1 ] || { echo "not one \"$pattern\" in: $found" && show; }
  done
  [ "$(wc -l <<<"$found")" = 1 ] || { echo "more than one: $found" && show; }
}

has_none() {
  [ -z "$found" ] || { echo "found: $found" && show; }
}

@test "fin-withheld: by a child that never touched it" {
  scene withheld_by_child
  has '^finding fin-withheld ' 'kept open by [0-9]+ python3 fd [0-9]+ \(forked\), which never touched it' \
    'the FIN was sent 1\.[0-9]+ s late: [0-9]+ python3 _exit'
}

@test "fin-withheld: left open across exec" {
  scene withheld_across_exec
  has '^finding fin-withheld ' 'kept open by [0-9]+ (python3|sleep) fd' 'the FIN was sent 1\.[0-9]+ s late: [0-9]+ sleep '
}

@test "fin-withheld: by a program that never loaded the library" {
  scene withheld_by_stranger
  has '^finding fin-withheld ' 'kept open by [0-9]+ sleep fd [0-9]+ \(forked, and left open across exec\)' \
    'the FIN was read 1\.[0-9]+ s late, by [0-9]+ python3; called from'
  grep -q '^1 connection, 2 FINs, 0 RSTs; ' reported
}

@test "fin-withheld: silent below a second, on a forking server, on one that hands over" {
  local name
  for name in withheld_not_long forking_server handing_over; do
    scene $name
    has_none
  done
}

@test "reset-on-close: bytes unread, others not acknowledged; with none of these a note" {
  scene reset_with_data
  has '^finding reset-on-close ' ': 2 bytes were unread' '[0-9]{5,} bytes that it had written were not acknowledged' \
    'called from '
  scene reset_without_data
  has '^note reset-on-close ' 'everything that it had sent was acknowledged'
  "$CLOSETRACE" report --fail trace
  scene closed_after_reading_all
  has_none
}

@test "half-close-as-abort: possible of a server that closes on EOF, though others got an answer" {
  scene abort
  has '^possible half-close-as-abort .*: the client ended its request and waited for an answer, but got none' \
    'EOF was read after 7 bytes' 'other clients got one here' 'was still reading: its end was in FIN_WAIT'
}

@test "half-close-as-abort: whatever ended it, whether EOF was read, and after a greeting" {
  local name
  for name in abort_by_shutdown abort_after_greeting abort_eof_unread abort_by_exit; do
    scene $name
    has '^possible half-close-as-abort ' 'still reading: its end was in FIN_WAIT'
  done
}

@test "half-close-as-abort: silent where it answers, and where the client has closed" {
  local name
  for name in half_close_answered answered_through_a_duplicate aborted_by_client; do
    scene $name
    has_none
  done
  # The same, where the client is not traced.
  jq -c 'select(.role != "client" and .op != "end")' trace >server
  judged <server
  has_none
}

@test "half-close-as-abort: the client is not traced, or far away" {
  scene abort
  jq -c 'select(.role != "client" and .op != "end")' trace >server
  judged <server
  has '^possible half-close-as-abort .*still had a file descriptor'
  sed -E 's/"remote":"127.0.0.1/"remote":"192.0.2.1/; s/"peer_state":"[A-Z0-9_]*",//' server >far
  judged <far
  has '^possible half-close-as-abort .*whether the peer was still reading cannot be seen from here'
}

@test "half-close-as-abort: merely possible where nobody gets an answer, nor is what a relay does" {
  scene sink_with_a_store
  has '^possible half-close-as-abort ' 'no other client got one here'
  scene sink
  has '^possible half-close-as-abort ' 'no other client got one here'
  "$CLOSETRACE" report --fail trace
}

@test "double-close: told; silent on sweeps, and on a number that was used again" {
  local name
  scene twice
  has '^finding double-close ' 'python3 close\([0-9]+\) at [0-9:.]+ failed with EBADF' 'called from '
  for name in sweep_up sweep_down reused; do
    scene $name
    has_none
  done
}

@test "closed-in-use: told; silent where the other thread was woken first" {
  scene in_use
  has '^finding closed-in-use ' 'while thread [0-9]+ was inside recv'
  scene woken_first
  has_none
}

@test "write-after-end: after its own FIN, fatal, again and again; the first after an RST is a note" {
  scene write_after_own_fin
  has '^finding write-after-end ' 'failed with EPIPE, after its own FIN; it ignored SIGPIPE'
  scene killed_by_sigpipe
  has '^finding write-after-end ' "after the peer's RST; SIGPIPE ended the process"
  scene write_again_and_again
  has '^finding write-after-end ' "after the peer's RST; it ignored SIGPIPE, wrote 2 more times"
  scene write_after_rst
  has '^note write-after-end ' 'it ignored SIGPIPE, then gave the connection up'
}

@test "queue-reset: told with their number; silent where all were accepted" {
  scene queue
  has '^finding queue-reset ' 'ended the listener with 2 connections waiting to be accepted: each was reset'
  scene empty_queue
  has_none
}

# with NAME SCENE PATTERN...; without SCENE...
with() {
  scene "$2"
  has "^$1 " "${@:3}"
}

without() {
  local name
  for name in "$@"; do
    scene "$name"
    has_none
  done
}

@test "answer-cut: a late byte resets a connection that was closed in order" {
  with 'finding answer-cut' late_byte 'the peer lost the last [0-9]{5,} bytes' 'it had written 1000000 bytes'
  without no_late_byte
}

@test "short-write: the rest was not offered again" {
  with 'finding short-write' short_write 'only part of the last write of 10000000 bytes' 'called from '
  without offered_again
}

@test "unread-at-end: an answer thrown away" {
  with 'finding unread-at-end' unread_answer '6 bytes of the answer had arrived'
  without read_answer
}

@test "upload-cut: a relay ends both sides at one EOF" {
  with 'finding upload-cut' relay_cuts 'read the end of the other side'
  with 'note reset-on-close' next_request_is_late '7 bytes were unread'
  without relay_waits
}

@test "request-after-fin: on a connection that was over; done again it is a note" {
  with 'finding request-after-fin' request_after_fin "the server's FIN had arrived 0.0[0-9]+ s earlier" 'read EOF from a connection'
  with 'note request-after-fin' request_done_again 'it was repeated successfully'
  with 'finding request-after-fin' request_refused "the server's FIN had arrived 0.0[0-9]+ s earlier" 'failed with EPIPE'
  without looks_before
  # From the client's trace alone.
  scene request_after_fin
  jq -c 'select(.role != "server" and .op != "end")' trace >client
  judged <client
  has '^finding request-after-fin '
}

@test "port-held: by a helper, EADDRINUSE with it; possible of a copy of the server; silent on workers" {
  with 'finding port-held' port_held 'gave up the listener; [0-9]+ sleep fd [0-9]+ holds it' \
    'python3 bind\([0-9]+\) at [0-9:.]+ failed with EADDRINUSE'
  with 'possible port-held' port_held_by_copy 'whether it is about to accept on it cannot be seen'
  without port_of_workers
}

# held_by PID: a listener that process 10 closes is held by a program of another name, to the end of the trace.
held_by() {
  printf '{"time":100,"pid":10,"tid":10,"comm":"server","op":"close","call":"close","fd":7,"ret":0,"socket":"1",%s}\n' \
    '"local":"127.0.0.1:80","role":"unknown","fin":"none","why":"listening","holders":[{"pid":'"$1"',"comm":"other","fd":7}]'
  printf '{"time":105,"pid":20,"tid":20,"comm":"later","op":"end","events":1,"lost":0,"asked":0,"contradicted":0}\n'
}

forked() {
  printf '{"time":90,"pid":%d,"tid":%d,"comm":"server","op":"fork","call":"fork","ret":%d,"child":%d,"shared":1}\n' "$1" "$1" "$2" "$2"
}

@test "port-held: silent where the holder's child accepts, where the holder is the parent or another worker" {
  judged < <(held_by 11)
  has '^finding port-held .*11 other fd 7 holds it'
  judged < <(forked 11 12 && event 99.0 accept '"call":"accept"' | sed 's/"pid":10,"tid":10/"pid":12,"tid":12/; s/"socket":"1"/"socket":"2"/' && held_by 11)
  has_none
  judged < <(forked 9 10 && held_by 9)
  has_none
  judged < <(forked 9 10 && forked 9 11 && held_by 11)
  has_none
}

@test "port-held: clients whom nobody accepted" {
  local open='"op":"connect","call":"connect","fd":3,"ret":0,"local":"127.0.0.1:%d","remote":"127.0.0.1:80","role":"client"}\n'
  judged < <(
    printf '{"time":%d,"pid":10,"tid":10,"comm":"server","op":"close","call":"close","fd":7,"ret":0,"socket":"1",%s}\n' 100 \
      '"local":"127.0.0.1:80","role":"unknown","fin":"none","why":"listening","holders":[{"pid":11,"comm":"server","fd":7}]'
    # shellcheck disable=SC2059 # the format is ours
    for i in 1 2; do printf '{"time":10%d,"pid":12,"tid":12,"comm":"client","socket":"2%d",'"$open" "$i" "$i" "$((5000 + i))"; done
  )
  has '^finding port-held .*meanwhile 2 clients connected, and nobody accepted them'
}

released() {
  event "$1" release '"fin":"reset","why":"after-close","verified":'"$2"',"lost":5000'
}

# withheld USED: process 10 gives a connection up, process 11 two seconds later.
withheld() {
  event 100.0 close '"call":"close","fin":"withheld","why":"references","verified":true,"state_before":"ESTABLISHED","holders":[{"pid":11,"comm":"other","fd":7}],"used":'"$1"
  closed 102.0 2.0 ESTABLISHED | sed 's/"pid":10,"tid":10,"comm":"server"/"pid":11,"tid":11,"comm":"other"/; s/"idle"/"used":false,&/'
}

@test "fin-withheld: silent where who gave it up had not worked on it either" {
  judged < <(withheld true)
  has '^finding fin-withheld .*kept open by 11 other fd 7'
  judged < <(withheld false)
  has_none
}

@test "answer-cut: possible where the reset may have been the peer's" {
  judged < <(closed 100.0 1.0 ESTABLISHED && released 101.0 true)
  has '^finding answer-cut .*lost the last 5000 bytes'
  judged < <(closed 100.0 1.0 ESTABLISHED && released 101.0 false)
  has "^possible answer-cut .*whether the reset was the peer's own cannot be seen"
}

@test "short-write: a note after a long wait for room, possible of a client" {
  judged < <(closed 100.0 1.0 ESTABLISHED | sed 's/"idle"/"asked":9000,&/')
  has '^finding short-write '
  judged < <(closed 100.0 6.0 ESTABLISHED | sed 's/"idle"/"asked":9000,&/')
  has '^note short-write .*waited 6.000 s'
  judged < <(closed 100.0 1.0 ESTABLISHED | sed 's/"idle"/"asked":9000,&/; s/"role":"server"/"role":"client"/')
  has '^possible short-write '
}

@test "upload-cut: also after a shutdown; not of one whose peer had ended" {
  local state back='"socket":"2","local":"127.0.0.1:6000","remote":"127.0.0.1:81","role":"client"'
  for state in FIN_WAIT2 CLOSE_WAIT; do
    judged < <(
      event 99.0 accept '"call":"accept"'
      printf '{"time":99.1,"pid":10,"tid":10,"comm":"server","op":"connect","call":"connect","fd":8,"ret":0,%s}\n' "$back"
      printf '{"time":99.9,"pid":10,"tid":10,"comm":"server","op":"eof","call":"read","fd":8,"ret":0,%s,"state_after":"CLOSE_WAIT"}\n' "$back"
      closed 100.0 0.1 $state | sed 's/"fin":"sent","why":"last-reference"/"fin":"reset","why":"unread-data"/; s/"unread":0/"unread":3/'
      closed 100.1 0.1 CLOSE_WAIT | sed "s/\"socket\":.*\"role\":\"server\"/$back/"
    )
    case $state in
      FIN_WAIT2) has '^finding upload-cut ' ;;
      *) has '^note reset-on-close ' ;;
    esac
  done
}

@test "upload-cut: not of a proxy that makes one connection after the other for one client" {
  local number
  judged < <(
    event 99.0 accept '"call":"accept"'
    for number in 2 3; do
      local back='"socket":"'$number'","local":"127.0.0.1:600'$number'","remote":"127.0.0.1:81","role":"client"'
      printf '{"time":99.%d,"pid":10,"tid":10,"comm":"server","op":"connect","call":"connect","fd":8,"ret":0,%s}\n' "$number" "$back"
      printf '{"time":99.%d,"pid":10,"tid":10,"comm":"server","op":"eof","call":"read","fd":8,"ret":0,%s,"state_after":"CLOSE_WAIT"}\n' "$((number + 2))" "$back"
      closed "99.$((number + 4))" 0.1 CLOSE_WAIT | sed "s/\"socket\":.*\"role\":\"server\"/$back/"
    done
    closed 100.0 0.1 ESTABLISHED | sed 's/"fin":"sent","why":"last-reference"/"fin":"reset","why":"unread-data"/; s/"unread":0/"unread":3/'
  )
  has '^note reset-on-close '
}

@test "closed-anothers: a number closed twice was another thread's by then" {
  with 'finding closed-anothers' robbed 'closed file descriptor [0-9]+ twice' 'failed with EBADF'
  scene not_robbed
  run ! grep -qE "^finding " <<<"$found"
}

@test "shared-connection: two writers after a fork, possible; silent on a writer and a reader" {
  with 'possible shared-connection' shared_writers 'and both wrote to it'
  without writer_and_reader
}

@test "gave-up: a note; silent where it was answered" {
  with 'note gave-up' gives_up 'closed before any answer arrived'
  with 'note gave-up' gives_up_by_shutdown 'closed before any answer arrived'
  without is_answered gives_up_in_the_middle
}

# Times are what these are about: the traces are written by hand.

# event TIME OP KEYS: one event of the server's end.
event() {
  printf '{"time":%s,"pid":10,"tid":10,"comm":"server","op":"%s","fd":7,"ret":0,"socket":"1",%s%s}\n' "$1" "$2" \
    '"local":"127.0.0.1:80","remote":"127.0.0.1:5000","role":"server",' "$3"
}

# closed TIME IDLE STATE
closed() {
  event "$1" close '"call":"close","refs_before":1,"refs_after":0,"fin":"sent","why":"last-reference","verified":true,'"$(
    printf '"state_before":"%s","unread":0,"unsent":0,"sent":5,"received":5,"unacked":0,"idle":%s' "$3" "$2"
  )"
}

shut() {
  event "$1" shutdown '"call":"shutdown","how":"'"$2"'","fin":"sent","why":"shutdown","verified":true'
}

eof() {
  event "$1" eof '"call":"read","state_after":"CLOSE_WAIT"'
}

judged() {
  cat >trace
  found=$("$CLOSETRACE" report trace | grep -E '^(finding|possible|note) ' || :)
}

@test "close-wait: over 10 s without traffic after EOF" {
  judged < <(eof 100.0 && closed 111.5 12.0 CLOSE_WAIT)
  has "^finding close-wait .*the peer's FIN was read 11.500 s earlier; it stayed in CLOSE_WAIT for 11.500 s without traffic"
  judged < <(eof 100.0 && closed 109.0 12.0 CLOSE_WAIT)
  has_none
  # It went on sending: a peer that has half-closed waits for that.
  judged < <(eof 100.0 && closed 130.0 2.0 CLOSE_WAIT)
  has_none
}

@test "close-wait: possible where it was never closed" {
  judged < <(event 99.0 accept '"call":"accept"' && eof 100.0 &&
    printf '{"time":120.0,"pid":10,"tid":10,"comm":"server","op":"end","events":2,"lost":0,"asked":0,"contradicted":0}\n')
  has '^possible close-wait .*20.000 s later 10 server had still not closed the connection'
}

@test "never-closed: over 10 s without traffic after both directions were over" {
  judged < <(shut 100.0 SHUT_RDWR && closed 120.0 20.0 FIN_WAIT2)
  has '^finding never-closed .*it was shut down 20.000 s before.*stayed open without traffic for 20.000 s'
  judged < <(shut 100.0 SHUT_WR && eof 101.0 && closed 115.0 20.0 CLOSE)
  has '^finding never-closed .*stayed open without traffic for 14.000 s'
  # It may have waited for an answer.
  judged < <(shut 100.0 SHUT_WR && closed 115.0 20.0 FIN_WAIT2)
  has '^possible never-closed '
  # The answer came late, and it closed at once.
  judged < <(shut 100.0 SHUT_WR && eof 119.9 && closed 120.0 1.0 CLOSE)
  has_none
  judged < <(shut 100.0 SHUT_RDWR && closed 101.0 1.0 CLOSE)
  has_none
}

@test "what a fault rule did is no finding" {
  scene withheld_by_child
  sed -i 's/"why":"references"/"why":"parked"/' trace
  judged < <(cat trace)
  has_none
  scene reset_with_data
  sed -i 's/"fin":"reset"/"injected":"close:as=RST",&/' trace
  judged < <(cat trace)
  has_none
}

@test "run writes findings into the log, possible ones as such, no notes" {
  local program=$BATS_TEST_DIRNAME/programs/findings.py
  "$CLOSETRACE" run -o trace /usr/bin/python3 "$program" queue 2>said 3>&-
  [ "$(jq -r 'select(.op == "finding") | .finding, .possible, (.sockets | length)' trace | paste -sd ' ')" = "queue-reset null 1" ]
  grep -q '^finding queue-reset ' said
  "$CLOSETRACE" run -o trace /usr/bin/python3 "$program" sink 2>said 3>&-
  [ "$(jq -r 'select(.op == "finding") | .finding, .possible, (.sockets | length)' trace | paste -sd ' ')" = "half-close-as-abort true 2" ]
  "$CLOSETRACE" run -o trace /usr/bin/python3 "$program" reset_without_data 2>said 3>&-
  [ -z "$(jq 'select(.op == "finding")' trace)" ]
  run "$CLOSETRACE" grep trace op=finding
  [ "$status" = 1 ]
}

@test "--fail: exit 1 where there is a finding; several files are one trace" {
  scene queue
  run "$CLOSETRACE" report --fail trace
  [ "$status" = 1 ]
  "$CLOSETRACE" report trace
  # Each end's events in a file of its own, one given twice in the wrong order.
  scene abort
  cp trace whole
  jq -c 'select(.role == "client" or .op == "end")' whole >b
  jq -c 'select(.role != "client" and .op != "end")' whole >a
  diff <("$CLOSETRACE" report whole) <("$CLOSETRACE" report b a)
}

@test "the table: one row a connection, both ends, who closed first; the summary before it" {
  scene closed_after_reading_all
  run "$CLOSETRACE" report trace
  [[ ${lines[0]} == "1 connection, 2 FINs, 0 RSTs; 0 findings; "* ]]
  [[ ${lines[1]} == "CONNECTION "*" CLIENT END "*" CLOSED FIRST "*" LIFE "* ]]
  [[ ${lines[2]} =~ ^127\.0\.0\.1:[0-9]+\ -\>\ 127\.0\.0\.1:[0-9]+\ +close\ FIN\ +close\ FIN\ +server:\ [0-9]+\ python3\ +0\.[0-9]{3}\ s\ +3\ +6\ +1$ ]]
}

@test "the table on a narrow terminal: both ends in sight, whole columns, shorter addresses" {
  scene queue
  script -qec "stty cols 60; '$CLOSETRACE' report trace" out >/dev/null
  grep -v '^Script' out | tr -d '\r' | sed 's/\x1b\[[0-9]*m//g' >shown
  run ! grep -E '^.{61}' shown
  grep -qx 'finding queue-reset 127.0.0.1:[0-9]*' shown
  grep -q '^    .*waiting to be accepted' shown
  grep -qE '^CONNECTION +CLIENT END +SERVER END$' shown
  grep -qE '^:[0-9]+ -> 127\.0\.0\.1:[0-9]+ ' shown
}

# many N: so many connections, alike but for their ports and times; one of them ends with an RST.
many() {
  local i
  for ((i = 1; i <= $1; i++)); do
    printf '{"time":%d.5,"pid":10,"tid":10,"comm":"server","op":"close","call":"close","fd":7,"ret":0,"socket":"%d",' "$((1000 + i))" "$i"
    printf '"local":"127.0.0.1:80","remote":"127.0.0.1:%d","role":"server","refs_before":1,"refs_after":0,' "$((5000 + i))"
    if [ "$i" = 7 ]; then
      printf '"fin":"reset","why":"unread-data","verified":true,"state_before":"ESTABLISHED","unread":3,"unsent":0,"sent":5,"received":5,"unacked":2,"caller":"server+0x1"}\n'
    else
      printf '"fin":"sent","why":"last-reference","verified":true,"state_before":"ESTABLISHED","unread":0,"unsent":0,"sent":5,"received":5,"unacked":0}\n'
    fi
  done >trace
}

@test "many connections: alike ones are one row, --all has each; what is wrong comes before them" {
  many 500
  "$CLOSETRACE" report trace >shown
  [ "$(wc -l <shown)" -lt 12 ]
  grep -qE '^ +499  \?  +close FIN  +server: server +\? -> server 127\.0\.0\.1:80$' shown
  grep -qE '^ +1  \?  +close RST ' shown
  [ "$(grep -n ^finding shown | cut -d: -f1)" -lt "$(grep -n CLOSED shown | cut -d: -f1)" ]
  [ "$("$CLOSETRACE" report --all trace | grep -c ' -> 127.0.0.1:80 ')" = 500 ]
}

@test "alike findings are one, with their number; --all has each" {
  many 100
  sed -i 's/"fin":"sent","why":"last-reference"/"fin":"reset","why":"linger-zero"/' trace
  TZ=UTC0 "$CLOSETRACE" report trace | grep -E '^(note|finding)' >shown
  [ "$(wc -l <shown)" = 2 ]
  grep -q '^note reset-on-close .*; 98 more like it, the last at 00:18:20.500000$' shown
  [ "$("$CLOSETRACE" report --all trace | grep -cE '^note reset-on-close ')" = 99 ]
}

@test "each finding has a page, and is in their list" {
  local name count=0
  for name in $("$CLOSETRACE" report --help | sed '1,/^Findings:/d'); do
    grep -q "^# $name\$" "$BATS_TEST_DIRNAME/../docs/findings/$name.md"
    grep -q "^| \[$name\]($name.md) | " "$BATS_TEST_DIRNAME/../docs/findings/README.md"
    count=$((count + 1))
  done
  [ "$count" = 19 ]
}

@test "--connection: a ladder" {
  local address
  scene abort
  address=$(jq -r 'select(.op == "shutdown") | .local' trace)
  run "$CLOSETRACE" report trace --connection "$address"
  [ "$status" = 0 ]
  # The server may accept it when the client has shut it down.
  [[ $output == *'accept4('* ]]
  [[ $output =~ $address.*\|\ -+SYN-+\>\|.*shutdown\(.*SHUT_WR\)\ +\|\ -+FIN-+\>\|.*CLOSE_WAIT.*\<-+FIN-+ ]] ||
    { echo "$output" && return 1; }
  run "$CLOSETRACE" report trace --connection 127.0.0.1:1
  [ "$status" = 125 ]
  [ "$output" = "closetrace report: no connection has the address 127.0.0.1:1 (ADDRESS:PORT, as in 127.0.0.1:80 or [::1]:80)" ]
}
