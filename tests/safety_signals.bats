#!/usr/bin/env bats
# In signal handlers, on small stacks, and when a handler does not come back.

load helpers/safety

export OWN_PIDS=1

# small_stack BYTES ACT...: the handler has so many bytes besides the signal's frame, as it has without the library.
small_stack() {
  local bytes=$1 act settings
  shift
  for act in "$@"; do
    bare LD_BIND_NOW=1 safety_signals small-stack "$bytes" "$act"
    [ "$(status_of bare)" = 0 ]
    for settings in "CLOSETRACE_OUTPUT=$LOG" "CLOSETRACE_OUTPUT=$LOG.%p" CLOSETRACE_OUTPUT=stderr; do
      # end: no event before that in the handler
      traced LD_BIND_NOW=1 CLOSETRACE_TRACE=end "$settings" safety_signals small-stack "$bytes" "$act"
      [ "$(status_of traced)" = 0 ] || { echo "$act on a stack with $bytes bytes, $settings" && return 1; }
    done
  done
}

@test "signals: a timer's handler opens, duplicates, writes and closes while the program does" {
  same safety_signals timer
  assert_log
  assert_logged 0 '.op == "end" and .lost != 0'
}

@test "signals: handlers that interrupt handlers" {
  same safety_signals nested
  assert_log
  assert_logged 0 '.op == "end" and .lost != 0'
}

@test "signals: a handler on a stack of two kilobytes closes, replaces, shuts down, writes" {
  small_stack 2048 close close-shared dup2 shutdown refused-write close_range
}

@test "signals: a handler on a stack of two kilobytes connects and accepts" {
  small_stack 2048 open
}

@test "signals: a handler on a stack of two kilobytes forks, and ends the process" {
  small_stack 2048 fork exit vfork
}

@test "signals: jumps out of whatever they interrupted" {
  same safety_signals jump told
  assert_log
  assert_verdicts C sent
  assert_claims_verified C
  assert_verdicts S sent
}

@test "signals: a jump out of a write leaves no signal blocked" {
  same safety_signals jump-from-write
}

@test "signals: those that wait, each with its value, are still there" {
  same safety_signals queued
}
