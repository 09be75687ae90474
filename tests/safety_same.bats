#!/usr/bin/env bats
# The same results, errno, signals and descriptor numbers as without the library.

load helpers/safety

export OWN_PIDS=1

# Every call on some kinds of descriptors (tests/programs/safety_same.c names them).
same_calls() {
  local kind
  for kind in "$@"; do
    same safety_same calls "$kind"
  done
  assert_log
}

@test "same: every call on a connection" {
  same_calls tcp tcp6
}

@test "same: every call on a connection that has ended on one side" {
  same_calls half-closed peer-closed
}

@test "same: every call on a connection that was reset" {
  same_calls reset reset-seen
}

@test "same: every call on a socket that is not connected" {
  same_calls unconnected listener connecting
}

@test "same: every call on what is no TCP socket" {
  same_calls unix udp broken-pipe file path epoll
}

@test "same: every call on numbers that are no descriptors" {
  same safety_same calls closed
  same safety_same calls negative
  same safety_same calls huge
}

@test "same: with nothing to log, and where the kernel is not asked" {
  same CLOSETRACE_TRACE=none safety_same calls tcp
  same CLOSETRACE_VERIFY=off safety_same calls peer-closed
  same CLOSETRACE_ONLY=lport=1 safety_same calls reset
}

@test "same: SIGPIPE, its disposition, its siginfo and its place" {
  same safety_same sigpipe
  assert_log
}

@test "same: SIGPIPE, errno in its handler" {
  same safety_same sigpipe-errno
}

@test "same: SIGPIPE from elsewhere ends a program that waits in a write" {
  local writer
  for writer in write sendfile splice fflush syscall-write; do
    same safety_same sigpipe-from-elsewhere "$writer"
  done
}

@test "same: programs that cannot be started, processes, sockets that cannot be made" {
  same safety_same failing
  assert_log
}

@test "same: stdio on a socket" {
  same safety_same streams
  assert_log
}

@test "same: a stream in memory, which has no descriptor" {
  same safety_same memory-stream
  [ "$(fact open)" = 0 ]
  assert_events 0 C call=fclose
  assert_events 0 C call=fputs
  assert_event C op=close call=close fin=sent role=client
}
