#!/usr/bin/env bats
# Tables of descriptors are not processes: a thread may have its own, two processes may have one together.

load helpers/log

# play SCENE [ARG...]: as often as one likes.
play() {
  rm -f "$LOG"
  trace tables "$@"
}

# end_child: a child that has its parent's table lives on when the scene is over.
end_child() {
  kill -KILL "$(fact CHILD)" 2>/dev/null || :
}

@test "tables: a thread with its own closes, then the process: withheld, then sent" {
  local how
  for how in unshare syscall close_range 'unshare v6'; do
    # shellcheck disable=SC2086
    play thread-closes $how
    assert_verdicts C 'withheld sent'
    assert_event C op=close fin=withheld why=references verified=true refs=2-1 \
      ".holders | length == 1 and .[0].pid == $(fact PID) and .[0].fd == $(fact C_FD)"
    assert_event C op=close fin=sent why=last-reference verified=true refs=1-0
  done
}

@test "tables: the process closes first: held by the thread's table, by name" {
  play thread-keeps
  assert_verdicts C 'withheld sent'
  assert_event C op=close fin=withheld why=references verified=true refs=2-1 \
    ".holders | length == 1 and (.[0] | .pid == $(fact PID) and .tid == $(fact TID) and .fd == $(fact C_FD))"
}

@test "tables: what is opened in a thread's own table is seen" {
  play thread-opens
  assert_event C op=connect role=client
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0
  assert_event S op=close fin=sent verified=true refs=1-0
}

@test "tables: a fork by such a thread copies what the thread has" {
  play thread-forks
  assert_events 2 C op=close pid="$(fact CHILD)" fin=withheld why=references
  assert_events 0 C op=close pid="$(fact CHILD)" fin=sent
}

@test "tables: to leave a table that nobody else has changes nothing" {
  play alone
  assert_verdicts C 'withheld sent'
  assert_event C op=close fin=withheld refs=2-1
}

@test "tables: two processes have one: the end of one of them gives nothing up" {
  local how
  for how in _exit exit exec; do
    play shared-table $how
    end_child
    assert_event C "op=exit|exec" pid="$(fact PID)" fin=withheld why=references refs=1-1 \
      ".holders | length == 1 and .[0].pid == $(fact CHILD) and .[0].fd == $(fact C_FD)"
    assert_verdicts C withheld
  done
}

@test "tables: two processes have one: a close by either closes it" {
  play shared-table close
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C sent
  play shared-table child-closes
  assert_event C op=close pid="$(fact CHILD)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C sent
}
