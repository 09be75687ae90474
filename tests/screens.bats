#!/usr/bin/env bats
# What a report shows of six real traces on terminals of 80, 120 and 200 columns, word for word: tests/screens. Where a change
# is meant: tests/screens/update, and look at git diff. The traces themselves are made by tests/screens/record.

bats_require_minimum_version 1.5.0

SCREENS=$BATS_TEST_DIRNAME/screens
export CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}

@test "screens: nginx, haproxy, redis, sshd, a Python suite, 20,000 connections; 80, 120, 200 columns" {
  "$SCREENS/update" "$BATS_TEST_TMPDIR"
  for name in nginx haproxy redis sshd suite many; do
    for columns in 80 120 200; do
      diff -u "$SCREENS/$name.$columns" "$BATS_TEST_TMPDIR/$name.$columns"
    done
  done
  diff -u "$SCREENS/redis.ladder.80" "$BATS_TEST_TMPDIR/redis.ladder.80"
}

@test "screens: no line is wider than its terminal" {
  for columns in 80 120 200; do
    for screen in "$SCREENS"/*."$columns"; do
      awk -v columns=$columns 'length > columns { wide = 1; print FILENAME ": " $0 } END { exit wide }' "$screen"
    done
  done
}

@test "screens: the one thing that is wrong among 20,000 connections stands on the first screen" {
  run -0 head -n 24 "$SCREENS/many.80"
  # shellcheck disable=SC2154 # run sets it
  [ "$(wc -l <"$SCREENS/many.80")" -le 24 ] && [[ $output == *'20002 connections'*'finding fin-withheld'*'redis-server'* ]]
}
