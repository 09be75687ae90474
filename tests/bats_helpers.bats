#!/usr/bin/env bats
# closetrace.bash, as its users have it: small suites that load it are run by a bats of their own, and what that says
# is looked at. The program that they trace is one of python3's.

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
export CLOSETRACE=${CLOSETRACE:-$ROOT/closetrace}
export ROOT PORT OUTSIDE

setup() {
  OUTSIDE=$BATS_TEST_TMPDIR
}

# run_bats FILE [VARIABLE=VALUE...]: by a bats that nothing of this one's reaches: its variables, its own programs in PATH.
run_bats() {
  local file=$1 name clean=()
  shift
  while read -r name; do
    clean+=(-u "$name")
  done < <(compgen -v BATS_)
  run timeout 100 env "${clean[@]}" "$@" "PATH=${PATH//"$BATS_LIBEXEC:"/}" bats --tap "$file" 3>&- 4>&-
}

# suite < TESTS: runs them (%test for @test, which this file's own bats would take for its own); $output is bats' TAP.
suite() {
  PORT=$((20000 + RANDOM % 10000))
  {
    cat <<'END'
bats_require_minimum_version 1.5.0
load "$ROOT/cli/closetrace"
serve() { closetrace_start web --ready-port "$PORT" "$@" python3 -m http.server --bind 127.0.0.1 "$PORT"; }
ask() { closetrace_run "$@" python3 -c "if True:
    import socket
    with socket.create_connection(('127.0.0.1', $PORT)) as s:
      s.sendall(b'GET /nosuch HTTP/1.0\r\n\r\n')
      while s.recv(65536):
        pass
    print('asked')"; }
END
    cat
  } | sed 's/^%test/@test/' >"$BATS_TEST_TMPDIR/suite.bats"
  run_bats "$BATS_TEST_TMPDIR/suite.bats"
  echo "$output"
}

passed() {
  [ "$status" = 0 ] && [[ $output != *'not ok'* ]]
}

# said REGEX: a line of the output matches.
said() {
  grep -qE -- "$1" <<<"$output"
}

@test "bats: a server is started, asked and stopped; what happened is asserted" {
  suite <<'END'
%test "all" {
  serve
  ask -0
  [ "$output" = asked ]
  [ ${#lines[@]} = 1 ]
  wait_for_event --in web op=close role=server
  assert_fin "127.0.0.1:$PORT" sent role=server
  assert_fin --in "$closetrace_trace" "127.0.0.1:$PORT" sent role=client
  closetrace_stop web INT
  [ "$closetrace_status" = 0 ]
  [[ $(closetrace_output web) == *'GET /nosuch HTTP/1.0" 404'* ]]
  assert_event --in web op=shutdown how=SHUT_WR fin=sent lport="$PORT"
  refute_event --in web role=client
  refute_event fin=withheld
  assert_no_findings
  ! closetrace_listens "$PORT"
  [ "$(grep -c . "$(closetrace_trace_of web)")" -gt 2 ]
}
END
  passed
}

@test "bats: a run's status, output, standard error and lines are the program's alone" {
  suite <<'END'
%test "all" {
  closetrace_run sh -c 'echo out; echo; echo err >&2; exit 7'
  [ "$status" = 7 ]
  [ "$output" = $'out\n\nerr' ]
  [ ${#lines[@]} = 2 ]
  closetrace_run -3 --separate-stderr sh -c 'echo out; echo err >&2; exit 3'
  [ "$output" = out ]
  [ "$stderr" = err ]
  closetrace_run ! false
  closetrace_run -127 nosuchprogram
  [ "$output" = "" ]
  closetrace_run -0 -E MINE=yes -- sh -c 'echo "$MINE"; ls /proc/self/fd >&2'
  [ "${lines[0]}" = yes ]
  run ! closetrace_run -1 true
}
%test "the connection of a run that was refused is in the trace, the summary is nowhere" {
  closetrace_run python3 -c "import socket; socket.socket().connect_ex(('127.0.0.1', $PORT))"
  [ "$output" = "" ]
  assert_event op=connect ret=-1 errno=ECONNREFUSED
}
END
  passed
}

@test "bats: a failing assertion shows the events that came nearest, and what they did not meet" {
  suite <<'END'
%test "fails" {
  serve
  ask
  wait_for_event --in web op=close role=server
  assert_event --in web op=close rport=1..65535 role=server fin=withheld
}
END
  [[ $status = 1 && $output == *'not ok 1 '* ]]
  said '^# -- no event meets all of: op=close rport=1\.\.65535 role=server fin=withheld --'
  said '^# -- nearest: 3 of 4 conditions --'
  said '^# [0-9:.]+ +[0-9]+ python3  close\(.* FIN (already|sent)'
  [[ $output != *$'\n# {'* ]]
  said '^#   not fin=withheld: fin is (already|sent)'
  said '^# -- trace: .*-web\.trace \([0-9]+ lines\)'
}

@test "bats: refute_event, assert_fin, wait_for_event and assert_no_findings fail too, and say why" {
  suite <<'END'
setup_file() { serve; }
teardown_file() { closetrace_stop web INT; }
%test "wait" {
  wait_for_event --timeout 0 op=accept
}
%test "refute" {
  ask
  refute_event role=client fin=sent
}
%test "fin" {
  ask
  assert_fin "127.0.0.1:$PORT" reset
}
%test "findings" {
  closetrace_run python3 -c "import os, socket
s = socket.create_server(('127.0.0.1', 0))
c = socket.create_connection(s.getsockname())
fd = c.detach()
os.close(fd)
try: os.close(fd)
except OSError: pass"
  assert_event op=close ret=-1 errno=EBADF
  assert_no_findings --only=double-close --ignore=double-close:comm=python*
  assert_no_findings --only=close-wait
  assert_no_findings --ignore close-wait
}
END
  [ "$(grep -c '^not ok' <<<"$output")" = 4 ]
  said '^# -- within 0 s --'
  said 'no event meets any of the conditions'
  said '^# -- these events meet all of: role=client fin=sent --'
  said '^# [0-9:.]+ +[0-9]+ [a-z0-9]+  close\(.*FIN sent'
  [[ $output != *$'\n# {'* ]]
  said '^#   not fin=reset: fin is '
  said '`assert_no_findings'
  said '^# finding.*double-close'
}

@test "bats: what cannot be understood fails, and is no silent mismatch" {
  suite <<'END'
%test "all" {
  run ! assert_event op=close
  [[ $output == *'nothing was traced'* ]]
  closetrace_run python3 -c "import socket; socket.socket().connect_ex(('127.0.0.1', $PORT))"
  for assertion in assert_event refute_event wait_for_event; do
    run ! "$assertion" locl=127.0.0.1:80
    [[ $output == *"$assertion: no such key: \"locl\" (did you mean local?)"* ]]
    run ! "$assertion" fin=snt
    [[ $output == *'did you mean sent?'* ]]
    run ! "$assertion"
    [[ $output == *KEY=VALUE* ]]
    run ! "$assertion" -f fin=sent
    [[ $output == *"there is no option -f"* ]]
    run ! "$assertion" --in nosuch fin=sent
    [[ $output == *"--in nosuch: neither a server nor a file"* ]]
  done
  run ! assert_fin sent
  [[ $output == *'assert_fin 127.0.0.1:8080 sent'* ]]
  run ! assert_fin 127.0.0.1:80 gone
  [[ $output == *'no such value'* ]]
  run ! assert_no_findings fin=sent
  run ! assert_no_findings --ignore
  [[ $output == *'--ignore: a value is missing'* ]]
  run ! assert_no_findings --ignore=nosuch
  [[ $output == *'no finding is called nosuch'* ]]
  run ! wait_for_event --timeout soon fin=sent
  run ! wait_for_event fin=sent --timeout
  [[ $output == *'--timeout: a value is missing'* ]]
  run ! closetrace_start
  run ! closetrace_start web --ready-port x true
  run ! closetrace_start web --redy x true
  [[ $output == *'no option --redy'* ]]
  run ! closetrace_stop
  run ! closetrace_stop nobody
  [[ $output == *'there is no server nobody'* ]]
  run ! closetrace_run -o elsewhere true
  [[ $output == *'-o: the helpers decide where traces go'* ]]
  echo '{"time":1' >>"$closetrace_trace"
  run ! refute_event fin=reset
  [[ $output == *'it proves nothing'* ]]
}
%test "usage" {
  closetrace_run -125 -e foo=1 true
}
END
  [[ $output == *$'\nok 1 '* ]]
  [[ $output == *'not ok 2 usage'* ]]
  [[ $output == *'there is no such expression'* ]]
}

@test "bats: a server that ends, is not ready in time, or does not stop is told of with what it wrote, and is killed" {
  suite <<'END'
%test "ends" {
  run ! closetrace_start web --ready-line ready sh -c 'echo no config; exit 3'
  [[ $output == *'web ended before it was ready, with status 3'*'it wrote: no config'* ]]
}
%test "late" {
  run ! closetrace_start web --timeout 1 --ready 'false' sh -c 'echo $$ >pid; echo starting; exec sleep 100'
  [[ $output == *'web was not ready after 1 s'*'it wrote: starting'* ]]
  closetrace_until 5 eval '! kill -0 "$(<pid)" 2>/dev/null'
}
%test "stubborn" {
  closetrace_start web --ready-line begun sh -c 'trap "" TERM; echo $$ >pid; echo begun; while :; do sleep 0.1; done'
  run ! closetrace_stop web --timeout 1
  [[ $output == *'web was still running 1 s after SIGTERM'* ]]
  ! kill -0 "$(<pid)" 2>/dev/null
}
%test "taken" {
  serve
  run ! closetrace_start other --ready-port "$PORT" sleep 100
  [[ $output == *"something is already listening on port $PORT"* ]]
}
setup() { cd "$BATS_TEST_TMPDIR"; }
END
  passed
}

@test "bats: a server that the test forgot holds nobody, and goes with the test" {
  suite <<'END'
%test "forgets" {
  closetrace_start nap --ready '[ -s pid ]' sh -c 'echo $$ >pid; (setsid sleep 300; :) & exec sleep 300'
  cp pid "$OUTSIDE"
  false
}
setup() { cd "$BATS_TEST_TMPDIR"; }
END
  [[ $status = 1 && $output == *'not ok 1 '* ]]
  for _ in {1..100}; do
    kill -0 "$(<"$BATS_TEST_TMPDIR/pid")" 2>/dev/null || break
    sleep 0.1
  done
  run ! kill -0 "$(<"$BATS_TEST_TMPDIR/pid")"
}

@test "bats: a server of setup_file serves all tests; one name can be used again; a daemon is stopped too" {
  suite <<'END'
setup_file() { serve; }
teardown_file() { closetrace_stop web INT; [ "$closetrace_status" = 0 ]; }
%test "one" {
  ask
  wait_for_event --in web op=close role=server
}
%test "two" {
  ask
  assert_fin "127.0.0.1:$PORT" sent role=client
  assert_event --in web op=accept
}
%test "again" {
  cd "$BATS_TEST_TMPDIR"
  closetrace_start nap sleep 300
  closetrace_stop nap
  [ "$closetrace_status" = 143 ]
  closetrace_start nap --ready '[ -s pid ]' sh -c 'setsid sh -c "echo \$\$ >pid; exec sleep 300" & exit 5'
  closetrace_stop nap
  [ "$closetrace_status" = 5 ]
  [ "$(find "$BATS_TEST_TMPDIR" -name '*-nap.trace' | wc -l)" = 2 ]
}
END
  passed
}

@test "bats: fault rules reach the program; one that did not fire is named where an assertion fails" {
  suite <<'END'
setup_file() { serve; }
teardown_file() { closetrace_stop web INT; }
%test "fires" {
  ask -e inject=close:as=RST
  assert_fin "127.0.0.1:$PORT" reset role=client injected='close:as=RST'
}
%test "does not fire" {
  ask -e inject=close:as=RST:rport=1
  assert_event injected='*'
}
END
  [[ $output == *$'\nok 1 '* && $output == *$'\nnot ok 2 '* ]]
  said '^#    closetrace: this rule never fired .*close:as=RST:rport=1'
}

@test "bats: with bats-assert, and installed: bats_load_library closetrace" {
  make -s -C "$ROOT" install DESTDIR="$BATS_TEST_TMPDIR/stage" PREFIX=/usr \
    LIB="${LIB:-libclosetrace.so}" COMMAND="$CLOSETRACE" >"$BATS_TEST_TMPDIR/log" 2>&1 || { cat "$BATS_TEST_TMPDIR/log" && return 1; }
  sed 's/^%test/@test/' >"$BATS_TEST_TMPDIR/installed.bats" <<'END'
bats_load_library bats-support
bats_load_library bats-assert
bats_load_library closetrace
%test "both" {
  closetrace_run echo hello
  assert_success
  assert_output hello
  refute_event op=close
  run assert_event op=close
  assert_failure
  assert_line --partial 'no event meets any'
}
END
  run_bats "$BATS_TEST_TMPDIR/installed.bats" -u CLOSETRACE \
    BATS_LIB_PATH="/usr/lib/bats:$BATS_TEST_TMPDIR/stage/usr/lib/bats"
  passed
  [[ $output == *'ok 1 both'* ]]
  # Neither has a function that the other has.
  run -0 comm -12 <(grep -ohE '^[a-z_]+\(\)' "$ROOT/cli/closetrace.bash" | sort -u) \
    <(grep -rohE '^[a-z_]+\(\)' /usr/lib/bats/bats-assert /usr/lib/bats/bats-support /usr/lib/bats-core | sort -u)
  [ "$output" = "" ]
}

@test "bats: the example suite for redis-server passes" {
  run_bats "$ROOT/examples/bats/redis.bats"
  passed
  [[ $output == *'1..4'* ]]
}

@test "bats: run --messages: closetrace's words in the file, the program's on standard error; a file that cannot be is refused" {
  local connect='import socket, sys
s = socket.create_server(("127.0.0.1", 0)); c = socket.create_connection(s.getsockname()); s.accept()[0].close(); c.close()
sys.stderr.write("mine")'
  cd "$BATS_TEST_TMPDIR"
  run -0 --separate-stderr "$CLOSETRACE" run -o trace --messages=messages python3 -c "$connect"
  # shellcheck disable=SC2154 # bats' run sets it
  [ "$output$stderr" = mine ]
  grep -q '^closetrace: 1 connection,' messages
  run -0 --separate-stderr "$CLOSETRACE" run --messages messages python3 -c "$connect"
  [ "$stderr" = mine ]
  grep -q 'connect(' messages
  run -125 "$CLOSETRACE" run --messages=/nowhere/file touch ran
  [[ $output == 'closetrace run: --messages /nowhere/file: No such file or directory' ]]
  [ ! -e ran ]
}
