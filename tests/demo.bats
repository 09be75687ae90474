#!/usr/bin/env bats
# `make demo`: what a newcomer runs first.

bats_require_minimum_version 1.5.0

setup() {
  cd "$BATS_TEST_DIRNAME/.." || return
  export TMPDIR=$BATS_TEST_TMPDIR LIB=${LIB:-$PWD/libclosetrace.so} CLOSETRACE=${CLOSETRACE:-$PWD/closetrace}
}

@test "demo: shows a trace with both FINs and explains it, and leaves nothing behind" {
  run -0 --separate-stderr examples/demo/run
  # shellcheck disable=SC2154 # run sets it
  [ "$stderr" = "" ]
  # The trace is in the order of time.
  sed -n '/^1\. A trace/,/^2\. /p' <<<"$output" | grep -oE '^[0-9]{2}:[0-9]{2}:[0-9.]+' | tee "$TMPDIR/times" | sort -c
  [ "$(wc -l <"$TMPDIR/times")" -ge 8 ]
  output=$(tr -s ' \n' ' ' <<<"$output") # wherever its lines were wrapped
  [[ $output == *'1. A trace'*nginx*curl*'close('*'FIN sent'*'2. The same again'* ]]
  [[ $output == *'takes a connection from 127.0.0.1:'* ]]
  [[ $output == *"that the peer's FIN has come"* ]]
  [[ $output == *'The kernel sent a FIN, the mark that nothing more will follow, because the last reference was gone.'* ]]
  [[ $output == *'In short'*'curl ended the connection'*'nginx saw it as the end of the stream'* ]]
  [ -z "$(find "$TMPDIR" -name 'closetrace-demo.*')" ]
  run ! pgrep -f "$TMPDIR/closetrace-demo"
}

@test "demo: interrupted, it takes its nginx with it" {
  examples/demo/run >/dev/null 2>&1 3>&- &
  demo=$!
  for _ in {1..100}; do
    ! pgrep -f "master process.*$TMPDIR/closetrace-demo" >/dev/null || break
    sleep 0.02
  done
  kill -TERM "$demo"
  wait "$demo" || true
  run ! pgrep -f "$TMPDIR/closetrace-demo"
  [ -z "$(find "$TMPDIR" -name 'closetrace-demo.*')" ]
}

@test "demo: says what is wrong where there is no library" {
  LIB=$TMPDIR/none.so run -1 examples/demo/run
  [[ $output == "demo: $TMPDIR/none.so is not there: run make" ]]
}
