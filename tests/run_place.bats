#!/usr/bin/env bats
# closetrace run where it is narrow: closed standard descriptors, small limits, as process 1. And what it says, which is
# made of names and rules that come from anybody.

# shellcheck disable=SC2016,SC2154 # what stands in single quotes is for the shells that are traced; bats sets stderr

bats_require_minimum_version 1.5.0

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  cat >tcp.py <<'PYTHON'
import socket, sys
for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    client.close()
    server.close()
    listener.close()
PYTHON
}

teardown() { rm -rf "${place-}"; }

all_json() { jq -e -n '[inputs | type == "object"] | all' "$1"; }

@test "closed: nothing of the command's own gets the numbers 0, 1 and 2" {
  for closed in '0<&-' '1>&-' '2>&-' '1>&- 2>&-' '0<&- 1>&- 2>&-'; do
    bash -c '"$1" run bash -c "/usr/bin/python3 tcp.py; readlink /proc/\$PPID/fd/{0,1,2} >seen; ls /proc/\$\$/fd >its" '"$closed" - "$CLOSETRACE"
    [ "$(wc -l <seen)" = 3 ]
    run ! grep -E 'memfd|anon_inode|socket' seen
    bash -c "bash -c 'ls /proc/\$\$/fd >bare' $closed"
    diff its bare
  done
}

@test "closed: the trace is no standard error" {
  bash -c '"$1" run -o trace.json /usr/bin/python3 tcp.py 2>&-' - "$CLOSETRACE"
  all_json trace.json
  [ "$(grep -c '"op":"close"' trace.json)" = 3 ]
}

@test "limits: what does not fit into a file that may not grow is lost and counted, whole lines stay" {
  run -0 --separate-stderr bash -c 'ulimit -f 2; exec "$1" run -o trace.json /usr/bin/python3 tcp.py 40' - "$CLOSETRACE"
  all_json trace.json
  [[ $stderr == *'cannot write the trace: File too large'* ]]
  lost=$(sed -n 's/^closetrace: \([0-9]*\) events were lost: the trace could not be written/\1/p' <<<"$stderr")
  "$CLOSETRACE" run -o whole.json /usr/bin/python3 tcp.py 40
  [ $((lost + $(wc -l <trace.json))) = "$(wc -l <whole.json)" ]
  # A full disk is no other.
  run -0 --separate-stderr "$CLOSETRACE" run -o /dev/full /usr/bin/python3 tcp.py
  [[ $stderr == *'cannot write the trace: No space left on device'*'events were lost'* ]]
}

@test "limits: the program has those that the command was given" {
  run -0 --separate-stderr bash -c 'ulimit -f 7; ulimit -Sn 77; trap "" PIPE; exec "$1" run bash -c "ulimit -f; ulimit -n; grep -E ^Sig[BI] /proc/\$\$/status"' - "$CLOSETRACE"
  [ "$output" = "$(bash -c 'ulimit -f 7; ulimit -Sn 77; trap "" PIPE; exec bash -c "ulimit -f; ulimit -n; grep -E ^Sig[BI] /proc/\$\$/status"')" ]
}

# bats test_tags=root
@test "process 1: a program that has changed its user is in the trace" {
  # Where every user can read it, wherever this checkout is.
  place=$(mktemp -d /tmp/closetrace-place.XXXXXX)
  chmod 755 "$place"
  install -m 755 "$CLOSETRACE" "${LIB:-$BATS_TEST_DIRNAME/../libclosetrace.so}" "$place"
  run -0 unshare --pid --fork --kill-child --mount-proc "$place/closetrace" run -o trace.json -- \
    sh -c 'exec setpriv --reuid=65534 --regid=65534 --clear-groups /usr/bin/python3 - <tcp.py'
  [ "$(grep -c '"op":"close"' trace.json)" = 3 ]
}

@test "words: control characters in names, rules and paths are shown, not sent" {
  cp /usr/bin/true $'\e[2Jtrue'
  run -0 --separate-stderr "$CLOSETRACE" run -e $'inject=close:as=RST:comm=a\e[2Jb' env -i $'./\e[2Jtrue'
  [[ $stderr == *'\033[2Jtrue (process '*') ran without the library'* ]]
  [[ $stderr == *'never fired (it matched 0 times): close:as=RST:comm=a\033[2Jb'* ]]
  [[ $stderr != *$'\e'* ]]
  for words in 'run -e trace=\e' 'run --x\e' 'run -e \e=1' 'run ./\e' 'run -o /\e/\e true' 'run --messages=/\e/\e true' \
    'print \e' 'print -\e' 'grep \e a=b' 'grep x \e=1' 'report \e' 'report --\e' '\e' '--list \e' 'run -e inject=@\e true'; do
    # shellcheck disable=SC2046 # words
    stderr=$("$CLOSETRACE" $(printf '%b' "$words") 2>&1 >/dev/null </dev/null) || :
    [ -n "$stderr" ]
    [[ $stderr != *$'\e'* ]]
  done
}

@test "rules: one that never fired is named where there was no TCP; a file with a NUL is refused" {
  for output in '' '-otrace.json'; do
    # shellcheck disable=SC2086 # no word where it is empty
    run -0 --separate-stderr "$CLOSETRACE" run $output -e inject=close:as=RST true
    [ "$stderr" = 'closetrace: no TCP socket was seen
closetrace: this rule never fired (it matched 0 times): close:as=RST' ]
  done
  run -0 --separate-stderr "$CLOSETRACE" run -e trace=none /usr/bin/python3 tcp.py
  [ "$stderr" = 'closetrace: no TCP socket was seen that meets trace= and only=' ]
  run -0 --separate-stderr "$CLOSETRACE" run -o trace.json -e inject=$'close:as=RST:comm=\xff*;close:delay_exit=1us:comm!=\xff' /usr/bin/python3 tcp.py
  [ "$(grep -c 'never fired' <<<"$stderr")" = 1 ]
  printf '# fine\nclose:as=RST\0:when=1\n' >rules
  run -125 "$CLOSETRACE" run -e inject=@rules touch was-started
  [[ $output == 'closetrace: CLOSETRACE_INJECT: rules:2: a NUL'* ]]
  [ ! -e was-started ]
}

@test "reach: the loader, with the program as its argument" {
  run -0 "$CLOSETRACE" run -o trace.json "$(readelf -lW /bin/true | sed -n 's/.*interpreter: \(.*\)].*/\1/p')" /usr/bin/python3 tcp.py
  [ "$(grep -c '"op":"close"' trace.json)" = 3 ]
}

@test "library: why it cannot be had is said" {
  mkdir bin
  cp "$CLOSETRACE" bin/closetrace
  run -125 bin/closetrace run touch ran
  [ "$output" = "closetrace run: cannot find libclosetrace.so: it belongs beside the command (in $PWD/bin), or in ../lib" ]
  ln -s loop bin/loop && ln -s loop bin/libclosetrace.so
  run -125 bin/closetrace run touch ran
  [ "$output" = "closetrace run: $PWD/bin/libclosetrace.so: Too many levels of symbolic links" ]
  [ ! -e ran ]
}

# bats test_tags=root
@test "library: one that may not be read is named; so is /proc where it is missing" {
  chmod 711 . && mkdir bin && cp "$CLOSETRACE" bin/closetrace && chmod 755 bin bin/closetrace
  install -m 600 /dev/null bin/libclosetrace.so
  run -125 setpriv --reuid=65534 --regid=65534 --clear-groups "$PWD/bin/closetrace" run true
  [ "$output" = "closetrace run: $PWD/bin/libclosetrace.so: Permission denied" ]
  run -125 unshare --mount sh -c 'mount -t tmpfs none /proc && exec "$0" run touch ran' "$CLOSETRACE"
  [[ $output == "closetrace run: /proc/self/exe: No such file or directory: "*libclosetrace.so* ]]
  [ ! -e ran ]
}
