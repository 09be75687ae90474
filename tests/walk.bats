#!/usr/bin/env bats
# bats file_tags=root
# The random walk (tests/walk): thousands of endings, held against the packets, /proc and a model of the kernel.
# A failure prints the seed, the move and all four accounts of it; tests/walk/walk.py --seed N walks it again.

bats_require_minimum_version 1.5.0

setup() {
  cd "$BATS_TEST_DIRNAME/.." || return
  unset LD_PRELOAD "${!CLOSETRACE_@}"
  command -v python3 >/dev/null || skip "python3 is not there"
  tests/walk/walk.py --no-log --count 1 --seed 1 >"$BATS_TEST_TMPDIR/try" 2>&1 ||
    { ! grep -q 'unshare: ' "$BATS_TEST_TMPDIR/try" || skip "no network namespaces here"; }
}

@test "walk: the model agrees with the kernel, without closetrace" {
  tests/walk/walk.py --no-log --count 300
}

# The same walks each time, so that a change is told from chance; $WALK_SEED walks others. `make stress` draws new seeds.
walk() {
  tests/walk/walk.py --seed "${WALK_SEED:-101}" "$@"
}

@test "walk: 2,000 endings, every kind" {
  walk --count 2000
}

@test "walk: 500 endings without descriptors sent" {
  walk --count 500 --not-ops channel,send_fd,recv_fd
}

# One family of processes: every number is exact, and none may be marked as a lower bound.
@test "walk: 300 endings among processes that were only forked" {
  walk --count 300 --not-ops exec,exec_fail,spawn,child
}

# The same answers from /proc and the kernel alone: after raw system calls, too, every number is exact.
@test "walk: 300 endings with a library that keeps no ledger" {
  make -s BUILD=build/kernel-only LIB=build/kernel-only/libclosetrace.so CPPFLAGS=-DCLOSETRACE_LEDGER=0 \
    build/kernel-only/libclosetrace.so
  walk --count 300 --exact --library build/kernel-only/libclosetrace.so
}

# What differs is what needs the ledger to be known: without it a copy in flight may be anybody's (refs_partial).
@test "walk: with the ledger and without the log is the same" {
  local kernel_only=build/kernel-only/libclosetrace.so
  make -s BUILD=build/kernel-only LIB=$kernel_only CPPFLAGS=-DCLOSETRACE_LEDGER=0 $kernel_only
  set -- --count 300 --seed 22 --no-raw --not-ops fill,block
  tests/walk/walk.py "$@" --record "$BATS_TEST_TMPDIR/with" &
  tests/walk/walk.py "$@" --record "$BATS_TEST_TMPDIR/without" --exact --library $kernel_only
  wait $!
  [ "$(wc -l <"$BATS_TEST_TMPDIR/with")" -gt 1000 ]
  # after_fin and asked_after are times, told where they are a millisecond and more.
  timeless() { sed -E 's/ "refs_partial": true,//; s/"(asked_after|after_fin)": [0-9.]+, //g' "$1"; }
  diff <(timeless "$BATS_TEST_TMPDIR/with") <(timeless "$BATS_TEST_TMPDIR/without")
}

# Room for 56 records: most sockets find none, and are looked for in /proc.
@test "walk: 150 endings with a ledger that is full" {
  local small=build/small-ledger/libclosetrace.so
  make -s BUILD=build/small-ledger LIB=$small CPPFLAGS=-DCLOSETRACE_LEDGER_BUCKETS=8 $small
  walk --count 150 --not-ops exec,exec_fail,spawn,child --library $small
}

@test "walk: eight processes at once, the account of it without closetrace" {
  tests/walk/throng.py --no-log --count 2000 --seed 1
}

# In which order they act nobody can say, so the seed settles only what they do.
@test "walk: eight processes at once, some of them killed: 4,000 endings" {
  tests/walk/throng.py --count 4000 --seed 1
}

@test "walk: two walks of one seed make the same moves" {
  local i
  for i in 1 2; do
    tests/walk/walk.py --no-log --seed 7 --count 200 --tally --not-ops fill | grep -E '^ +[0-9]+ ' >"$BATS_TEST_TMPDIR/moves.$i"
  done
  [ -s "$BATS_TEST_TMPDIR/moves.1" ]
  diff "$BATS_TEST_TMPDIR/moves.1" "$BATS_TEST_TMPDIR/moves.2"
}
