#!/usr/bin/env bats
# Children, however they are made: they and their parent go on as without the library, and the log knows who did what.

load helpers/safety

export OWN_PIDS=1

# children SCENE [JQ]: in the end the parent closes C, and that is told, once and right: as the last reference's close,
# unless it may be told otherwise.
children() {
  local told=${2:-'.fin == "sent" and .refs_before == 1 and .refs_after == 0'}
  same CLOSETRACE_TRACE=open,refs,end,eof safety_children "$1"
  assert_log
  assert_logged 0 '.op == "end" and .lost != 0'
  assert_events 1 C op=close pid="$(fact PID)" verified=true role=client "($told)"
  assert_events 0 C 'fin=reset|none|already'
}

# by_children COUNT WHO CONDITION...: so many events of WHO, all in children.
by_children() {
  local count=$1 who=$2
  shift 2
  assert_events "$count" "$who" ".pid != $(fact PID)" "$@"
}

@test "children: vfork, a hundred times: locals, errno and results" {
  children vfork-plainly
  by_children 100 C op=exit fin=withheld refs=2-1
}

@test "children: vfork, and the child closes what the parent keeps" {
  children vfork-closes
  by_children 50 C op=close fin=withheld refs=2-1
  by_children 50 S op=close fin=withheld refs=2-1
}

@test "children: vfork, an exec that fails and one that does not" {
  children vfork-execs
  by_children 40 C op=exec fin=withheld
  by_children 20 C op=exec ret=-1 errno=ENOENT
}

@test "children: vfork in a vfork" {
  children vfork-nested
  by_children 20 C op=close fin=withheld refs=3-2
}

@test "children: vfork in a vfork, both ended by a signal" {
  # The kernel lets the parent go on before it has closed what the killed child had: then that is what still holds it.
  children vfork-killed '(.fin == "sent" and .refs_after == 0) or .fin == "withheld"'
}

# bats test_tags=root
@test "children: none to be had" {
  children vfork-fails
}

@test "children: vfork in four threads at once" {
  children vfork-threads
  by_children 200 C op=close call=close fin=withheld
}

@test "children: clone, with a memory of its own and with the parent's, which waits" {
  children clone-child
  by_children 20 C op=close fin=withheld refs=2-1
}

@test "children: clone with the parent's memory, and the parent goes on" {
  children clone-in-our-memory
  by_children 20 C op=close fin=withheld refs=2-1
}

@test "children: system calls by number" {
  children clone-by-number
  by_children 20 C op=close fin=withheld refs=2-1
}

@test "children: _Fork in a timer's handler" {
  children handler-forks
  by_children 50 C op=close fin=withheld refs=2-1
}

@test "children: fork while other threads are inside the library" {
  children fork-among-threads
  by_children 60 C op=close fin=withheld refs=2-1
}

@test "children: ended by SIGKILL in the middle of anything" {
  KILLS=1 children killed-anywhere
}

@test "children: posix_spawn with file actions and attributes" {
  same safety_children spawn-with-actions
}

@test "children: system, popen, daemon" {
  children by-libc
}
