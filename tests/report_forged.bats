#!/usr/bin/env bats
# report on traces that somebody has made to keep it busy: its time grows with their length, not with its square.

setup() {
  CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}
  cd "$BATS_TEST_TMPDIR" || return
}

# reads KIND: 100,000 lines in five seconds of a processor, where the square takes ten and more
reads() {
  python3 "$BATS_TEST_DIRNAME/helpers/forge.py" 100000 "$1" >trace
  # shellcheck disable=SC2094 # the subcommand
  (ulimit -t 5 && exec "$CLOSETRACE" report trace) >report
  grep -q '^100000 connections' report || { tail -n 3 report && false; }
}

@test "report: cookies that were chosen to stand at one place" {
  reads hash
}

@test "report: one cookie for all" {
  reads cookie
}

@test "report: one pair of addresses for all" {
  reads pair
}

@test "report: as many names as lines; the last line first" {
  reads comm
  reads reverse
}
