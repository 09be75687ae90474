#!/usr/bin/env bats
# closetrace print and grep: what was logged is shown and found; what is damaged is named, and the rest is shown.

# shellcheck disable=SC2154 # bats sets status, output, stderr

bats_require_minimum_version 1.5.0

load helpers/wait

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}
LIB=${LIB:-$BATS_TEST_DIRNAME/../libclosetrace.so}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
}

# A real run, its JSON in $1.json; or, with a second argument, its text.
trace() {
  cat >program.py <<'PYTHON'
import os
import socket

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.sendall(b"abc")
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
client.shutdown(socket.SHUT_WR)
while server.recv(2):
    pass
server.close()
PYTHON
  LD_PRELOAD=$LIB CLOSETRACE_FORMAT=${2-json} CLOSETRACE_TRACE=all CLOSETRACE_OUTPUT=$PWD/$1.json /usr/bin/python3 program.py
}

@test "print: text as the library writes it" {
  trace one
  trace two text
  # Two runs: what differs between them is times, processes, ports, and what comes first in two processes.
  same() { sed -E 's/^[0-9:.]+ +[0-9]+ /TIME PID /; s/127\.0\.0\.1:[0-9]+/PORT/g; s/fork\(\) = [0-9]+/fork() = N/
    s/held by [0-9]+/held by N/; s/, knew better [0-9]+ times?//' | sort; }
  diff <("$CLOSETRACE" print one.json | same) <(same <two.json)
}

@test "print: local time, as TZ says; no colours in a pipe" {
  trace one
  head -n 1 one.json | sed 's/"time":[0-9.]*/"time":1700000000.000001/' >t
  [[ $(TZ=UTC "$CLOSETRACE" print t) == "22:13:20.000001 "* ]]
  [[ $(TZ=CET-1 "$CLOSETRACE" print t) == "23:13:20.000001 "* ]]
  [[ $(TZ=Asia/Kolkata "$CLOSETRACE" print t) == "03:43:20.000001 "* ]]
  [ "$("$CLOSETRACE" print one.json | grep -c $'\e')" = 0 ]
}

@test "print: colours on a terminal, unless NO_COLOR is set" {
  trace one
  script -qec "'$CLOSETRACE' print one.json" out >/dev/null
  grep -q $'\e\\[32mFIN sent' out
  NO_COLOR=1 script -qec "'$CLOSETRACE' print one.json" out >/dev/null
  run ! grep -q $'\e' out
}

@test "print: control characters of a trace never reach the terminal" {
  printf '%s\n' '{"time":1,"pid":1,"tid":1,"comm":"\u001b[2J","op":"close","call":"\u009b2J\u0007","injected":"\u001b]0;x"}' >t
  run "$CLOSETRACE" print t
  [ "$status" = 0 ]
  [[ $output == *'\033[2J'* && $output == *'\302\2332J\007'* ]]
  run ! grep -qP '[\x00-\x08\x0b-\x1f]' <<<"$output"
}

@test "print: a damaged line is named, the rest is shown, exit 1" {
  trace one
  local count
  count=$(wc -l <one.json)
  # The second line is cut off, and the third stands behind it; garbage; the last is cut off.
  { head -n 1 one.json && sed -n 2p one.json | head -c 200 && sed -n '3,$p' one.json && echo garbage &&
    head -c 50 one.json; } >damaged.json
  run --separate-stderr "$CLOSETRACE" print damaged.json
  [ "$status" = 1 ]
  [ "$(wc -l <<<"$output")" = "$((count - 1))" ]
  [ "$(wc -l <<<"$stderr")" = 3 ]
  [[ $stderr == *"closetrace: damaged.json:2: "* ]]
  [[ $stderr == *"closetrace: damaged.json:$count: not JSON, at character 1"* ]]
  [[ $stderr == *"closetrace: damaged.json:$((count + 1)): cut off, at character 51"* ]]
}

@test "print: of many damaged lines five are named and the others counted" {
  trace one
  { cat one.json && seq 20; } >damaged.json
  run --separate-stderr "$CLOSETRACE" print damaged.json
  [ "$status" = 1 ]
  [ "$(wc -l <<<"$stderr")" = 6 ]
  [[ $stderr == *"damaged.json: 15 more such lines" ]]
}

# refused PATTERN COMMAND...: one line, 125.
refused() {
  local pattern=$1
  shift
  run --separate-stderr "$@"
  [ "$status" = 125 ] || { echo "status $status: $stderr" && return 1; }
  [ "$(wc -l <<<"$stderr")" = 1 ] || { echo "not one line: $stderr" && return 1; }
  # shellcheck disable=SC2053 # a pattern
  [[ $stderr == $pattern ]] || { echo "not \"$pattern\": $stderr" && return 1; }
}

@test "what is no trace, or cannot be read: one line, 125" {
  local command
  seq 1000 >numbers
  head -c 1000000 /dev/urandom >binary
  echo '{"a":1}' >other.json
  trace text text
  echo '{"time":1,"op":"start","schema":2,"version":"9.0"}' >newer.json
  for command in print report; do
    refused '*numbers: not a trace (*); line 1: *' "$CLOSETRACE" "$command" numbers
    refused '*binary: not a trace (*' "$CLOSETRACE" "$command" binary
    refused '*other.json: not a trace (*not an event: it has no "op"' "$CLOSETRACE" "$command" other.json
    refused '*text.json: text lines; only JSON lines can be read (CLOSETRACE_FORMAT=json*' "$CLOSETRACE" "$command" text.json
    refused '*newer.json:1: from a newer version of closetrace*' "$CLOSETRACE" "$command" newer.json
    refused '*none: No such file or directory' "$CLOSETRACE" "$command" none
    refused '*: Is a directory' "$CLOSETRACE" "$command" .
    refused "*no such option: \"--hlep\": *did you mean --help?)" "$CLOSETRACE" "$command" --hlep
    refused '*a FILE is missing*' "$CLOSETRACE" "$command"
  done
  chmod 000 newer.json
  chmod 711 . && cp "$CLOSETRACE" command && chmod 755 command
  run setpriv --reuid=65534 --regid=65534 --clear-groups "$PWD/command" print "$PWD/newer.json"
  if [ "$status" != 127 ] && [ "$status" != 126 ]; then
    [ "$status" = 125 ] && [[ $output == *": Permission denied" ]]
  fi
}

@test "an empty file is an empty trace" {
  : >empty
  run "$CLOSETRACE" print empty
  [ "$status" = 0 ] && [ -z "$output" ]
  run "$CLOSETRACE" report empty
  [ "$status" = 0 ] && [[ $output == "0 connections, "* ]]
}

@test "standard input and pipes" {
  trace one
  [ "$("$CLOSETRACE" print - <one.json)" = "$("$CLOSETRACE" print one.json)" ]
  [ "$("$CLOSETRACE" print <(cat one.json))" = "$("$CLOSETRACE" print one.json)" ]
}

has_lines() {
  [ "$(wc -l <"$1")" = "$2" ]
}

@test "print -f: goes on as the file grows, and begins anew when it was truncated" {
  trace one
  head -n 3 one.json >growing
  "$CLOSETRACE" print -f growing >out 2>err &
  local pid=$!
  until_true has_lines out 3
  # Half a line is none yet.
  sed -n 4p one.json | head -c 40 >>growing
  sleep 0.2
  has_lines out 3
  sed -n 4p one.json | tail -c +41 >>growing
  until_true has_lines out 4
  head -n 1 one.json >growing
  until_true has_lines out 5
  kill "$pid"
  wait "$pid" || [ $? = 143 ]
  [ "$(cat err)" = "closetrace: growing: the file has become shorter; reading it from the beginning" ]
}

@test "print -f and grep -f of a pipe end with it" {
  trace one
  [ "$(timeout 20 "$CLOSETRACE" print -f - < <(cat one.json))" = "$("$CLOSETRACE" print one.json)" ]
  timeout 20 "$CLOSETRACE" grep -f <(cat one.json) op=accept -q
}

@test "grep: lines as they are; exit 0, 1 if none, 2 for trouble" {
  trace one
  diff <("$CLOSETRACE" grep one.json op=accept) <(grep '"op":"accept"' one.json)
  diff <("$CLOSETRACE" grep one.json op!=accept) <(grep -v '"op":"accept"' one.json)
  diff <("$CLOSETRACE" grep one.json fin=sent how=SHUT_WR) <(grep '"fin":"sent".*"why":"shutdown"' one.json)
  [ "$("$CLOSETRACE" grep one.json -c refs_before=2+)" = "$(grep -c '"refs_before":[2-9]' one.json)" ]
  "$CLOSETRACE" grep one.json -q op=fork shared=3
  run "$CLOSETRACE" grep one.json fin=reset
  [ "$status" = 1 ] && [ -z "$output" ]
  run "$CLOSETRACE" grep none fin=reset
  [ "$status" = 2 ]
  run "$CLOSETRACE" grep one.json
  [ "$status" = 2 ]
  { cat one.json && echo garbage; } >damaged.json
  run "$CLOSETRACE" grep damaged.json op=accept
  [ "$status" = 2 ]
}

@test "grep: a wrong key or value: one line with the nearest right one" {
  trace one
  local word
  for word in 'finn=sent|no such key: "finn" (did you mean fin?)' 'fin=snet|*(did you mean sent?)' 'pid=x|*number*' \
    'lport=80x|*' 'raddr=host|*not an address*' 'fin|*KEY=VALUE*' '--folow|*--follow*' 'verified=yes|*true or false*'; do
    run "$CLOSETRACE" grep one.json "${word%%|*}"
    [ "$status" = 2 ] || { echo "$word: $status $output" && false; }
    # shellcheck disable=SC2053 # a pattern
    [[ $output == *${word#*|}* ]] || [[ $output == ${word#*|} ]] || { echo "$word: $output" && false; }
    [ "$(wc -l <<<"$output")" = 1 ]
  done
}

@test "grep -f -m 1 waits for an event" {
  trace one
  head -n 2 one.json >growing
  "$CLOSETRACE" grep growing -f -m 1 op=shutdown >out &
  local pid=$!
  sed -n '3,$p' one.json >>growing
  until_true has_lines out 1
  wait "$pid"
}

@test "--help of each" {
  local command
  for command in print grep report; do
    run "$CLOSETRACE" "$command" --help
    [ "$status" = 0 ] && [[ $output == "Usage: closetrace $command "* ]]
  done
}
