#!/usr/bin/env bats
# What happens at one moment, made to happen: one thread is held at a named place of the library (the test build, with
# -DCLOSETRACE_STOPS), another runs through, the first goes on. Exactly one FIN leaves, and exactly one event tells of it.

load helpers/log

# shellcheck disable=SC2034 # helpers/log uses LIB
setup() {
  STOPS=${PROGRAMS%/tests/programs}/stops
  LIB=$STOPS/libclosetrace.so
  CLOSETRACE=$STOPS/closetrace
  export STOPS_FILE=$BATS_TEST_TMPDIR/stops
}

# One event of the socket tells of a FIN, and none that failed.
assert_one_fin() {
  local told
  told=$(events "$1" '.fin | IN("sent", "queued")' | wc -l)
  [ "$told" = 1 ] || { echo "$2: of $1's FIN tell $told" && events "$1" .fin && return 1; }
  [ "$(events "$1" '(.fin | IN("sent", "queued")) and .ret == -1')" = "" ] || { echo "$2: of a FIN a call that failed" && return 1; }
}

# What a process has logged, in the order of the log.
of_process() {
  jq -r --argjson pid "$1" 'select(.pid == $pid) | .op' "$LOG"
}

# race SCENE [ARG...]: with LD_PRELOAD alone.
race() {
  rm -f "$STOPS_FILE" "$LOG"
  trace races "$@" || return
  assert_one_fin C "$*"
}

# shellcheck disable=SC2034 # helpers/log uses FACTS
# race_run SCENE [ARG...]: under closetrace run.
race_run() {
  local line
  rm -f "$STOPS_FILE" "$LOG"
  TRACE_FILE=$LOG timeout 60 "$CLOSETRACE" run -o "$LOG" --messages="$BATS_TEST_TMPDIR/said" -- "$PROGRAMS/races" "$@" \
    >"$BATS_TEST_TMPDIR/facts" || { cat "$BATS_TEST_TMPDIR/said" && return 1; }
  FACTS=()
  while IFS= read -r line; do FACTS[${line%%=*}]=${line#*=}; done <"$BATS_TEST_TMPDIR/facts"
  assert_one_fin C "$*"
}

closing_stops=("closing: looked, not left" "closing: left, not closed" "closing: closed, not settled"
  "closing: closed, not asked" "closing: asked, not counted" "closing: judged, not claimed")
leaving_stops=("leaving: begun" "leaving: left, not counted" "leaving: counted, not judged"
  "leaving: told, not gone")

# So is what comes to another's end (stop by stop, each with each of the others), in processes that have it together.
together() {
  local kind=$1 other=$2 stop
  shift 2
  for stop in "$@"; do
    race processes "$kind" "$stop" "$other" || return
  done
}

@test "races: an exit, and another's" { together exit exit "${leaving_stops[@]}"; }
@test "races: an exit, and another's close" { together exit close "${leaving_stops[@]}"; }
@test "races: an exit, and another's exec" { together exit exec "${leaving_stops[@]}"; }
@test "races: an exec, and another's exit" { together exec exit "${leaving_stops[@]:1}"; }
@test "races: an exec, and another's close" { together exec close "${leaving_stops[@]:1}"; }
@test "races: an exec, and another's" { together exec exec "${leaving_stops[@]:1}"; }
@test "races: a close, and another's exit" { together close exit "${closing_stops[@]:0:4}"; }
@test "races: a close, and another's exec" { together close exec "${closing_stops[@]:0:4}"; }
@test "races: a close, and another's" { together close close "${closing_stops[@]:0:4}"; }

@test "races: a close, and a process that is killed" {
  for stop in "${closing_stops[@]:0:4}"; do
    race_run processes close "$stop" kill
  done
}

@test "races: an exit, and a process that is killed" {
  for stop in "${leaving_stops[@]}"; do
    race_run processes exit "$stop" kill
  done
}

@test "races: a process is killed, and another closes, ends, execs before that is told" {
  for other in close exit exec; do
    race_run processes kill "killed: found, not asked" "$other"
  done
}

# Threads on one number. Where it is closed by the one, the other finds nothing, or what has come there.
@test "races: threads close one number" {
  for stop in "${closing_stops[@]:0:5}"; do
    for other in close dup2 close_range; do
      race threads close "$stop" "$other"
    done
  done
}

@test "races: threads put another descriptor over one number" {
  for stop in "${closing_stops[@]:0:5}"; do
    for other in close dup2 close_range; do
      race threads dup2 "$stop" "$other"
    done
  done
}

@test "races: a claim is not forgotten because its descriptor has gone" {
  for kind in close dup2; do
    race threads "$kind" "closing: found, not looked" close
    race threads "$kind" "closing: found, not looked" dup2
  done
}

@test "races: a shutdown, while the number is closed" {
  for stop in "shutdown: looked, not made" "shutdown: made, not looked" "shutdown: judged, not claimed"; do
    for other in close dup2 close_range shutdown; do
      race threads shutdown "$stop" "$other"
    done
  done
}

@test "races: a close, while the connection is shut down" {
  for stop in "${closing_stops[@]:0:5}"; do
    race threads close "$stop" shutdown
  done
}

@test "races: a shutdown that finds no socket there sends nothing, and says so" {
  race threads shutdown "shutdown: looked, not made" close
  assert_event C op=shutdown ret=-1 errno=EBADF fin=null
  race threads shutdown "shutdown: looked, not made" dup2
  assert_event C op=shutdown ret=-1 errno=ENOTSOCK fin=null
}

@test "races: a descriptor is duplicated, and closed before that is noted" {
  for other in close dup2 close_range; do
    race threads dup "duplicating: made, not noted" "$other"
    assert_event C op=dup
  done
}

@test "races: a number is another connection's before its close is told" {
  race number-again
  assert_one_fin D number-again
}

@test "races: a number is closed that has come to be another connection's" {
  race anothers-number close
  assert_one_fin D anothers-number
}

@test "races: a number is shut down that has come to be another connection's" {
  race anothers-number shutdown
  assert_one_fin D anothers-number shutdown
}

@test "races: the process ends before a thread has told of its close" { race end-meanwhile; }
@test "races: two threads end the process" { race two-ends; }

@test "races: the process ends while a thread writes of its close: its end is the last word" {
  race writes-meanwhile
  assert_event C op=close pid="$(fact CHILD)"
  [ "$(of_process "$(fact CHILD)" | tail -n 1)" = end ]
}

@test "races: a child's first events come from two threads: its start is before both" {
  race first-events
  [ "$(of_process "$(fact CHILD)" | paste -sd ' ')" = "start close close end" ]
}

@test "races: a claim of the end that was wrong is forgotten by who ends it in truth" {
  for kind in close exit exec; do
    rm -f "$STOPS_FILE" "$LOG"
    trace races claim-was-wrong "$kind"
    assert_event C pid="$(fact B)" fin=sent why=last-reference
  done
}

@test "races: a claim of the end that was right is not forgotten for a number that is another's now" {
  race claim-was-right
}

@test "races: a call comes back before it is expected to tell of the end" {
  race call-returns
  assert_event C op=close fin=withheld why=call-in-progress
  assert_event C op=release call=close fin=sent
}

@test "races: a thread that was woken inside its call, and gets no processor, is found" {
  race call-starved
  assert_event C op=close fin=withheld why=call-in-progress ".holders[0].tid == $(fact TID)"
}

@test "races: a copy that is sent is counted once, though it is received while it is counted" {
  race received-meanwhile
  assert_event C op=send_fd refs=1-2
  assert_event C op=recv_fd refs=2-2
}

@test "races: who has it and is unknown may have ended it before the kernel was asked: the claim is not verified" {
  rm -f "$STOPS_FILE" "$LOG"
  trace races stranger-ends
  assert_event C op=close pid="$(fact PID)" fin=sent verified=false '.asked_after >= 0.001'
  assert_event C op=exit fin=sent verified=false
}

@test "races: an event for which there is no workspace is counted as lost" {
  rm -f "$STOPS_FILE" "$LOG"
  run trace races no-workspace
  [[ $output == 'events were lost'* ]]
  [ "$(jq 'select(.op == "end") | .lost' "$LOG")" = 1 ]
}
