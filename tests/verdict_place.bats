#!/usr/bin/env bats
# bats file_tags=root
# IPv6, IPv4 on IPv6 sockets, and network namespaces: log against wire.

load helpers/scene

# Both ends, one after the other. both_end PLACE
both_end() {
  scene place ends "$1"
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0 remote="$(fact S)" \
    'state_after=FIN_WAIT1|FIN_WAIT2'
  assert_event S op=close fin=sent why=last-reference verified=true refs=1-0 remote="$(fact C)" \
    state_before=CLOSE_WAIT
  assert_verdicts C sent
  assert_verdicts S sent
  assert_wire C fin=1 rst=0
  assert_wire S fin=1 rst=0
}

held() {
  scene place held "$1"
  assert_event C op=close fin=withheld why=references verified=true refs=2-1 state_after=ESTABLISHED \
    ".holders | length == 1 and .[0].fd == $(fact DUP)"
  assert_event C op=close fd="$(fact DUP)" fin=sent why=last-reference verified=true refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

unread() {
  scene place unread "$1"
  assert_event C op=close fin=reset why=unread-data verified=true refs=1-0 unread=5
  assert_verdicts C reset
  assert_wire C fin=0 rst=1
}

@test "IPv6: both ends close" {
  both_end v6
  [[ $(fact C) == "[::1]:"* ]]
}

@test "IPv6: a dup holds it" {
  held v6
}

@test "IPv6: unread data" {
  unread v6
}

@test "IPv4 on an IPv6 socket: both ends close" {
  both_end mapped
  [[ $(fact C) == "127.0.0.1:"* ]]
}

@test "IPv4 on an IPv6 socket: a dup holds it" {
  held mapped
}

@test "IPv4 on an IPv6 socket: unread data" {
  unread mapped
}

@test "IPv4 on an IPv6 listener: both ends close" {
  both_end mapped-server
}

@test "network namespaces: the process has gone to another one" {
  netns_create OTHER
  scene place left-behind "/run/netns/$OTHER"
  assert_event C op=close fin=sent why=last-reference refs=1-0
  assert_verdicts C sent
  assert_wire C fin=1 rst=0
}

@test "network namespaces: the process has gone to another one, and a child holds the connection" {
  netns_create OTHER
  scene place left-behind-held "/run/netns/$OTHER"
  assert_event C op=close pid="$(fact PID)" fin=withheld why=references refs=2-1 \
    ".holders | length == 1 and .[0].pid == $(fact CHILD)"
  assert_event C op=close pid="$(fact CHILD)" fin=sent why=last-reference refs=1-0
  assert_verdicts C 'withheld sent'
  assert_wire C fin=1 rst=0
}

@test "network namespaces: connections in two of them" {
  netns_create OTHER
  capture_start "$OTHER"
  scene place two-namespaces "/run/netns/$OTHER"
  for who in F C N; do
    assert_event "$who" op=close fin=sent why=last-reference refs=1-0
    assert_verdicts "$who" sent
    assert_wire "$who" fin=1 rst=0
  done
  assert_claims_verified F
  assert_claims_verified C
}

names() {
  local number
  scene place names "$1"
  for number in {1..6}; do
    assert_event "S$number" op=accept remote="$(fact "C$number")"
  done
}

@test "names: whatever room accept() is given for the peer's, it is told" {
  names v4
}

@test "names: whatever room accept() is given for the peer's on IPv6, it is told" {
  names v6
}
