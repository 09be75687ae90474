#!/usr/bin/env bats
# A setting that is wrong: one message, and the program runs untraced and unharmed.

load helpers/safety

CLOSETRACE=${CLOSETRACE:-$ROOT/closetrace}

# refused VARIABLE VALUE [COLUMN]: said once, with a caret under that character of the value (0).
refused() {
  local variable=$1 value=$2 column=${3-0} lines
  rm -f "$LOG"
  LOG_ON_STDERR='' same "CLOSETRACE_$variable=$value" safety_place descriptors
  mapfile -t lines <"$BATS_TEST_TMPDIR/traced.err"
  printf '%s\n' "${lines[@]}"
  [ ${#lines[@]} = 3 ]
  [[ ${lines[0]} == "closetrace: CLOSETRACE_$variable: "* ]]
  [ "${lines[1]}" = "  $value" ]
  [ "${lines[2]}" = "$(printf '%*s^' $((column + 2)) '')" ]
  [ ! -e "$LOG" ] || [ ! -s "$LOG" ]
}

# The exit status and the signal are the program's.
@test "settings: a program with a wrong one ends as it ends without the library" {
  local end
  for end in 'exit 3' 'kill -TERM $$' 'exit 0'; do
    LOG_ON_STDERR='' as_bare CLOSETRACE_FORMAT=xml /bin/sh -c "echo output; $end"
    [ -s "$BATS_TEST_TMPDIR/traced.err" ]
  done
}

@test "settings: a program with a wrong one does the same calls with the same results" {
  LOG_ON_STDERR='' same CLOSETRACE_TRACE=nonsense safety_same calls tcp
  LOG_ON_STDERR='' same CLOSETRACE_TRACE=nonsense safety_same sigpipe
  LOG_ON_STDERR='' same CLOSETRACE_TRACE=nonsense safety_same failing
}

@test "settings: CLOSETRACE_OUTPUT" {
  cd "$BATS_TEST_TMPDIR"
  refused OUTPUT no/such/directory
  refused OUTPUT .
  refused OUTPUT no/such/log.%p
  refused OUTPUT ''
  refused OUTPUT 'log.%x' 4
  mkfifo pipe # nobody reads it
  refused OUTPUT pipe
}

@test "settings: CLOSETRACE_OUTPUT that names a socket" {
  LOG_ON_STDERR='' same safety_output socket-named
  grep -q '^closetrace: CLOSETRACE_OUTPUT: ' "$BATS_TEST_TMPDIR/traced.err"
}

@test "settings: CLOSETRACE_FORMAT" {
  refused FORMAT xml
  refused FORMAT JSON
}

@test "settings: CLOSETRACE_TRACE" {
  refused TRACE close
  refused TRACE open,ende 5
}

@test "settings: CLOSETRACE_ONLY" {
  refused ONLY port=80
  refused ONLY lport=80:rport=http 15
}

@test "settings: CLOSETRACE_INJECT" {
  LOG_ON_STDERR='' same CLOSETRACE_INJECT=close:error=ENONSENSE safety_place descriptors
  grep -q '^closetrace: CLOSETRACE_INJECT: ' "$BATS_TEST_TMPDIR/traced.err"
  [ ! -s "$LOG" ]
}

@test "settings: CLOSETRACE_SEED" {
  refused SEED lucky
}

@test "settings: CLOSETRACE_VERIFY" {
  refused VERIFY yes
}

@test "settings: a good file, with %p and without" {
  local file
  same "CLOSETRACE_OUTPUT=$LOG" safety_output rounds 2
  assert_log
  same "CLOSETRACE_OUTPUT=$BATS_TEST_TMPDIR/log-%p-100%%" safety_output rounds 2
  facts
  file=$BATS_TEST_TMPDIR/log-$(fact PID)-100%
  LOG=$file
  assert_log
}

@test "settings: a program that is traced to a file, and whose log is taken away, is unharmed" {
  # the directory goes too: nothing is made anew
  mkdir "$BATS_TEST_TMPDIR/gone"
  # shellcheck disable=SC2016 # the inner shell's
  traced CLOSETRACE_OUTPUT="$BATS_TEST_TMPDIR/gone/log" /bin/bash -c \
    'rm -r "$1" && exec "$2" rounds 3' bash "$BATS_TEST_TMPDIR/gone" "$PROGRAMS/safety_output"
  [ "$(status_of traced)" = 0 ]
}

# in_time EXPECTED-STATUS COMMAND...: ends, and so
in_time() {
  local expected=$1 status=0
  shift
  timeout -k 1 10 "$@" >out 2>err || status=$?
  [ "$status" = "$expected" ] || { echo "status $status: $*" && cat out err && return 1; }
}

@test "settings: what is named and is no file holds nobody up: rules" {
  cd "$BATS_TEST_TMPDIR"
  mkfifo pipe
  in_time 0 env LD_PRELOAD="$LIB" CLOSETRACE_INJECT=@pipe "$PROGRAMS/safety_place" descriptors
  grep -q '^closetrace: CLOSETRACE_INJECT: cannot be read (ENXIO): expected a regular file' err
  for file in pipe /dev/tty0 . /dev/stdin; do
    in_time 125 "$CLOSETRACE" run -e "inject=@$file" touch was-started < <(sleep 9)
    grep -q '^closetrace: CLOSETRACE_INJECT: cannot be read (E[A-Z]*): expected a regular file' err
  done
  [ ! -e was-started ]
}

@test "settings: what is named and is no file holds nobody up: TZ, a script's interpreter" {
  cd "$BATS_TEST_TMPDIR"
  mkfifo pipe
  chmod +x pipe
  for zone in ":$PWD/pipe" "$PWD/pipe" "../../../$PWD/pipe"; do
    in_time 0 env TZ="$zone" LD_PRELOAD="$LIB" "$PROGRAMS/safety_output" rounds 2
    grep -q 'FIN sent' err
    in_time 0 env TZ="$zone" "$CLOSETRACE" run -o trace "$PROGRAMS/safety_output" rounds 2
    in_time 0 env TZ="$zone" "$CLOSETRACE" print trace
    in_time 0 env TZ="$zone" "$CLOSETRACE" report trace
    in_time 0 env TZ="$zone" "$CLOSETRACE" run "$PROGRAMS/safety_output" rounds 2
    grep -q "^$(date -u +%H):.*FIN sent" err || grep -q "^$(date -u -d '1 minute ago' +%H):.*FIN sent" err
    # shellcheck disable=SC2016 # the inner shell's
    in_time 0 env TZ="$zone" "$CLOSETRACE" run sh -c '[ "$TZ" = "$1" ]' sh "$zone"
  done
  printf '#!%s\n' "$PWD/pipe" >script
  chmod +x script
  in_time 126 "$CLOSETRACE" run ./script
}

@test "settings: no rule of a file with a NUL is obeyed" {
  cd "$BATS_TEST_TMPDIR"
  printf 'exit:signal=KILL\n#\0\n' >rules
  in_time 0 env LD_PRELOAD="$LIB" CLOSETRACE_INJECT=@rules "$PROGRAMS/safety_output" rounds 2
  grep -q '^closetrace: CLOSETRACE_INJECT: rules:2: a NUL character: ' err
  in_time 125 "$CLOSETRACE" run -e inject=@rules touch was-started
  grep -q '^closetrace: CLOSETRACE_INJECT: rules:2: a NUL character: ' err
  [ ! -e was-started ]
}
