#!/usr/bin/env bats
# Descriptors: their numbers, their limit, sweeps over them; what is ours among them; another root, another user.

load helpers/safety

export OWN_PIDS=1

# What is told in the end is right: the descriptors that the log and the verdicts need are there, or were made anew.
still_traced() {
  assert_log
  assert_event C op=close call=close fin=sent why=last-reference verified=true
  assert_verdicts C sent
  assert_logged 0 '.op == "end" and .lost != 0'
}

sweeps() {
  local limits
  for limits in '64 128' '64 64'; do
    # shellcheck disable=SC2086 # two words
    same CLOSETRACE_TRACE=end safety_place sweep "$1" $limits
    still_traced
    rm "$LOG"
  done
}

# "from FIRST to LAST: COUNT, GAPS gaps, then ERRNO", the last such line of a run.
numbers_of() {
  sed -n 's/^from \([0-9]*\) to \([0-9]*\): \([0-9]*\), \([0-9]*\) gaps.*/\1 \2 \3 \4/p' "$BATS_TEST_TMPDIR/$1.out" |
    tail -n 1
}

@test "descriptors: the same numbers up to the same limit" {
  same safety_place numbers 64 128
  still_traced
  same safety_place numbers 1024 4096
}

@test "descriptors: the same numbers up to the same limit, which was there before" {
  same safety_place started 64 128
  still_traced
}

@test "descriptors: the same numbers where the limit is in the thousands" {
  same safety_place numbers 5000 10000
  still_traced
}

@test "descriptors: the same numbers where the limit is raised on the way" {
  same safety_place raised 64 256
  still_traced
  same safety_place raised 1024 8192
}

@test "descriptors: where there is no room above the limit, two at the very top are ours, and no others" {
  local bare traced
  as_bare safety_place numbers 64 64 >/dev/null || :
  read -ra bare < <(numbers_of bare)
  read -ra traced < <(numbers_of traced)
  [ "${traced[0]}" = "${bare[0]}" ]
  [ "${traced[2]}" -ge $((bare[2] - 2)) ]
  [ "${traced[3]}" = "${bare[3]}" ]
  facts
  still_traced
}

@test "descriptors: the limit is what is in use" {
  same safety_place exhausted
  assert_log
  assert_event C op=close fin=sent verified=true
}

@test "descriptors: close() of every number says what it said" {
  same safety_place results 64 128
  same safety_place results 1024 4096
}

@test "sweep: a loop of close()" {
  sweeps numbers
  sweeps downwards
}

@test "sweep: close_range()" {
  sweeps close_range
  sweeps by-number
}

@test "sweep: closefrom()" {
  sweeps closefrom
}

@test "sweep: all that is in /proc/self/fd, once" {
  sweeps once
  sweeps as-read
}

@test "sweep: all that is in /proc/self/fd, until nothing is" {
  sweeps until-empty
}

@test "sweep: duplicates at every number" {
  sweeps duplicates
}

@test "sweep: a system call that nobody sees" {
  sweeps unseen
}

@test "descriptors: where ours stood the program has something of its own: nothing of ours is sent there" {
  local kind
  for kind in tcp stream dgram pipe; do
    same CLOSETRACE_TRACE=end safety_place taken "$kind" 8192
    still_traced
    rm "$LOG"
  done
}

@test "descriptors: at most two are ours, high and close-on-exec" {
  local settings bare
  bare safety_place own
  for settings in "CLOSETRACE_OUTPUT=$LOG" "CLOSETRACE_OUTPUT=$LOG.%p" CLOSETRACE_OUTPUT=stderr CLOSETRACE_TRACE=none; do
    bare=$(sed -n 's/^MORE=//p' "$BATS_TEST_TMPDIR/bare.out")
    traced "$settings" safety_place own
    facts
    [ "$(fact MORE)" -le $((bare + 2)) ]
    diff <(grep -v MORE <(safety_output bare.out)) <(grep -v MORE <(safety_output traced.out))
  done
}

@test "descriptors: none of ours is in a program that is started" {
  same safety_place started-programs
  same "CLOSETRACE_OUTPUT=$LOG.%p" safety_place started-programs
}

# bats test_tags=root
@test "user: another root and no privileges: the log is written, and says what it does not know" {
  mkdir "$BATS_TEST_TMPDIR/root"
  same safety_place unprivileged "$BATS_TEST_TMPDIR/root"
  assert_log
  assert_logged 0 '.op == "end" and .lost != 0'
  assert_event C1 op=close pid="$(fact PID)" fin=sent verified=true
  assert_event S1 op=close pid="$(fact PID)" fin=sent verified=true
  # /proc is not there: what is counted is right all the same, or said to be no more than a lower bound
  assert_event C op=close pid="$(fact PID)" fin=withheld '(has("refs_after") | not) or .refs_partial or .refs_after == 1'
  assert_event C op=close ".pid != $(fact PID)" fin=sent
}

# bats test_tags=root
@test "user: another root, and a file for each process: what cannot be made is lost, and no more" {
  mkdir "$BATS_TEST_TMPDIR/root"
  same "CLOSETRACE_OUTPUT=$LOG.%p" safety_place unprivileged "$BATS_TEST_TMPDIR/root"
  facts
  LOG=$LOG.$(fact PID)
  assert_log
  assert_logged 1 '.op == "end" and .lost == 0'
}

# bats test_tags=root
@test "user: another user, who cannot look into others' processes" {
  same safety_place other-user
  assert_log
  assert_event C op=dup '.refs_partial or (.refs_before == 2 and .refs_after == 3)'
  assert_events 2 C op=close pid="$(fact PID)" fin=withheld '.refs_partial or (.refs_before == .refs_after + 1)'
  assert_event C op=close ".pid != $(fact PID)" fin=sent verified=true
}

# bats test_tags=root
@test "left behind: no file but the log, no shared memory, no process" {
  local made
  # shellcheck disable=SC2016 # the inner shell's
  unshare --pid --fork --ipc --mount-proc bash -c '
    mount -t tmpfs none /dev/shm
    "$@" >/dev/null 2>&1
    find /dev/shm -mindepth 1
    tail -n +2 /proc/sysvipc/shm
    for process in /proc/[0-9]*; do [ "$process" = "/proc/$$" ] || cat "$process/cmdline" 2>/dev/null; done' bash \
    strace -f -qq -e trace=open,openat,creat,mkdir,mknod,memfd_create,symlink,link,shmget -o "$BATS_TEST_TMPDIR/calls" \
    -E LD_PRELOAD="$LIB" -E CLOSETRACE_OUTPUT="$LOG" -E CLOSETRACE_FORMAT=json "$PROGRAMS/safety_place" nothing-left \
    >"$BATS_TEST_TMPDIR/left" 3>&-
  assert_log
  assert_logged + '.op == "exit"'
  cat "$BATS_TEST_TMPDIR/left"
  [ ! -s "$BATS_TEST_TMPDIR/left" ]
  made=$(grep -E 'O_CREAT|O_TMPFILE|mkdir|mknod|memfd_create|link|shmget' "$BATS_TEST_TMPDIR/calls" | grep -vF "\"$LOG\"") || :
  echo "$made"
  [ -z "$made" ]
}
