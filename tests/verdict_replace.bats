#!/usr/bin/env bats
# bats file_tags=root
# Calls that close a connection without being close(): log against wire.

load helpers/scene

# Three connections swept away by the call given, and one that ends afterwards.
assert_swept() {
  local call=$1
  assert_event C1 op=close "call=$call" fd="$(fact C1_FD)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C1 'withheld sent' # the first is the program's preparation
  assert_event C2 op=close "call=$call" fd="$(fact C2_FD)" fin=reset why=unread-data verified=true refs=1-0 unread=5
  assert_verdicts C2 'withheld reset'
  assert_event AFTER op=close call=close fin=sent why=last-reference verified=true refs=1-0
  assert_wire C1 fin=1 rst=0
  assert_wire C2 fin=0 rst=1
  assert_wire C3 fin=1 rst=0
  assert_wire AFTER fin=1 rst=0
}

# Its two descriptors went in one call: one event for both, or one for each.
assert_both() {
  assert_event C3 op=close "call=$1" fin=sent why=last-reference verified=true refs_after=0
  assert_verdicts C3 'withheld( withheld)? sent'
}

# Its two descriptors went one after the other.
assert_one_by_one() {
  assert_event C3 op=close fd="$(fact C3_FD)" fin=withheld why=references verified=true refs=2-1
  assert_event C3 op=close fd="$(fact DUP)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C3 'withheld withheld sent'
}

@test "dup2: over a connection closes it" {
  scene replace dup2-over
  assert_event C op=close call=dup2 fd="$(fact C_FD)" fin=sent why=last-reference verified=true refs=1-0
  assert_events 0 C op=dup
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "dup3: over a connection with unread data resets it" {
  scene replace dup3-over-unread
  assert_event C op=close call=dup3 fd="$(fact C_FD)" fin=reset why=unread-data verified=true refs=1-0 unread=5
  assert_verdicts C reset
  assert_wire C fin=0 rst=1
}

@test "dup2: one connection over another" {
  scene replace dup2-connection-over
  assert_event C op=close call=dup2 fd="$(fact C_FD)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
  assert_event N op=dup call=dup2 fd="$(fact N_FD)" ret="$(fact C_FD)" refs=1-2
  assert_event N op=close call=close fd="$(fact N_FD)" fin=withheld why=references verified=true refs=2-1 \
    ".holders | length == 1 and .[0].fd == $(fact C_FD)"
  assert_event N op=close call=close fd="$(fact C_FD)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts N 'withheld sent'
  assert_wire N fin=1 rst=0
}

@test "dup2: of a connection over itself closes nothing" {
  scene replace dup2-same
  assert_events 0 C call=dup2 'fin=sent|reset|queued'
  assert_event C op=close call=close fd="$(fact C_FD)" fin=withheld why=references verified=true refs=2-1
  assert_event C op=close call=close fd="$(fact DUP)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C '(withheld )?withheld sent'
  assert_wire C fin=1 rst=0
}

@test "dup2: one that fails has closed nothing" {
  scene replace dup2-fails
  assert_events 0 C call=dup2 '.fin != null'
  assert_event C op=close call=close fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "fclose: writes what is left, and closes" {
  scene replace stream
  assert_event C op=close call=fclose fd="$(fact C_FD)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "freopen: closes" {
  scene replace stream-reopened
  assert_event C op=close call=freopen fd="$(fact C_FD)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "close_range: each socket, and the log goes on" {
  scene replace sweep-range
  assert_swept close_range
  assert_both close_range
}

@test "close_range(3, ~0U, 0): closes, and the log goes on" {
  scene replace sweep-everything
  assert_event C op=close call=close_range fd="$(fact C_FD)" fin=sent why=last-reference refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
  assert_event AFTER op=close call=close fin=sent why=last-reference verified=true refs=1-0
  assert_wire AFTER fin=1 rst=0
}

@test "close_range: CLOSE_RANGE_CLOEXEC closes nothing" {
  scene replace sweep-marks
  assert_event C op=close call=close fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "closefrom: each socket, and the log goes on" {
  scene replace sweep-closefrom
  assert_swept closefrom
  assert_both closefrom
}

@test "sweeps: a loop over the numbers" {
  scene replace sweep-numbers
  assert_swept close
  assert_one_by_one
}

@test "sweeps: a loop over /proc/self/fd" {
  scene replace sweep-directory
  assert_swept close
  assert_one_by_one
}
