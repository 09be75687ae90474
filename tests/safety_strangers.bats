#!/usr/bin/env bats
# Threads and children that libc has not made: thread-local storage of their own choice, or none, stacks of a few
# kilobytes. Whatever they call works as it does without the library, and is told.

load helpers/safety

# plays KIND STORAGE...: every call, on a connection and on a unix socket
plays() {
  local kind=$1 storage on
  shift
  for storage; do
    for on in tcp unix; do
      rm -f "$LOG"
      LIMIT=60 same safety_strangers play "$kind" "$storage" "$on"
      assert_log
      assert_logged 0 '.op == "end" and .lost != 0'
    done
  done
}

# ends KIND JQ [REFS]: its close and its _exit of a connection are its own events, and JQ is true of the close's. REFS: of
# the exit; one table of descriptors is one reference, however many have it.
ends() {
  local refs=${3:-2-1}
  rm -f "$LOG"
  trace safety_strangers ends "$1" close
  assert_events 1 C call=close "(.pid != $(fact PID))" op=close verified=true "$2"
  rm -f "$LOG"
  trace safety_strangers ends "$1" _exit
  assert_events 1 C call=_exit "(.pid != $(fact PID))" op=exit fin=withheld refs="$refs"
  assert_events 1 S call=_exit "(.pid != $(fact PID))" op=exit fin=withheld refs="$refs"
}

@test "strangers: a child of clone()" {
  plays fork zeroed proper edge none copied
  ends fork '(.fin == "withheld")'
}

@test "strangers: a child of clone() that borrows the memory, as vfork()'s does" {
  plays vfork zeroed proper edge none copied
  ends vfork '(.fin == "withheld")'
}

@test "strangers: a child of clone() that shares the memory for good" {
  plays sharer zeroed none
  ends sharer '(.fin == "withheld")'
}

@test "strangers: a child of clone() that shares memory and descriptors" {
  plays files zeroed none
  ends files '(.fin == "sent")' 1-1
}

@test "strangers: a child of clone by number" {
  plays number zeroed none
  ends number '(.fin == "withheld")'
}

@test "strangers: a child of clone that nobody saw" {
  plays unseen zeroed none
  ends unseen '(.fin == "withheld")'
}

@test "strangers: a thread" {
  plays thread zeroed proper edge none copied
  ends thread '(.fin == "withheld")'
}

@test "strangers: a thread of libc's that changes its storage for a while" {
  plays switched zeroed none
  ends switched '(.fin == "withheld")'
}

# Where the thread pointer is not to be read without a system call, those are known that were seen to be made.
@test "strangers: on an older kernel" {
  LIB=$BATS_TEST_TMPDIR/libclosetrace.so
  make -s -C "$ROOT" BUILD="$BATS_TEST_TMPDIR/build" LIB="$LIB" CPPFLAGS=-DCLOSETRACE_THREAD_POINTER=0 "$LIB"
  for kind in fork vfork number thread; do
    plays $kind zeroed none
  done
  same safety_threads crowd 6
}
