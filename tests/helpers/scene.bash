# shellcheck shell=bash
# Scenes: small programs (tests/programs) that end TCP connections, each held against log and wire. It loads the
# other helpers; a .bats file needs this one, and tests that look so:
#
#   @test "..." {
#     scene close unread                                  # build/tests/programs/close unread, traced and captured
#     assert_event C op=close fin=reset why=unread-data   # what the log says (helpers/log.bash)
#     assert_verdicts C reset                             # and that it says nothing else
#     assert_wire C fin=0 rst=1                           # what C's kernel has sent, to the last segment
#   }
#
#   scene PROGRAM SCENE [ARG...]     traces it in $NETNS; returns when it and the captures have ended
#   assert_wire WHO fin=N rst=N      so many FINs and RSTs left the address of WHO

load helpers/netns
load helpers/capture
load helpers/log

setup() {
  netns_create NETNS
  capture_start "$NETNS"
}

teardown() {
  capture_abort
  netns_remove_all
}

scene() {
  trace "$@" || return
  capture_stop || log_fail "the capture is not whole"
}

assert_wire() {
  local who=$1 address fins rsts
  address=$(fact "$who")
  fins=$(capture_count FIN "$address")
  rsts=$(capture_count RST "$address")
  [ "fin=$fins rst=$rsts" = "$2 $3" ] || log_fail "$who ($address) has sent: fin=$fins rst=$rsts; instead of: $2 $3"
}
