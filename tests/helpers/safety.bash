# shellcheck shell=bash
# What a traced program may rely on: the same program run bare and traced. It loads helpers/log. A program is one of
# tests/programs (or a path); its standard output must be the same each time it runs, unless the library is at fault.
#
#   bare PROGRAM [ARG...]                        runs it without the library
#   traced [VARIABLE=VALUE...] PROGRAM [ARG...]  runs it with the library, JSON lines in $LOG, every class of events
#       Standard output in $BATS_TEST_TMPDIR/bare.out (traced.out), standard error in .err, the exit status in .status.
#       Whatever takes longer than $LIMIT seconds is ended by SIGKILL: status 137. Returns 0 however it ended.
#       With OWN_PIDS set it runs in a process namespace of its own (as process 2), where looking through /proc is quick.
#   same [VARIABLE=VALUE...] PROGRAM [ARG...]    both: output and exit status (0) must be equal; 77 skips the test.
#       What the traced one told with tell() is kept: $(fact KEY)
#   as_bare [VARIABLE=VALUE...] PROGRAM [ARG...] the same, whatever the exit status is; facts are kept by
#   facts
#       With LOG_ON_STDERR= (set, empty) standard error is not compared.
#   assert_as_bare                               what bare and traced have run gave the same output and exit status
#   assert_log                                   every line of $LOG is whole, and JSON
#   logged [JQ]                                  how many events of $LOG meet the condition
#   assert_logged COUNT|+ JQ                     so many do (+: at least one)
#   build_library NAME [CFLAGS...]               tests/libraries/NAME.c as a shared library; prints its path

load helpers/log

LIMIT=${LIMIT:-20}

without_root=()
[ "$(id -u)" = 0 ] || without_root=(--user --map-current-user)

run_as() {
  local name=$1 status=0 place=(env)
  shift
  # shellcheck disable=SC2016 # the inner shell's $@
  [ -z "${OWN_PIDS-}" ] ||
    place=(unshare "${without_root[@]}" --pid --fork --kill-child --mount-proc bash -c 'env "$@"; exit $?' bash)
  timeout --foreground -s KILL "$LIMIT" "${place[@]}" "$@" >"$BATS_TEST_TMPDIR/$name.out" \
    2>"$BATS_TEST_TMPDIR/$name.err" 3>&- || status=$?
  echo $status >"$BATS_TEST_TMPDIR/$name.status"
}

# Puts settings first, and a program's name into its path: into $words.
safety_words() {
  words=()
  while [[ $1 =~ ^[A-Z_]+= ]]; do
    words+=("$1")
    shift
  done
  local program=$1
  shift
  [[ $program == */* ]] || program=$PROGRAMS/$program
  [ -x "$program" ] || { echo "$program is not built: make test-programs" && return 1; }
  words+=("$program" "$@")
}

bare() {
  local words
  safety_words "$@" || return
  run_as bare "${words[@]}"
}

traced() {
  local words
  safety_words "$@" || return
  run_as traced "LD_PRELOAD=$LIB" "CLOSETRACE_OUTPUT=$LOG" CLOSETRACE_FORMAT=json CLOSETRACE_TRACE=all "${words[@]}"
}

status_of() {
  cat "$BATS_TEST_TMPDIR/$1.status"
}

# What differs from run to run is left out.
safety_output() {
  grep -vE '^(PID|CHILD|[CS][0-9]*(_COOKIE)?)=' "$BATS_TEST_TMPDIR/$1"
}

# once_more_bare: whether what failed was the program by itself, which says nothing of the library.
once_more_bare() {
  [ -n "${EXPECTS_SUCCESS-}" ] && [[ $(status_of bare) != @(0|77) ]]
}

as_bare() {
  bare "$@" || return
  ! once_more_bare || bare "$@" || return
  [ "$(status_of bare)" != 77 ] || skip "$(cat "$BATS_TEST_TMPDIR/bare.out")"
  traced "$@" || return
  assert_as_bare
}

assert_as_bare() {
  local part
  for part in status out ${LOG_ON_STDERR-err}; do
    diff -u <(safety_output "bare.$part") <(safety_output "traced.$part") ||
      { echo "the program's $part is not the same" && cat "$BATS_TEST_TMPDIR"/{bare,traced}.err && return 1; }
  done
}

same() {
  local EXPECTS_SUCCESS=1
  as_bare "$@" || return
  [ "$(status_of bare)" = 0 ] || { cat "$BATS_TEST_TMPDIR/bare.err" && echo "exit status $(status_of bare)" && return 1; }
  facts
}

facts() {
  local line
  while IFS= read -r line; do
    # shellcheck disable=SC2034 # log.bash has it
    FACTS[${line%%=*}]=${line#*=}
  done <"$BATS_TEST_TMPDIR/traced.out"
}

assert_log() {
  local bad
  [ -s "$LOG" ] || log_fail "nothing was logged" || return
  # SIGKILL may come in the middle of a write, and the next line then stands behind what there is of that one.
  [ -z "${KILLS-}" ] || sed -i -E -e 's/^.+(\{"time":)/\1/' -e '${/\}$/!d}' "$LOG"
  [ "$(tail -c 1 "$LOG" | wc -l)" = 1 ] || log_fail "the last line is not whole" || return
  bad=$(jq -R 'select(try (fromjson | type != "object") catch true)' "$LOG" | head -n 3)
  [ -z "$bad" ] || { echo "these lines, or more, are not JSON: $bad" && return 1; }
}

logged() {
  jq -c "select(${1:-true})" "$LOG" | wc -l
}

assert_logged() {
  local found
  found=$(logged "$2")
  [ "$found" = "$1" ] || { [ "$1" = + ] && [ "$found" -gt 0 ]; } ||
    log_fail "$found instead of $1 events with: $2"
}

build_library() {
  local name=$1 path=$BATS_TEST_TMPDIR/$1.so
  shift
  "${CC:-gcc}" -std=gnu11 -Wall -Wextra -Werror -fPIC -shared -Wl,-z,lazy -I "$ROOT/preload" \
    -include kernel/older_functions.h "$@" -o "$path" "$ROOT/tests/libraries/$name.c" && echo "$path"
}
