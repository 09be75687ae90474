#!/usr/bin/env bats
# Where lines go, and where they never go: standard error that is gone, somebody's, full, broken; limits; many writers.

load helpers/safety

export OWN_PIDS=1

# unharmed SCENE [ARG...]: the scene tells the same as without the library, whatever became of the lines.
unharmed() {
  local -x LOG_ON_STDERR=''
  local format
  for format in json text; do
    same CLOSETRACE_OUTPUT=stderr "CLOSETRACE_FORMAT=$format" safety_output "$@"
  done
}

# Of every process that could say it: what it says that it has logged is there.
assert_counts() {
  jq -e -n '[inputs] | group_by(.pid)
    | map((map(select(.op == "end").events) | .[0]) as $said
      | $said == null or $said == (map(select(.op != "start" and .op != "end")) | length)) | all' \
    "$LOG" >/dev/null || log_fail "some process has not logged what it says"
}

@test "output: no line goes to a client that has the number 2" {
  unharmed reused
}

@test "output: no line goes anywhere where there is no standard error" {
  unharmed none
}

@test "output: no line goes to a socket that is standard error" {
  unharmed inetd
}

@test "output: no complaint goes to a socket that is standard error" {
  LOG_ON_STDERR='' same CLOSETRACE_OUTPUT=stderr CLOSETRACE_FORMAT=nonsense safety_output inetd
  grep -q '^closetrace: CLOSETRACE_FORMAT: ' "$BATS_TEST_TMPDIR/traced.err" # the program that started it had one
}

@test "output: no line goes to a file that has the inode of the one that standard error was" {
  traced CLOSETRACE_OUTPUT=stderr safety_output same-inode "$BATS_TEST_TMPDIR"
  [ "$(status_of traced)" != 77 ] || skip "$(cat "$BATS_TEST_TMPDIR/traced.out")"
  [ "$(tail -n 1 "$BATS_TEST_TMPDIR/traced.out")" = "status 0, in the program's own file: 0 bytes" ]
}

@test "output: a full pipe blocks nobody, and what was lost is counted" {
  LOG_ON_STDERR='' same CLOSETRACE_OUTPUT=stderr safety_output full-pipe "$LOG"
  assert_log
  assert_logged 1 '.op == "end" and .lost > 0 and .events > 0'
  assert_counts
}

@test "output: a pipe that is filled at the last moment blocks nobody" {
  unharmed filled-meanwhile
}

@test "output: a broken pipe, a full device" {
  unharmed broken-pipe
}

@test "output: a broken pipe brings no SIGPIPE, and takes none away" {
  unharmed broken-pipe-handled
}

@test "output: a limit on the size of files, a log file" {
  same safety_output size-limit "$LOG"
  assert_log
  assert_logged 1 '.op == "end" and .lost > 0'
  assert_counts
}

@test "output: a limit on the size of files, standard error" {
  LOG=$BATS_TEST_TMPDIR/traced.err
  LOG_ON_STDERR='' same CLOSETRACE_OUTPUT=stderr safety_output size-limit "$LOG"
  assert_log
  assert_counts
}

@test "output: in the background of a terminal that stops writers" {
  unharmed background
}

@test "output: a terminal that nobody reads, one that was stopped" {
  unharmed stuck-terminal
}

@test "output: twenty processes, one file" {
  same safety_output crowd 20 30
  assert_log
  assert_logged 20 '.op == "end" and .lost == 0'
  assert_counts
}

@test "output: twenty processes, one pipe" {
  # shellcheck disable=SC2016 # the inner shell's
  traced CLOSETRACE_OUTPUT=stderr /bin/bash -c '"$1" crowd 20 15 2>&1 >/dev/null | cat >"$2"' bash \
    "$PROGRAMS/safety_output" "$LOG"
  assert_log
  assert_counts
}

@test "output: ten processes, a file each" {
  same "CLOSETRACE_OUTPUT=$BATS_TEST_TMPDIR/log.%p" safety_output crowd 10 5
  local file
  for file in "$BATS_TEST_TMPDIR"/log.*; do
    jq -e -s "(map(.pid) | unique == [${file##*.}]) and .[0].op == \"start\" and .[-1].op == \"end\"" "$file" >/dev/null
  done
  [ "$(compgen -G "$BATS_TEST_TMPDIR/log.*" | wc -l)" = 10 ]
}

@test "output: SIGKILL loses nothing that was logged before" {
  LOG_ON_STDERR='' as_bare safety_output killed
  [ "$(status_of traced)" = 137 ]
  assert_log
  facts
  assert_event C op=close fin=sent verified=true
  assert_event S op=close fin=sent
}
