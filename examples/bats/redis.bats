#!/usr/bin/env bats
# How redis-server ends its connections, asserted with closetrace's helpers: README.md beside this file.

bats_require_minimum_version 1.5.0
if [ -n "${CLOSETRACE-}" ]; then
  load ../../cli/closetrace # built, and not installed
else
  bats_load_library closetrace
fi

# ask COMMAND...: sends commands to the server, and shows what it answers until it ends the connection.
ask() {
  # shellcheck disable=SC2016 # the inner shell's variables
  timeout 10 bash -c 'exec 5<>"/dev/tcp/127.0.0.1/$1"; printf "%s\r\n" "${@:2}" >&5; cat <&5' - "$port" "$@"
}

# start_redis [CLOSETRACE-OPTION...]: on a port of this test's own.
start_redis() {
  port=$((20000 + RANDOM % 10000))
  closetrace_start redis --ready-line 'Ready to accept connections' "$@" -- \
    redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$BATS_TEST_TMPDIR"
}

@test "QUIT is answered, and the FIN leaves with the close" {
  start_redis
  run -0 ask PING QUIT
  [[ $output == *PONG*OK* ]]
  wait_for_event op=close lport="$port" role=server fin=sent verified=true
}

@test "a client that hangs up first gets its FIN answered by one, and nothing is wrong" {
  start_redis
  closetrace_run redis-cli -p "$port" ping
  [ "$output" = PONG ]
  assert_fin "127.0.0.1:$port" sent role=client
  wait_for_event --in redis op=close role=server state_before=CLOSE_WAIT fin=sent
  closetrace_stop redis
  assert_no_findings
}

@test "no connection is reset, whatever is asked" {
  start_redis
  run ask 'SET key value' 'GET key' nonsense QUIT
  closetrace_stop redis
  assert_event --in redis fin=sent
  refute_event --in redis fin=reset
}

@test "a FIN that comes late: the client gets the answer at once, and waits for the end" {
  start_redis -e inject=close:as=HOLD:hold=700ms:role=server
  local before=${EPOCHREALTIME/[.,]/}
  run -0 ask QUIT
  [[ $output == *OK* ]]
  [ $((${EPOCHREALTIME/[.,]/} - before)) -ge 700000 ]
  wait_for_event op=close fin=withheld why=parked injected='close:as=HOLD*'
}
