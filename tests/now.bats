#!/usr/bin/env bats
# bats file_tags=root
# closetrace now: what stands, who holds it, what is wrong; of programs that nobody traces.

bats_require_minimum_version 1.5.0

load helpers/netns
load helpers/wait

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}

setup() {
  netns_create NETNS
  PATH=$PATH:/usr/sbin:/sbin
}

teardown() {
  local pid
  exec {STDIN}>&- || :
  for pid in $(ip netns pids "$NETNS"); do kill -KILL "$pid" || :; done
  netns_remove_all
}

# stand SCENE...: PORT[NAME] are its ports, PID its process; it ends with the descriptor $STDIN.
stand() {
  local words word
  declare -gA PORT=()
  coproc SCENE { exec ip netns exec "$NETNS" /usr/bin/python3 "$BATS_TEST_DIRNAME/programs/standing.py" "$@" 3>&-; }
  # shellcheck disable=SC2034
  PID=$SCENE_PID STDIN=${SCENE[1]} LINES=${SCENE[0]}
  read -r -t 20 -u "$LINES" -a words
  [ "${words[0]}" = ready ]
  for word in "${words[@]:1}"; do PORT[${word%%=*}]=${word#*=}; done
}

now() {
  ip netns exec "$NETNS" "$CLOSETRACE" now "$@"
}

# objects JQ [ARGUMENT...]: of what stands, those that meet it.
objects() {
  now --format=json "${@:2}" | jq -c "select($1)"
}

# The kernel counts, and nobody waits for luck: all that is in CLOSE_WAIT has been so for ten seconds.
stands_long() {
  [ -z "$(objects '.op == "now" and .state_after == "CLOSE_WAIT" and .in_state < 10.1')" ]
}

wait_long() {
  local _
  for _ in {1..150}; do
    stands_long && return
    sleep 0.1
  done
  return 1
}

finding() { # finding WORD PORT: lines that say it of a connection there
  now | grep -E "^$1 .*:${PORT[$2]}: " || :
}

assert_one() { # assert_one TEXT PATTERN...
  local pattern
  [ "$(wc -l <<<"$1")" = 1 ] || { printf 'not one: %s\n' "$1" && now && return 1; }
  for pattern in "${@:2}"; do
    grep -qE -e "$pattern" <<<"$1" || { printf 'no "%s" in: %s\n' "$pattern" "$1" && return 1; }
  done
}

@test "now: the hang in CLOSE_WAIT is named in one command, with its holder and what to do next; alike ones are one" {
  stand close_wait queue stranger
  wait_long
  assert_one "$(finding 'finding close-wait' leaked)" "waiting for a close by $PID python3 fd [0-9]+;" \
    'has read the end' '2 more like this' "next: gdb -p $PID " 'closetrace run -- .*standing\.py close_wait'
  assert_one "$(finding 'finding close-wait' deaf)" "$PID python3 fd" '5 bytes before the end are unread; a close now would send an RST'
  assert_one "$(finding 'finding close-wait' queue)" 'client gave up' "nobody has accepted .* $PID python3 fd"
  assert_one "$(finding 'finding close-wait' stranger)" 'waiting for a close by [0-9]+ sleep fd [0-9]+;' 'exec left it open'
  assert_one "$(finding 'possible fin-withheld' stranger)" '[0-9]+ sleep fd [0-9]+ holds it' "the server there, $PID python3 fd"
  assert_one "$(finding 'possible port-held' held)" '[0-9]+ sleep fd [0-9]+, which holds it, is not accepting' '1 connection is in its accept queue'
  assert_one "$(finding 'note queue-full' full)" '1 connection is waiting to be accepted'
  [ "$(now | grep -cE '^(finding|possible|note)')" = 7 ]
  now | head -n 2 | tail -n 1 | grep -q '^CLOSE_WAIT'
  # Conditions, and what a script makes of it.
  run -1 now --fail
  run -1 now --fail state=CLOSE_WAIT idle=10s+
  run -0 now --fail state=LISTEN
  run -1 now state=CLOSE_WAIT idle=5000+
  [ "$(objects '.op == "now"' state=CLOSE_WAIT | wc -l)" = 6 ]
  [ "$(objects '.op == "finding" and .finding == "close-wait"' | wc -l)" = 4 ]
  [ "$(objects '.op == "finding" and .possible' | wc -l)" = 2 ]
}

@test "now: a relay that has passed a half-close on, and waits, does right" {
  stand relay
  wait_long
  run -0 now
  [ "$(grep -c '^CLOSE_WAIT' <<<"$output")" = 2 ]
  # The backend is the one that everybody waits for.
  [ "$(grep -cE '^(finding|possible|note)' <<<"$output")" = 1 ]
  assert_one "$(finding 'finding close-wait' back)"
}

@test "now: what a close would do; who holds it: descriptors, a thread inside a call, a copy in flight" {
  stand shared
  run -0 now "127.0.0.1:${PORT[unread]}"
  grep -qE "^ESTABLISHED .* 312 +0 +$PID python3 fd [0-9]+ +RST: 312 bytes unread " <<<"$output"
  [ "$(objects '.would == "reset" and .unread == 312' role=server "lport=${PORT[unread]}" | wc -l)" = 1 ]
  run -0 now "127.0.0.1:${PORT[two]}" role=server
  grep -qE "nothing: [0-9]+ python3 fd [0-9]+ holds it too" <<<"$output"
  [ "$(objects ".refs_before == 2 and (.holders | length) == 2 and .pid == $PID" role=server "lport=${PORT[two]}" | wc -l)" = 1 ]
  objects '.role == "server"' "lport=${PORT[thread]}" | jq -e '.holders[0] | .call == "recvfrom" and has("tid") and (has("fd") | not)'
  run -0 now role=server "lport=${PORT[thread]}"
  grep -qE "thread [0-9]+ of $PID python3, in recvfrom" <<<"$output"
}

@test "now: a copy in flight; of two that nobody has a descriptor of, no thread is named for the wrong one" {
  stand flight
  run -0 now role=server "lport=${PORT[flight]}"
  grep -q ' no file descriptor: a copy in flight in a unix socket? ' <<<"$output"
  exec {STDIN}>&-
  stand flight shared
  [ -z "$(objects '.role == "server" and .holders[0].tid' "lport=${PORT[flight]}")" ]
}

@test "now: a process and its descendants, an address, a row a connection, an object a socket" {
  stand shared
  run -0 now "$PID"
  [ "$(grep -c '^ESTABLISHED' <<<"$output")" = 3 ]
  [ "$(grep -c '^LISTEN' <<<"$output")" = 3 ]
  [ "$(objects '.state_after == "ESTABLISHED"' | wc -l)" = 6 ]
  run -0 now "127.0.0.1:${PORT[two]}"
  grep -qE "^ESTABLISHED .* 127\.0\.0\.1:[0-9]+ -> 127\.0\.0\.1:${PORT[two]}  ESTABLISHED, $PID python3 fd [0-9]+, [0-9]+ python3 fd" <<<"$output"
  local child
  child=$(pgrep -P "$PID" | head -n 1)
  [ "$(objects '.role == "client" and .state_after == "ESTABLISHED"' "$child" | wc -l)" = 1 ]
  run -0 now comm=python3 "fd=$(objects '.state_after == "LISTEN"' | jq -s '.[0].fd')"
  run -1 now comm=nginx
  run -125 now 4194304
  [[ $output == *'there is no process 4194304' ]]
  run -125 now nonsense
  [[ $output == *'nonsense: expected a process id, ADDRESS:PORT or KEY=VALUE' ]]
}

@test "now: of what nobody holds, what it owes and when the kernel tries again" {
  stand orphan
  run -0 now "lport=${PORT[orphan]}" state=FIN_WAIT1
  grep -qE '^FIN_WAIT1 .* nobody +\(owes [0-9]{6}, next try in [0-9.]+ s, [0-9]+ failed\)' <<<"$output"
  objects '.op == "now"' state=FIN_WAIT1 | jq -e '.unsent > 500000 and .unsent + .unacked < 1000000 and .expires > 0 and .refs_before == 0'
}

@test "now -f: what comes, what changes, what goes and how; an interrupt ends it with a count" {
  stand changes
  local said=$BATS_TEST_TMPDIR/said
  ip netns exec "$NETNS" "$CLOSETRACE" now -f=0.05s "lport=${PORT[changes]}" >"$said" 2>&1 3>&- &
  local follower=$!
  until_true grep -q LISTEN "$said"
  echo >&"$STDIN"
  until_true grep -qE '^[0-9:]{8} new  ESTABLISHED' "$said"
  echo >&"$STDIN"
  until_true grep -q ' now  ESTABLISHED -> CLOSE_WAIT' "$said"
  echo >&"$STDIN"
  until_true grep -q ' gone in order; was CLOSE_WAIT' "$said"
  until_true grep -qE ' new  ESTABLISHED .*RST: 2 bytes unread' "$said"
  echo >&"$STDIN"
  until_true grep -q ' gone by RST: 2 unread, 0 never acknowledged; was ESTABLISHED' "$said"
  kill -INT "$follower"
  wait "$follower"
  grep -q '2 appeared, 2 ended, 1 of them by an RST' "$said"
}

@test "now: another user sees his own, and is told of how many he does not see" {
  stand close_wait
  chmod 711 "$BATS_TEST_TMPDIR"
  install -m 755 "$CLOSETRACE" "$BATS_TEST_TMPDIR/closetrace"
  # shellcheck disable=SC2016
  run -0 ip netns exec "$NETNS" setpriv --reuid=65534 --regid=65534 --clear-groups "$BATS_TEST_TMPDIR/closetrace" now
  grep -q '^CLOSE_WAIT .* ? (uid 0) ' <<<"$output"
  grep -qE 'closetrace now: [0-9]+ processes could not be inspected' <<<"$output"
}

@test "now: another container's network, from outside" {
  stand close_wait
  run -0 "$CLOSETRACE" now --netns="$PID" "lport=${PORT[leaked]}" state=CLOSE_WAIT
  grep -q "$PID python3 fd" <<<"$output"
  run -125 "$CLOSETRACE" now --netns=x
  # A process is looked at where it is.
  run -0 "$CLOSETRACE" now "$PID" state=CLOSE_WAIT
  grep -q "$PID python3 fd" <<<"$output"
  run -125 "$CLOSETRACE" now "$PID" "$$"
  [[ $output == *'in different network namespaces'* ]]
}

@test "now: the search names nobody for the descriptors that it opens itself; two of them do not name each other" {
  stand close_wait
  ip netns exec "$NETNS" "$CLOSETRACE" now -f=0.01s >"$BATS_TEST_TMPDIR/said" 3>&- &
  local other=$!
  for _ in {1..20}; do
    [ -z "$(objects '[.holders[]?.comm] | index("closetrace")')" ]
  done
  kill -INT "$other"
  wait "$other" || :
}
