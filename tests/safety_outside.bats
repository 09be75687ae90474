#!/usr/bin/env bats
# Before the library's constructor has run, after the program has ended, and among other libraries.

load helpers/safety

export OWN_PIDS=1

# among LIBRARY [CFLAGS...]: it is preloaded too, before ours and after it; the program notices no difference.
among() {
  local other order
  other=$(build_library "$@")
  bare "LD_PRELOAD=$other" safety_outside nothing
  [ "$(status_of bare)" = 0 ]
  for order in "$LIB $other" "$other $LIB"; do
    traced "LD_PRELOAD=$order" safety_outside nothing
    assert_as_bare || { echo "with $order" && return 1; }
    assert_log
  done
}

# What each of the exit handlers closes is told as its close, and what is left as the exit's. ends WAY CALL I...
ends() {
  local way=$1 call=$2 i
  shift 2
  as_bare safety_outside ending "$way"
  [ "$(status_of traced)" = 3 ]
  assert_log
  facts
  for i in 0 1 2 3 4 5; do
    if [[ " $* " == *" $i "* ]]; then
      assert_event "C$i" op=close call=close fin=sent verified=true
      assert_events 0 "C$i" op=exit
    else
      assert_event "C$i" op=exit "call=$call" verified=false
      assert_events 0 "C$i" op=close
    fi
  done
  assert_logged 1 '.op == "start"'
  [ "$(tail -n 1 "$LOG" | jq -r .op)" = end ]
}

@test "outside: preinit functions and an indirect function's resolver" {
  same safety_outside early
  assert_log
  assert_event C op=close fin=sent verified=true
}

@test "outside: constructors and destructors of another preloaded library" {
  among safety_outside
}

@test "outside: constructors and destructors of a library that is initialized first" {
  among safety_outside -Wl,-z,initfirst
}

@test "outside: an indirect function's resolver in another library" {
  among safety_resolver
}

@test "outside: another library wraps the same functions, before us and after us" {
  among safety_wrapper
}

@test "outside: exit() and its handlers" {
  ends exit exit 0 1 2 4
}

@test "outside: return from main and its handlers" {
  ends return return 0 1 2 4
}

@test "outside: quick_exit() and its handlers" {
  ends quick_exit quick_exit 3
}

@test "outside: _exit(), which has none" {
  ends _exit _exit
}

@test "outside: other threads go on while the process ends" {
  same CLOSETRACE_TRACE=open,end safety_outside ending-with-threads
  assert_log
  # nobody tells anything before the process's start or after its end
  jq -e -n '[inputs] | group_by(.pid) |
      map(.[0].op == "start" and .[-1].op == "end" and (map(select(.op == "start")) | length == 1)) | all' \
    "$LOG" >/dev/null || log_fail "something comes before the start or after the end"
}

@test "outside: what is in a stream's buffer at the end" {
  same safety_outside buffered-at-exit
  assert_log
}

# With rules for a read's way out and in, and for a parked connection, which is waited for.
@test "outside: another library's clock is not asked, nor waited with" {
  local other order begun=$EPOCHREALTIME ended
  other=$(build_library safety_clock)
  for order in "$LIB $other" "$other $LIB"; do
    rm -f "$LOG"
    traced "LD_PRELOAD=$order" CLOSETRACE_INJECT='shutdown:delay_enter=300ms:when=1;close:as=HOLD:hold=50ms:when=2' \
      safety_output rounds 3
    [ "$(status_of traced)" = 0 ]
    assert_log
    cat "$BATS_TEST_TMPDIR/traced.out"
    grep -qx 'asked 0 waited 0' "$BATS_TEST_TMPDIR/traced.out"
    ended=$EPOCHREALTIME
    jq -se --argjson begun "$begun" --argjson ended "$ended" \
      'map(select(.time < $begun or .time > $ended)) == [] and
       (map(select(.op == "shutdown" and .injected)) | length == 1 and .[0].duration >= 0.3)' "$LOG" >/dev/null ||
      log_fail "times that are not true"
  done
}
