#!/usr/bin/env bats
# bats file_tags=root
# The lessons: the events that each is about, what left on the wire, what the programs saw, and the README's recording.

load helpers/lesson

# The usual end of a connection's other side: it has read the end, and closes.
assert_follows() {
  assert_event "$1" op=eof state_after=CLOSE_WAIT
  assert_event "$1" op=close fin=sent why=last-reference refs=1-0 state_before=CLOSE_WAIT
  assert_verdicts "$1" sent
  assert_wire "$1" fin=1 rst=0
}

# Whatever the other one's kernel has taken, this one has read, and then the end.
assert_delivered() {
  local taken
  taken=$(sed -n 's/.*my kernel has taken \([0-9]*\) bytes/\1/p' "$BATS_TEST_TMPDIR/facts")
  assert_said "$1 says: I have read $taken bytes, then the end of the stream"
}

@test "lesson 1: close() takes away one reference, the last one sends the FIN" {
  lesson 01
  assert_event S1 op=dup refs=1-2
  assert_event S1 op=close fin=withheld why=references refs=2-1 verified=true state_after=ESTABLISHED
  assert_event S1 op=close fin=sent why=last-reference refs=1-0 verified=true 'state_after=FIN_WAIT1|FIN_WAIT2'
  assert_wire S1 fin=1 rst=0
  assert_said 'client says: nothing has come'
  assert_follows C1
  assert_shown
}

@test "lesson 2: a forked child is a reference" {
  lesson 02
  assert_event S1 op=close fin=withheld why=references refs=2-1 verified=true '.holders[0].comm == "server"'
  assert_event S1 op=exit call=_exit fin=sent why=last-reference refs=1-0
  assert_verdicts S1 'withheld sent'
  assert_wire S1 fin=1 rst=0
  assert_said 'client says: nothing has come'
  assert_event S2 op=close fin=withheld refs=2-1
  assert_event S2 op=close fin=sent refs=1-0 verified=true
  assert_verdicts S2 'withheld sent'
  assert_wire S2 fin=1 rst=0
  assert_follows C1
  assert_follows C2
  assert_shown
}

@test "lesson 3: shutdown(SHUT_WR) sends the FIN whatever the references, and the answer comes after it" {
  lesson 03
  assert_event C1 op=shutdown how=SHUT_WR fin=sent why=shutdown refs=2-2 verified=true state_before=ESTABLISHED
  assert_said 'server says: I have read "how are you?"'
  assert_said 'client says: I have read "fine, and you?"'
  assert_events 2 C1 op=close fin=already why=after-shutdown
  assert_verdicts C1 'sent already already'
  assert_wire C1 fin=1 rst=0
  assert_follows S1
  assert_shown
}

@test "lesson 4: who shares a socket is hit by a shutdown, not by a close" {
  lesson 04
  assert_event C1 op=close fin=withheld refs=2-1
  assert_said "client says: I have written \"after my child's close()\""
  assert_event C1 op=shutdown fin=sent why=shutdown refs=2-2
  assert_event C1 op=write call=send errno=EPIPE
  assert_said "client says: writing \"after my child's shutdown()\" has failed: EPIPE"
  assert_verdicts C1 'withheld sent already already'
  assert_wire C1 fin=1 rst=0
  assert_follows S1
  assert_shown
}

@test "lesson 5: SHUT_RD sends nothing and discards nothing" {
  lesson 05
  assert_event C1 op=shutdown how=SHUT_RD fin=none why=receive-side state_after=ESTABLISHED verified=true
  assert_said 'server says: nothing has come'
  assert_said 'client says: I have read "one"'
  assert_said "server says: the client's kernel has acknowledged it"
  assert_said 'client says: I have read "two"'
  assert_said 'client says: in the kernel: client ESTABLISHED, server ESTABLISHED'
  assert_said 'client says: I have read the end of the stream'
  assert_event S1 op=close fin=sent state_before=ESTABLISHED
  assert_event C1 op=close fin=sent state_before=CLOSE_WAIT
  assert_wire C1 fin=1 rst=0
  assert_wire S1 fin=1 rst=0
  assert_shown
}

@test "lesson 6: SHUT_RDWR ends both directions, and the descriptor is still there" {
  lesson 06
  assert_event C1 op=shutdown how=SHUT_RDWR fin=sent why=shutdown
  assert_event C1 op=write errno=EPIPE
  assert_said 'client says: descriptor 3 is there'
  assert_event S1 op=eof state_after=CLOSE_WAIT
  assert_said 'server says: I have written "are you there?"'
  assert_event S1 op=write errno=EPIPE
  assert_event S1 op=close fin=none why=peer-reset
  assert_event C1 op=close fin=already
  assert_said 'client says: descriptor 3 is not there: EBADF'
  assert_refused C1
  assert_wire S1 fin=0 rst=0
  assert_shown
}

@test "lesson 7: after close() the descriptor is gone, the data is delivered, and the end comes after it" {
  lesson 07
  assert_event S1 op=close fin=queued why=last-reference state_after=FIN_WAIT1 '.unsent > 0' verified=true
  assert_said 'server says: writing "one more" has failed: EBADF'
  assert_said 'server says: read() has failed: EBADF'
  assert_delivered client
  assert_wire S1 fin=1 rst=0
  assert_follows C1
  assert_shown
}

@test "lesson 8: writing to a peer that has closed: RST, EPIPE, SIGPIPE" {
  lesson 08
  assert_event C1 op=close fin=sent state_before=ESTABLISHED
  assert_refused C1
  assert_said 'server says: I have written "one"'
  assert_event S1 op=write call=send errno=EPIPE
  assert_event S1 op=write call=write errno=EPIPE
  assert_event S1 op=exit call=SIGPIPE fin=none why=peer-reset
  assert_said 'server was ended by SIGPIPE'
  assert_wire S1 fin=0 rst=0
  assert_shown
}

@test "lesson 9: every end of a process closes its connections, unless a child lives on" {
  lesson 09
  number=0
  for call in exit return _exit abort SIGKILL; do
    number=$((number + 1))
    assert_event S$number op=exit call=$call fin=sent why=last-reference refs=1-0
    assert_wire S$number fin=1 rst=0
    assert_follows C$number
  done
  assert_event S6 op=exit call=return fin=withheld why=references refs=2-1
  assert_said 'client says: nothing has come'
  assert_event S6 op=exit call=_exit fin=sent refs=1-0
  assert_wire S6 fin=1 rst=0
  assert_follows C6
  assert_shown
}

@test "lesson 10: who closes first waits: the states of both ends" {
  lesson 10
  assert_event C1 op=shutdown fin=queued why=shutdown state_after=FIN_WAIT1
  assert_event S1 op=eof state_after=CLOSE_WAIT
  assert_event S1 op=close fin=queued state_before=CLOSE_WAIT state_after=LAST_ACK
  assert_event C1 op=close fin=already state_after=TIME_WAIT
  diff <(sed -n 's/.*in the kernel: //p' "$BATS_TEST_TMPDIR/facts") - <<END
client FIN_WAIT1, server ESTABLISHED
client FIN_WAIT2, server CLOSE_WAIT
client FIN_WAIT2, server LAST_ACK
client TIME_WAIT, server gone
END
  assert_wire C1 fin=1 rst=0
  assert_wire S1 fin=1 rst=0
  assert_shown
}

@test "lesson 11: a peer in CLOSE_WAIT that SIGINT ends leaves in order" {
  lesson 11
  assert_event C1 op=shutdown fin=sent
  assert_said 'client says: in the kernel: client FIN_WAIT2, server CLOSE_WAIT'
  assert_said 'server was ended by SIGINT'
  assert_event C1 op=eof
  assert_said 'client says: in the kernel: client TIME_WAIT, server gone'
  assert_verdicts C1 'sent already'
  assert_wire C1 fin=1 rst=0
  assert_wire S1 fin=1 rst=0
  assert_shown
}

@test "lesson 12: an orphan in FIN_WAIT2 is forgotten, and the late FIN meets an RST; with a descriptor it stays" {
  lesson 12
  assert_event C1 op=close fin=sent state_before=ESTABLISHED injected=close:linger2=1s
  assert_event S1 op=close fin=sent state_before=CLOSE_WAIT
  assert_refused C1
  assert_wire S1 fin=1 rst=0
  # Not at once: a second after the FIN.
  capture_segments "$(fact C1)" | awk '$2 == "FIN" { fin = $1 } $2 == "RST" { rst = $1 } END { exit !(rst - fin > 0.9) }'
  assert_event C2 op=shutdown fin=sent
  assert_event C2 op=close fin=already
  assert_wire C2 fin=1 rst=0
  assert_follows S2
  diff <(sed -n 's/.*in the kernel: //p' "$BATS_TEST_TMPDIR/facts") - <<END
client FIN_WAIT2, server CLOSE_WAIT
client gone, server CLOSE_WAIT
client FIN_WAIT2, server CLOSE_WAIT
client FIN_WAIT2, server CLOSE_WAIT
END
  assert_shown
}

@test "lesson 13: an orphan is delivered by the kernel, without a process" {
  lesson 13
  assert_event C1 op=close fin=queued why=last-reference refs=1-0 state_after=FIN_WAIT1
  grep -qE "^ +FIN-WAIT-1 .* $(fact C1) $(fact S1) ino:0$" "$BATS_TEST_TMPDIR/facts"
  grep -qE 'sockstat counts: orphan [1-9]' "$BATS_TEST_TMPDIR/facts"
  assert_delivered server
  assert_wire C1 fin=1 rst=0
  assert_follows S1
  assert_shown
}

@test "lesson 14: unread data turns close() into an RST; a server that reads to the end does no harm" {
  lesson 14
  assert_event S1 op=close fin=reset why=unread-data '.unread > 0 and .unsent > 0' state_before=ESTABLISHED verified=true
  assert_event C1 op=reset errno=ECONNRESET
  assert_wire S1 fin=0 rst=1
  assert_event S2 op=shutdown how=SHUT_WR fin=queued
  assert_event S2 op=close fin=already unread=0
  assert_wire S2 fin=1 rst=0
  assert_follows C2
  mapfile -t counts < <(grep -o '[0-9]* bytes' "$BATS_TEST_TMPDIR/facts")
  [ "${#counts[@]}" = 4 ]
  [ "${counts[1]% bytes}" -lt "${counts[0]% bytes}" ]
  [ "${counts[3]}" = "${counts[2]}" ]
  assert_shown
}

@test "lesson 15: SO_LINGER off, {1, 0} and {1, 5}" {
  lesson 15
  assert_event S1 op=close fin=queued why=last-reference
  assert_wire S1 fin=1 rst=0
  assert_event S2 op=close fin=reset why=linger-zero verified=true
  assert_event C2 op=reset errno=ECONNRESET
  assert_wire S2 fin=0 rst=1
  assert_event S3 op=close fin=sent state_after=FIN_WAIT2 '.unsent > 0' '.duration > 0.001'
  assert_wire S3 fin=1 rst=0
  # This close() was still under way when the client began to read, and has returned after it.
  sed -n '/{1, 5}/,$p' "$BATS_TEST_TMPDIR/facts" | grep -n . >"$BATS_TEST_TMPDIR/last"
  grep -q '^3:.*client says: the server is inside close()' "$BATS_TEST_TMPDIR/last"
  grep -qE '^[45]:.*server says: close\(\) has returned' "$BATS_TEST_TMPDIR/last"
  assert_shown
}

@test "lesson 16: close() under a blocked read(): no FIN, no wake-up; shutdown() first" {
  lesson 16
  assert_event S1 op=close fin=withheld why=call-in-progress verified=true '.holders[0].call == "read"'
  assert_said 'client says: nothing has come'
  assert_said 'server says: I have read "wake up"'
  assert_event S1 op=release fin=sent
  assert_wire S1 fin=1 rst=0
  assert_event S2 op=shutdown how=SHUT_RDWR fin=sent why=shutdown
  assert_event S2 op=close fin=already refs=1-0
  assert_wire S2 fin=1 rst=0
  assert_follows C1
  assert_follows C2
  assert_shown
}

@test "lesson 17: a descriptor under way over a unix socket is a reference" {
  lesson 17
  assert_event S1 op=send_fd refs=1-2
  assert_event S1 op=close fin=withheld why=in-flight refs=2-1 verified=true
  assert_said 'client says: nothing has come'
  assert_event S1 op=recv_fd
  assert_said 'client says: I have read "sorry to keep you waiting"'
  assert_event S1 op=close fin=sent why=last-reference refs=1-0
  assert_verdicts S1 'withheld sent'
  assert_wire S1 fin=1 rst=0
  assert_follows C1
  assert_shown
}

@test "lesson 18: a fault makes a client half-close, and a finding names the relay that does not understand it" {
  lesson 18
  [ "$(grep -c 'client says: I have read "fine, and you?"' "$BATS_TEST_TMPDIR/facts")" = 2 ]
  # Without the fault; with it; with it, and a relay that was mended.
  for number in 1 2 3; do
    "${CLOSETRACE:-$ROOT/closetrace}" report "$LOG.$number" >"$BATS_TEST_TMPDIR/report.$number"
  done
  ! grep -q ^finding "$BATS_TEST_TMPDIR/report.1" "$BATS_TEST_TMPDIR/report.3" || false
  [ "$(grep -c ^finding "$BATS_TEST_TMPDIR/report.2")" = 1 ]
  grep -qE '^finding half-close-as-abort .*: .*EOF was read after 12 bytes; [0-9]+ relay close' "$BATS_TEST_TMPDIR/report.2"
  assert_injected() { [ "$(jq -c 'select(.injected) | [.comm, .injected]' "$LOG.$1" | sort -u)" = "$2" ]; }
  assert_injected 1 ''
  assert_injected 2 '["client","write:then=SHUT_WR:when=1"]'
  assert_injected 3 '["client","write:then=SHUT_WR:when=1"]'
  # On the wire: the client's FIN before the relay's, in all but the first.
  for number in 2 3; do
    LOG=$LOG.$number meet
    read -r client _ < <(capture_segments "$(fact C1)")
    read -r relay _ < <(capture_segments "$(fact S1)")
    jq -en "$client < $relay"
    assert_wire C1 fin=1 rst=0
    assert_wire S1 fin=1 rst=0
  done
  assert_shown
}

@test "lessons: each line of each recording is explained once, each lesson is in the list and has a test" {
  for readme in "$ROOT"/examples/[0-9]*/README.md; do
    name=$(basename "$(dirname "$readme")")
    diff <(recording '' "$readme" | grep -oE '^ ?[0-9]+  [0-9]{2}:' | awk '{ print $1 }') \
      <(sed '1,/^<!-- end/d' "$readme" | grep -oE '\*\*[0-9, ]+\*\*' | tr -d '* ' | tr ',' '\n' | sort -n) ||
      { echo "in $readme" && return 1; }
    grep -qF "]($name/)" "$ROOT/examples/README.md"
    grep -qE "^@test \"lesson $((10#${name%%-*})):" "$BATS_TEST_FILENAME"
  done
}

@test "lessons: a recording that says something else is noticed, one with other times, ids and ports is not" {
  local readme=$ROOT/examples/01-one-reference/README.md change
  changed() { recording '' "$readme" | sed "$1" | essence; }
  [ "$(changed '' | wc -l)" = 9 ]
  for change in 's/refs 2->1/refs 2->2/' 's/withheld/sent/' 's/close(4/close(5/' '/dup(/d' 's/= 0  refs/= -1 EIO  refs/' \
    's/CLOSE_WAIT->/ESTABLISHED->/' 's/nothing has come/something has come/' "s/the peer's FIN/RST/"; do
    ! cmp -s <(changed '') <(changed "$change") || { echo "not noticed: $change" && return 1; }
  done
  port=$(recording '' "$readme" | sed -n 's/.*connect(.*->127.0.0.1:\([0-9]*\).*/\1/p')
  pid=$(recording '' "$readme" | awk '/accept/ { print $3 }')
  diff <(changed '') <(changed "s/:$port/:10/g; s/$pid/$((pid + 10000))/g; s/ [0-9][0-9]:[0-9][0-9]:/ 00:00:/; s/FIN_WAIT1/FIN_WAIT2/")
}

@test "lessons: run shows claim, recording and explanation, and leaves nothing behind; a lesson that goes wrong fails" {
  export LESSON=$ROOT/examples/01-one-reference
  TMPDIR=$BATS_TEST_TMPDIR/tmp
  export TMPDIR
  mkdir "$TMPDIR"
  play_lesson LESSON_PLAIN= >"$BATS_TEST_TMPDIR/run"
  tr '\n' ' ' <"$BATS_TEST_TMPDIR/run" | grep -qE '^# 1\. close.*Texts say.* 1  [0-9:.]+ .*\*\*7\*\* The client closes.*\*\*So:\*\*'
  [ -z "$(ls "$TMPDIR")" ]
  # One whose server ends otherwise than its script says.
  cp -r "$ROOT/examples" "$TMPDIR/examples"
  sed -i 's/^ends_by .*/ends_by server TERM/' "$TMPDIR"/examples/08-*/run
  LESSON=$(echo "$TMPDIR"/examples/08-*)
  ! play_lesson >"$BATS_TEST_TMPDIR/run" 2>&1 || false
  grep -q '^lesson 08-writing-on: server has ended with PIPE' "$BATS_TEST_TMPDIR/run"
}
