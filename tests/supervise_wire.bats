#!/usr/bin/env bats
# bats file_tags=root
# Static programs, which closetrace run supervises: log against wire.

bats_require_minimum_version 1.5.0

setup_file() {
  cd "$BATS_TEST_DIRNAME/.." || return
  local name
  for name in close shutdown references; do
    gcc -std=gnu11 -O1 -static -pthread -Ipreload -include preload/kernel/older_functions.h \
      -o "$BATS_FILE_TMPDIR/$name" "tests/programs/$name.c" 2>"$BATS_FILE_TMPDIR/log" || { cat "$BATS_FILE_TMPDIR/log" && return 1; }
  done
}

load helpers/scene

static_scene() {
  SUPERVISED=1 scene "$BATS_FILE_TMPDIR/$1" "${@:2}"
}

@test "supervised: a static program's FIN, RST and half-close, as they left on the wire" {
  static_scene close last
  assert_event C op=close call=close fd="$(fact C_FD)" ret=0 fin=sent why=last-reference refs=1-0 state_before=ESTABLISHED role=client
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
  assert_event S op=close fin=sent refs=1-0 state_before=CLOSE_WAIT
}

@test "supervised: unread data makes an RST" {
  static_scene close unread
  assert_event C op=close fin=reset why=unread-data refs=1-0
  assert_wire C fin=0 rst=1
}

@test "supervised: a shutdown sends the FIN, the close after it none" {
  static_scene shutdown then-close SHUT_WR
  assert_event C op=shutdown how=SHUT_WR ret=0 fin=sent why=shutdown verified=true state_before=ESTABLISHED
  assert_event C op=close fin=already why=after-shutdown refs=1-0
  assert_wire C fin=1 rst=0
}

@test "supervised: a dup holds the connection, and is named" {
  static_scene references duplicate
  assert_event C op=close fin=withheld why=references refs=2-1 ".holders[0].fd == $(fact DUP)"
  assert_event C op=close fin=sent why=last-reference refs=1-0
  assert_wire C fin=1 rst=0
}

@test "supervised: a thread inside recv() holds the connection" {
  static_scene references blocked-thread recv 1
  assert_event C op=close fin=withheld why=call-in-progress ".holders[0].tid == $(fact TID)"
  assert_wire C fin=1 rst=0
}
