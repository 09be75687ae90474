#!/usr/bin/env bats
# bats file_tags=root
# Copies of a descriptor in a unix socket's queue that nobody will receive: what goes with them, and who says so.

load helpers/scene

# play SCENE [ARG...]: without the wire; as often as one likes.
play() {
  rm -f "$LOG"
  trace purge "$@"
}

@test "purge: a process ends with the queue in which a copy waits: the FIN is its end's" {
  local how
  for how in '_exit' 'exit' '_exit dgram'; do
    # shellcheck disable=SC2086
    play own-queue $how
    assert_event C op=exit fin=sent why=last-reference refs=2-0
    assert_verdicts C sent
  done
  play own-queue exec
  assert_event C op=exec fin=sent why=last-reference refs=2-0
  scene purge own-queue _exit
  assert_wire C fin=1 rst=0
}

@test "purge: the only reference is the copy in a queue that ends with the process" {
  local how
  for how in _exit exit; do
    play only-queue $how
    assert_event C op=close fin=withheld why=in-flight
    assert_event C op=release call=$how fin=sent why=last-reference refs=1-0 verified=false
    assert_verdicts C 'withheld sent'
  done
}

@test "purge: a queue that somebody else holds too does not go" {
  scene purge childs-queue
  assert_event C op=exit pid="$(fact PID)" fin=withheld why=in-flight refs=2-1
}

@test "purge: the queue's socket is closed: the FIN leaves, and that close says so" {
  local how
  for how in 'close' 'close dgram' 'dup2' 'syscall'; do
    # shellcheck disable=SC2086
    play close-queue $how
    assert_event C op=close fin=withheld why=in-flight
    assert_event C op=release call="${how% *}" fin=sent why=last-reference verified=true refs=1-0 state_before=ESTABLISHED
    assert_verdicts C 'withheld sent'
  done
  play close-queue close_range
  assert_event C op=release call=syscall fin=sent why=last-reference verified=true refs=1-0
  play close-queue closefrom
  assert_event C op=release call=close_range fin=sent why=last-reference verified=true refs=1-0
  play close-queue sender
  assert_events 0 C op=release
  assert_verdicts C 'withheld sent'
}

@test "purge: a dup of the queue's socket keeps it; two copies go at once; C is open beside it" {
  play close-queue-held
  assert_event C op=release call=close fin=sent why=last-reference verified=true refs=2-0
  assert_verdicts C 'withheld sent'
  play close-queue-open
  assert_event C op=release call=close fin=withheld why=references verified=true refs=2-1 ".holders[0].fd == $(fact C_FD)"
  assert_event C op=close fin=sent refs=1-0
}

@test "purge: what is received without room for them drops the copies" {
  local how
  for how in recvmsg recv read; do
    play no-room $how
    assert_event C op=release call=$how fin=sent why=last-reference verified=true refs=1-0
    assert_verdicts C 'withheld sent'
  done
  play no-room one
  assert_event C op=release call=recvmsg fin=withheld why=references refs=3-"$(fact CAME)"
}

@test "purge: what a stranger has received is not told as dropped later" {
  play stranger none
  assert_events 0 C op=release
  play stranger more
  assert_events 0 C op=release
  assert_events 0 S op=release
}

@test "purge: unread data makes it an RST" {
  scene purge unread
  assert_event C op=release fin=reset why=unread-data verified=true refs=1-0 unread=5
  assert_wire C fin=0 rst=1
}

@test "purge: what is received beside what is dropped is one copy less, and no other" {
  play no-room-beside
  assert_event C op=recv_fd ret="$(fact CAME)" refs=3-3 .refs_partial==null
  assert_event C op=close fd="$(fact CAME)" refs=3-2 .refs_partial==null
}

@test "purge: whether its linger time was 0 nobody could see: not verified" {
  scene purge lingers
  assert_event C op=release call=close verified=false refs=1-0
  assert_wire C fin=0 rst=1
}

@test "purge: what the kernel's collector ends is nobody's call: nothing is said of it" {
  scene purge collected
  assert_verdicts C withheld
  assert_wire C fin=1 rst=0
}
