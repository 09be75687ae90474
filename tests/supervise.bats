#!/usr/bin/env bats
# Programs that preloading cannot reach: the kernel tells closetrace run of the calls that end their connections.

bats_require_minimum_version 1.5.0

setup_file() {
  cd "$BATS_TEST_DIRNAME/.." || return
  gcc -std=gnu11 -O1 -static -pthread -o "$BATS_FILE_TMPDIR/supervised" tests/programs/supervised.c
}

load helpers/log

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  static=$BATS_FILE_TMPDIR
}

teardown() {
  [ -z "${place-}" ] || { cd / && rm -rf "$place"; }
}

run_static() {
  timeout 60 "$CLOSETRACE" run -o trace "$@"
}

verdicts() {
  jq -r 'select(.fin) | "\(.op) \(.fin) \(.why) \(.refs_before)-\(.refs_after)"' trace
}

# told CONDITION [N]: so many events of the trace meet it; 1 where not said.
told() {
  local count
  count=$(jq -n "[inputs | select($1)] | length" trace)
  [ "$count" = "${2:-1}" ] || { echo "$count events, not ${2:-1}: $1" && cat trace && return 1; }
}

@test "supervised: of another libc, and of glibc by --reach=supervise" {
  command -v musl-gcc >/dev/null || skip "there is no musl-gcc"
  musl-gcc -o musl "$ROOT/tests/programs/supervised.c"
  run_static ./musl threads 1 3
  [ "$(verdicts | grep -c 'close sent last-reference 1-0')" = 6 ]
  told '.op == "start" and .reach == "supervised" and .command == ["./musl", "threads", "1", "3"]'
  run_static --reach=supervise "$PROGRAMS/supervised" threads 1 3
  [ "$(verdicts | grep -c 'close sent last-reference 1-0')" = 6 ]
}

@test "supervised: what it sees of its calls is what it would see" {
  run_static "$static/supervised" refused
}

@test "supervised: a child that holds it is named, and its end sends the FIN" {
  run_static "$static/supervised" holds >facts
  local child
  child=$(sed -n 's/^CHILD=//p' facts)
  told '.op == "close" and .fin == "withheld" and .holders[0].pid == '"$child"' and .refs_after == 1'
  told '.op == "exit" and .pid == '"$child"' and .role == "client" and .fin == "sent" and .status == 5'
}

@test "supervised: an exec that fails closes nothing; one that is made, what is close-on-exec" {
  run_static "$static/supervised" tries "$(type -P true)"
  told '.op == "exec" and .fin == "sent"'
  told '.op == "exec" and .fin == "sent" and .role == "client" and .refs_before == 1 and .refs_after == 0'
}

@test "supervised: 64 threads, 6,400 connections: each end once, none lost" {
  run_static "$static/supervised" threads 64 100
  told '.op == "close" and .fin == "sent" and .why == "last-reference"' 12800
  told '.fin == "withheld" or .fin == "reset"' 0
  told '.op == "end" and .lost == 0 and .events == 12864'
}

# The program goes on as if nobody had watched, and nobody stays behind.
@test "supervised: SIGKILL of the command leaves the program unharmed" {
  mkfifo gate
  "$CLOSETRACE" run -o trace "$static/supervised" goes-on <gate >said 2>&1 3>&- &
  local command=$! program standby
  exec 4>gate
  until_true grep -qx here said
  program=$(pgrep -P "$command" -x supervised)
  standby=$(pgrep -P "$command" -x closetrace-go)
  kill -KILL "$command"
  wait "$command" || :
  exec 4>&-
  until_true grep -qx fine said
  until_true gone "$program"
  until_true gone "$standby"
}

gone() {
  ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status"
}

until_true() {
  local _
  for _ in {1..1000}; do
    "$@" && return
    sleep 0.01
  done
  return 1
}

# shellcheck disable=SC2154 # run sets stderr
@test "supervised: --reach=preload refuses what it cannot reach; rules are refused by name; a wrong word is" {
  run -125 --separate-stderr "$CLOSETRACE" run --reach=preload "$static/supervised" refused
  [[ $stderr == *'cannot be traced: it is statically linked'* ]]
  run -125 --separate-stderr "$CLOSETRACE" run -e inject=close:error=EIO "$static/supervised" refused
  [[ $stderr == *"-e inject=close:error=EIO: $static/supervised is supervised"* ]]
  run -125 --separate-stderr "$CLOSETRACE" run --reach=all true
  [ "$stderr" = 'closetrace run: --reach=all: auto, preload or supervise would be right' ]
}

@test "supervised: exit status and signals are the program's" {
  run -2 "$CLOSETRACE" run -o trace "$static/supervised" nothing
  run -0 "$CLOSETRACE" run -o trace "$static/supervised" refused
}

# bats test_tags=root
@test "supervised: by another user than root" {
  place=$(mktemp -d "${TMPDIR:-/tmp}/closetrace-supervise.XXXXXX")
  chmod 777 "$place"
  cp "$CLOSETRACE" "$LIB" "$static/supervised" "$place"
  cd "$place"
  run -0 setpriv --reuid=65534 --regid=65534 --clear-groups ./closetrace run -o trace ./supervised threads 2 5
  told '.op == "close" and .fin == "sent"' 20
}
