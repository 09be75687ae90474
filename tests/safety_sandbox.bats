#!/usr/bin/env bats
# Programs in a sandbox, where a call that they do not make themselves is their death.

load helpers/safety

export OWN_PIDS=1

# sandboxed SCENE [ARG...]: it lives, and does what it does without the library.
sandboxed() {
  same safety_sandbox "$@"
  assert_log
}

# And its ends are told: C's FIN and, after it, S's; verified:true or false.
tells_ends() {
  assert_event C op=close fin=sent why=last-reference "$@"
  assert_verdicts C sent
  assert_event S op=close fin=sent why=last-reference "$@"
  assert_verdicts S sent
}

@test "sandbox: killed for netlink sockets and files" {
  sandboxed no-netlink
  tells_ends
  assert_logged 1 '.op == "end" and .lost == 0'
}

@test "sandbox: killed for netlink sockets, and there is none yet" {
  sandboxed no-look-up-yet
  tells_ends verified=false
}

@test "sandbox: an errno for what is asked" {
  sandboxed refusals
  tells_ends
}

@test "sandbox: a signal for what is asked, which the program sees none of" {
  sandboxed traps
  tells_ends
}

@test "sandbox: read, write, close, exit and nothing else" {
  sandboxed narrow
  sandboxed narrow directly
}

@test "sandbox: read, write, close, and a few questions: predictions" {
  sandboxed narrow-with-questions
  tells_ends verified=false
}

@test "sandbox: SECCOMP_MODE_STRICT" {
  sandboxed strict
  sandboxed strict-by-number
}

@test "sandbox: made by hand, with prctl() and by number" {
  sandboxed installed-by-prctl
  tells_ends
  rm "$LOG"
  sandboxed installed-by-number
  tells_ends
}

@test "sandbox: forty filters" {
  sandboxed many-filters
}

@test "sandbox: one that was refused is none" {
  sandboxed failing
  tells_ends verified=true
}

@test "sandbox: a child's is none of the parent's" {
  sandboxed in-a-child
  assert_event C op=close pid="$(fact PID)" fin=sent why=last-reference verified=true
  assert_event C op=close ".pid != $(fact PID)"
}

@test "sandbox: killed for asking who it is" {
  sandboxed not-even-ids
}

@test "sandbox: killed for asking who it is, and forks" {
  sandboxed fork-without-ids
}

@test "sandbox: killed for asking who it is, and vforks" {
  sandboxed vfork-without-ids
}

@test "sandbox: killed for asking who it is, and makes a thread" {
  sandboxed thread-without-ids
}

@test "sandbox: made by one thread for all" {
  sandboxed all-threads
  tells_ends
}

@test "sandbox: close_range() is allowed, close() is not" {
  sandboxed ranges-only
}

@test "sandbox: a write that is refused, and SIGPIPE" {
  sandboxed refused-write
}

@test "sandbox: write() is allowed, send() is not" {
  sandboxed write-only
  tells_ends
}

@test "sandbox: one that was there before the program, and refuses" {
  sandboxed inherited refuses
  tells_ends verified=false
}

@test "sandbox: one that was there before the program, and kills" {
  sandboxed inherited kills
  tells_ends verified=false
}
