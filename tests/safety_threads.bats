#!/usr/bin/env bats
# Threads: many at once, forking, cancelled.

load helpers/safety

export OWN_PIDS=1

@test "threads: eight open, share and close connections at once" {
  same safety_threads crowd 0
  assert_log
  assert_logged 1 '.op == "end" and .lost == 0'
}

@test "threads: eight at once, and some of them fork" {
  same safety_threads crowd 6
  assert_log
  assert_logged 0 '.op == "end" and .lost != 0'
}

@test "threads: one that waits in a call is cancelled there" {
  same safety_threads cancel-waiting deferred
  assert_log
}

@test "threads: one that waits in a call and may be cancelled anywhere" {
  same safety_threads cancel-waiting asynchronous
  assert_log
}

@test "threads: the same calls act on a cancellation as do without the library" {
  same safety_threads cancel-pending
  assert_log
}

@test "threads: cancelled where they are, again and again; then all is as ever" {
  same safety_threads cancel-anywhere deferred
  assert_log
  assert_verdicts C sent
  assert_claims_verified C
}

@test "threads: cancelled in the middle of anything, again and again; then all is as ever" {
  same safety_threads cancel-anywhere asynchronous
  assert_log
  assert_verdicts C sent
  assert_claims_verified C
}
