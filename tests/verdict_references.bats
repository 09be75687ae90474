#!/usr/bin/env bats
# bats file_tags=root
# What holds a connection beside the descriptor that was closed, and what ends it then: log against wire.

load helpers/scene

# The holders of an event are exactly this one.
held_by() {
  echo ".holders | length == 1 and .[0].pid == $1 and .[0].fd == $2"
}

# The thread that stays inside the call when the last descriptor is closed; then the call's return ends the
# connection. blocked CALL NAMES BYTES: NAMES are the ones that the log may use, BYTES are what S sends.
blocked() {
  scene references blocked-thread "$1" "$3"
  assert_event C op=close fd="$(fact C_FD)" fin=withheld why=call-in-progress verified=true refs=1-0 \
    state_after=ESTABLISHED \
    ".holders | length == 1 and (.[0] | .pid == $(fact PID) and .tid == $(fact TID) and (.call | IN($2)))"
}

@test "references: a dup holds the connection, and its close sends the FIN" {
  scene references duplicate
  assert_event C op=dup call=dup fd="$(fact C_FD)" ret="$(fact DUP)" refs=1-2
  assert_event C op=close fd="$(fact C_FD)" fin=withheld why=references verified=true refs=2-1 \
    state_before=ESTABLISHED state_after=ESTABLISHED "$(held_by "$(fact PID)" "$(fact DUP)")" \
    '.holders[0].comm == "references"'
  assert_event C op=close fd="$(fact DUP)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "references: with a reference left neither unread data nor SO_LINGER matter" {
  scene references duplicate-linger-zero
  assert_event C op=dup call=fcntl ret=100 refs=1-2
  assert_event C op=close fd="$(fact C_FD)" fin=withheld why=references verified=true refs=2-1 unread=5 \
    "$(held_by "$(fact PID)" 100)"
  assert_event C op=close fd=100 fin=reset 'why=linger-zero|unread-data' verified=true refs=1-0 unread=5
  assert_verdicts C 'withheld reset'
  assert_wire C fin=0 rst=1
}

@test "references: a dup that nobody could see holds it all the same" {
  scene references unseen-duplicate
  assert_event C op=close fd="$(fact C_FD)" fin=withheld why=references verified=true refs=2-1 \
    "$(held_by "$(fact PID)" "$(fact DUP)")"
  assert_event C op=close fd="$(fact DUP)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "references: a thread in a call, and a dup that nobody could see: the dup is named" {
  scene references blocked-and-unseen
  assert_event C op=close fd="$(fact C_FD)" fin=withheld why=references verified=true refs=2-1 \
    "$(held_by "$(fact PID)" "$(fact DUP)")"
  assert_event C op=close fd="$(fact DUP)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "references: who was killed inside a call holds nothing" {
  scene references killed-in-call
  assert_event C op=exit pid="$(fact PID)" fin=sent why=last-reference refs=1-0
  assert_wire C fin=1 rst=0
}

@test "references: who polls the number that it had, and that is another's now, does not hold it" {
  trace references polled-again
  assert_event C op=exit pid="$(fact PID)" fd="$(fact C_FD)" fin=sent why=last-reference refs=1-0
}

@test "references: nothing is asked of the kernel where no connection is sent" {
  trace references in-flight-no-tcp
  [ "$(fact SOCKETS)" = 2 ]
}

@test "references: a dup that was closed unseen does not hold it" {
  scene references unseen-close
  assert_event C op=close fd="$(fact C_FD)" fin=sent why=last-reference verified=true refs_after=0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "references: a thread blocked in recv()" {
  blocked recv '"recv", "recvfrom"' 1
  assert_event C op=release fin=sent verified=true
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "references: a thread blocked in recv(), and it leaves data unread" {
  blocked recv '"recv", "recvfrom"' 5
  assert_event C op=release fin=reset why=unread-data
  assert_verdicts C 'withheld reset'
  assert_wire C fin=0 rst=1
}

@test "references: a thread blocked in recv() leaves data unread, and a listener stands where its peer was" {
  scene references blocked-thread-served
  assert_event C op=release fin=reset why=unread-data
  assert_verdicts C 'withheld reset'
  assert_wire C fin=0 rst=1
}

@test "references: of two threads blocked in recv() that are told of a reset one tells of the end" {
  scene references blocked-threads-reset
  assert_event C op=close fin=withheld why=call-in-progress verified=true '(.holders | length == 2)'
  # The other was told of an end of the stream, and may tell first.
  assert_event C op=release '((.fin == "none" and .why == "peer-reset") or .verified != true)'
  assert_wire C fin=0 rst=0
}

@test "references: a thread blocked in read()" {
  blocked read '"read"' 1
  assert_event C op=release fin=sent verified=true
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "references: a thread blocked in recvmsg()" {
  blocked recvmsg '"recvmsg"' 1
  assert_event C op=release fin=sent verified=true
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "references: a thread blocked in poll(): what woke it is unread" {
  blocked poll '"poll", "ppoll"' 5
  assert_event C op=release fin=reset why=unread-data
  assert_verdicts C 'withheld reset'
  assert_wire C fin=0 rst=1
}

@test "references: a thread blocked in select(): what woke it is unread" {
  blocked select '"select", "pselect6"' 1
  assert_event C op=release fin=reset why=unread-data
  assert_verdicts C 'withheld reset'
  assert_wire C fin=0 rst=1
}

@test "references: a thread blocked in send()" {
  scene references blocked-sender
  assert_event C op=close fin=withheld why=call-in-progress verified=true refs=1-0 \
    ".holders | length == 1 and (.[0] | .tid == $(fact TID) and (.call | IN(\"send\", \"sendto\")))"
  assert_event C op=release 'fin=sent|queued'
  assert_verdicts C 'withheld (sent|queued)'
  assert_wire C fin=1 rst=0
}

@test "references: a socket that was never connected is let go of by nobody" {
  scene references number-again
  assert_event C op=close fd="$(fact C_FD)" fin=withheld why=references verified=true refs=2-1
  [ -n "${KERNEL_ONLY-}" ] || [ -z "$(jq -c 'select(.op == "release")' "$LOG")" ] || log_fail "a thread let go of it"
  assert_verdicts C 'withheld withheld sent'
  assert_wire C fin=1 rst=0
}

@test "references: of more than are named one comes over another" {
  scene references duplicate-many
  assert_event C op=close call=dup2 fd="$(fact LAST)" fin=withheld why=references verified=true refs=21-20
  assert_event C op=dup call=dup2 fd="$(fact C_FD)" ret="$(fact LAST)" refs=20-21
  assert_wire C fin=1 rst=0
}

# Of many closes some come when the thread has just been woken, and is at work in its call.
@test "references: a thread inside a call that data wakes all the time" {
  scene references busy-call 60
  [ -n "${KERNEL_ONLY-}" ] ||
    [ "$(jq -c 'select(.why == "call-in-progress" and (.holders | length) == 1)' "$LOG" | wc -l)" = 60 ] ||
    log_fail "not every close has seen the thread"
}

@test "references: a thread in epoll_wait() holds nothing" {
  scene references epoll-waiter
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "references: a copy in flight holds it, and the receiver's close sends the FIN" {
  scene references in-flight-received
  assert_event C op=send_fd call=sendmsg refs=1-2
  assert_event C op=close fd="$(fact C_FD)" fin=withheld why=in-flight verified=true refs=2-1 \
    state_after=ESTABLISHED '(.holders // []) == []'
  assert_event C op=recv_fd call=recvmsg
  assert_event C op=close fd="$(fact COPY)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "references: a copy was received unseen, and another descriptor stands in its queue" {
  scene references in-flight-another
  assert_event C op=close fd="$(fact COPY)" fin=withheld why=references verified=true refs=2-1
  assert_verdicts C 'withheld withheld sent'
  assert_wire C fin=1 rst=0
}

@test "references: a copy in flight, received in another process" {
  scene references in-flight-other-process
  assert_event C op=close fd="$(fact C_FD)" pid="$(fact PID)" fin=withheld why=in-flight verified=true refs=2-1
  assert_event C op=recv_fd pid="$(fact CHILD)"
  assert_event C op=close fd="$(fact COPY)" pid="$(fact CHILD)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "references: a descriptor that came by a raw system call is sent" {
  scene references in-flight-unseen
  assert_event C op=send_fd call=sendmsg fd="$(fact DUP)" refs=2-3
  assert_event C op=close fd="$(fact DUP)" fin=withheld why=references verified=true refs=3-2
  assert_event C op=close fd="$(fact C_FD)" fin=withheld why=in-flight verified=true refs=2-1
  assert_verdicts C 'withheld withheld( sent)?'
  assert_wire C fin=1 rst=0
}

@test "references: a copy in flight, purged with its queue" {
  scene references in-flight-purged
  assert_event C op=close fin=withheld why=in-flight verified=true refs=2-1
  assert_verdicts C 'withheld( sent)?' # the release, where it is seen
  assert_events 0 C fin=sent '.op != "release"'
  assert_wire C fin=1 rst=0
}

@test "references: a copy in flight in a cycle, until the kernel collects it" {
  scene references in-flight-cycle
  assert_event C op=close fin=withheld why=in-flight verified=true refs=2-1
  assert_verdicts C 'withheld( sent)?'
  assert_events 0 C fin=sent '.op != "release"'
  assert_wire C fin=1 rst=0
}

@test "references: a file registered with io_uring holds it, hidden" {
  scene references ring
  assert_event C op=close fin=withheld why=hidden verified=true refs_before=1 state_after=ESTABLISHED \
    '(.holders // []) == []'
  assert_verdicts C 'withheld( sent)?'
  assert_events 0 C fin=sent '.op != "release"'
  assert_wire C fin=1 rst=0
}
