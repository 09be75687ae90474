#!/usr/bin/env bats
# The comparison of log and capture itself (helpers/compare_capture.py): it must find what is wrong.

setup() {
  LOG=$BATS_TEST_TMPDIR/log
  CAPTURE=$BATS_TEST_TMPDIR/capture
  : >"$LOG"
  : >"$CAPTURE"
}

# event TIME PID OP [KEY:VALUE]...: of the connection 127.0.0.1:1000 -> 127.0.0.1:80
event() {
  local more
  more=$(printf ', %s' "${@:4}")
  echo "{\"time\": $1, \"pid\": $2, \"comm\": \"program\", \"op\": \"$3\", \"local\": \"127.0.0.1:1000\"," \
    "\"remote\": \"127.0.0.1:80\"${more%, }}" >>"$LOG"
}

# segment TIME FLAGS [SEQUENCE [FROM TO]]
segment() {
  echo "$1 IP ${4-127.0.0.1.1000} > ${5-127.0.0.1.80}: Flags [$2], seq ${3-7}, ack 9, win 64, length 0" >>"$CAPTURE"
}

# says WORDS [OPTION...]: it finds that
says() {
  run python3 "$BATS_TEST_DIRNAME/helpers/compare_capture.py" "${@:2}" "$LOG" "$CAPTURE"
  if [ "$status" != 1 ] || [[ $output != *"$1"* ]]; then
    echo "status $status: $output"
    return 1
  fi
}

agrees() {
  run python3 "$BATS_TEST_DIRNAME/helpers/compare_capture.py" "$@" "$LOG" "$CAPTURE"
  [ "$status" = 0 ] || { echo "$output" && return 1; }
}

sent=('"fin": "sent"' '"why": "last-reference"' '"verified": true' '"refs_after": 0' '"duration": 0.001')
reset=('"fin": "reset"' '"why": "unread-data"' '"verified": true' '"refs_after": 0' '"duration": 0.001')

@test "compare: one FIN, one claim; sent again it is still one" {
  event 5.0 1 close "${sent[@]}"
  segment 5.0005 F.
  segment 5.2 F.
  agrees
  [[ $output == *'connections=1'*' fin=1 '* ]]
}

@test "compare: a FIN that nobody claims, and one claimed twice" {
  segment 5.0005 F.
  says '1 FIN on the wire, 0 claimed'
  event 5.0 1 close "${sent[@]}"
  event 5.0 2 close "${sent[@]}"
  says '1 FIN on the wire, 2 claimed'
}

@test "compare: a queued FIN, and the command's word that it has left" {
  local queued=('"socket": "1"' '"fin": "queued"' '"why": "last-reference"' '"verified": true' '"refs_after": 0')
  local left=('"socket": "1"' '"fin": "sent"' '"why": "last-reference"' '"verified": true')
  event 5.0 1 close "${queued[@]}"
  event 7.0 1 release "${left[@]}"
  says 'said to have left, and it had not by then'
  segment 6.5 F.
  agrees
  event 8.0 1 release "${left[@]}"
  says 'said to have left 2 times'
}

@test "compare: a release that sends a FIN is a claim where it is a call's, and none comes out of nothing" {
  event 5.0 1 close '"socket": "1"' "${sent[@]}"
  segment 5.0005 F.
  agrees
  event 6.0 1 release '"socket": "1"' '"fin": "sent"' '"why": "last-reference"' '"verified": true'
  says 'nobody had said that it was queued'
  sed -i '$d' "$LOG"
  event 6.0 1 release '"socket": "1"' '"call": "recv"' "${sent[@]}"
  says '1 FIN on the wire, 2 claimed'
}

@test "compare: of two claims that of a late answer goes, where it is not verified" {
  local exit=('"role": "unknown"' '"fin": "sent"' '"why": "last-reference"' '"verified": false')
  event 5.0 2 exit "${exit[@]}"
  event 5.001 1 close "${sent[@]/true/false}" '"asked_after": 0.005'
  segment 5.005 F.
  agrees
  sed -i 's/, "asked_after": 0.005//' "$LOG"
  says 'left 0.003000 s after the call'
}

@test "compare: a claim, and nothing on the wire" {
  event 5.0 1 close "${sent[@]}"
  says '0 FIN on the wire, 1 claimed'
}

@test "compare: a FIN at another time than the call" {
  event 5.0 1 close "${sent[@]}"
  segment 4.9 F.
  says 'left before the call'
  : >"$CAPTURE"
  segment 5.1 F.
  says 's after the call'
}

@test "compare: an RST and a FIN are not the same" {
  event 5.0 1 close "${reset[@]}"
  segment 5.0005 F.
  says '1 FIN on the wire, 0 claimed'
  : >"$CAPTURE"
  segment 5.0005 R.
  agrees
}

@test "compare: an RST that answers late data needs a connection that was ended" {
  segment 5.0005 R
  event 4.0 1 accept
  says 'no event has ended that connection'
  event 5.0 1 close "${reset[@]}"
  segment 5.0001 R.
  agrees
}

@test "compare: a process that was killed claims nothing" {
  event 4.0 1 accept
  segment 5.0005 F.
  says '1 FIN on the wire, 0 claimed' --killed=2
  agrees --killed=1
}

@test "compare: connections in the queue of a listener" {
  local listener='{"time": 5.0, "pid": 1, "comm": "x", "op": "close", "local": "0.0.0.0:80", "fin": "none"'
  echo "$listener, \"why\": \"listening\", \"pending\": 1}" >"$LOG"
  segment 5.0005 R. 7 127.0.0.1.80 127.0.0.1.1000
  agrees
  segment 5.0006 R. 7 127.0.0.1.80 127.0.0.1.1001
  says 'a connection that the log does not know'
  sed -i 's/"pending": 1/"pending": 3/' "$LOG"
  says 'claims 3 RST, 2 are on the wire'
}

@test "compare: what was seen of the peer" {
  event 5.0 1 eof
  says "op=eof, and no FIN of the peer"
  event 4.0 1 close "${sent[@]}"
  segment 4.0 F.
  segment 4.9 F. 3 127.0.0.1.80 127.0.0.1.1000
  says '127.0.0.1:80 -> 127.0.0.1:1000: 1 FIN on the wire, 0 claimed'
}

@test "compare: lines that are no events, events lost, references that do not fit" {
  echo '{"time": 5.0' >"$LOG"
  says 'log:1:'
  echo '{"time": 5.0, "pid": 1, "comm": "x", "op": "end", "lost": 2}' >"$LOG"
  says 'events were lost'
  : >"$LOG"
  event 5.0 1 close "${sent[@]/0/1}"
  says 'verdict and references do not agree'
}
