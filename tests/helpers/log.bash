# shellcheck shell=bash
# Runs programs with the library preloaded, and asserts on the JSON lines that it logs. Needs jq, and for bats.
#
#   trace [VARIABLE=VALUE...] PROGRAM [ARG...]
#       Runs it with LD_PRELOAD=$LIB, the log in $LOG as JSON lines. PROGRAM without a slash is one of tests/programs
#       (make test-programs). With NETNS set it runs in that network namespace. KEY=VALUE lines on its standard output
#       are kept: $(fact KEY). Fails if the program does (skips the test if it exits with 77), if anything is on its
#       standard error, if a line of the log is not JSON, or if events were lost.
#   fact KEY                 a value that the program told
#   events WHO [JQ]          the events of a socket, compact, in the order of the log; JQ: only those where it holds
#   assert_event WHO CONDITION...        exactly one event of the socket WHO meets all of the conditions
#   assert_events COUNT WHO CONDITION... exactly that many do
#   assert_verdicts WHO REGEX            the words in `fin`, of all of its events in order, separated by blanks, match
#   assert_claims_verified WHO           every verdict of it says verified:true
#   log_show                 log, facts and capture; every assertion that fails prints it
#
# WHO is a name of which the program told the cookie (C: C_COOKIE) and the address (C). A condition is KEY=VALUE
# (KEY=A|B: one of them; KEY=null: not there), refs=2-1 for refs_before and refs_after, or an expression of jq, which
# begins with a dot or a parenthesis. That `local` is the address of WHO need not be said; say local=... where not.
#
# SUPERVISED=1: under `closetrace run --reach=supervise` instead, without the library.
# KERNEL_ONLY=1 in the environment runs everything without the library and asserts on the capture alone: it holds
# what the tests say about the kernel against the kernel that is running.

ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
LIB=${LIB:-$ROOT/libclosetrace.so}
CLOSETRACE=${CLOSETRACE:-$ROOT/closetrace}
PROGRAMS=${PROGRAMS:-$ROOT/build/tests/programs}
LOG=$BATS_TEST_TMPDIR/log

declare -gA FACTS=()

log_show() {
  echo "--- facts"
  cat "$BATS_TEST_TMPDIR/facts" 2>/dev/null || :
  echo "--- log"
  cat "$LOG" 2>/dev/null || :
  if compgen -G "$BATS_TEST_TMPDIR/*.pcap" >/dev/null; then
    echo "--- capture"
    capture_show
  fi
}

log_fail() {
  echo "$*"
  log_show
  return 1
}

trace() {
  local settings=() status=0 line place=()
  while [[ $1 =~ ^[A-Z_]+= ]]; do
    settings+=("$1")
    shift
  done
  local program=$1
  shift
  [[ $program == */* ]] || program=$PROGRAMS/$program
  [ -x "$program" ] || { echo "$program is not built: make test-programs" && return 1; }
  [ -z "${NETNS-}" ] || place=(nsenter "--net=/run/netns/$NETNS")

  if [ -n "${SUPERVISED-}" ]; then
    place+=("$CLOSETRACE" run "--messages=$BATS_TEST_TMPDIR/messages" --reach=supervise -o "$LOG")
  elif [ -z "${KERNEL_ONLY-}" ]; then
    [ -e "$LIB" ] || { echo "$LIB is not built: make" && return 1; }
    settings=("LD_PRELOAD=$LIB" "CLOSETRACE_OUTPUT=$LOG" CLOSETRACE_FORMAT=json "${settings[@]}")
  fi
  "${place[@]}" env "${settings[@]}" "$program" "$@" \
    >"$BATS_TEST_TMPDIR/facts" 2>"$BATS_TEST_TMPDIR/stderr" 3>&- || status=$?

  while IFS= read -r line; do
    FACTS[${line%%=*}]=${line#*=}
  done <"$BATS_TEST_TMPDIR/facts"
  [ $status != 77 ] || skip "${FACTS[SKIP]-}"
  [ $status = 0 ] || { cat "$BATS_TEST_TMPDIR/stderr" && log_fail "exit status $status" || return; }
  [ ! -s "$BATS_TEST_TMPDIR/stderr" ] ||
    { cat "$BATS_TEST_TMPDIR/stderr" && log_fail "something is on standard error" || return; }

  [ -z "${KERNEL_ONLY-}" ] || return 0
  [ -e "$LOG" ] || log_fail "nothing was logged" || return
  # SIGKILL may come in the middle of a write, and the next line then stands behind what there is of that one.
  [ -z "${KILLS-}" ] || sed -i -E 's/^.+(\{"time":)/\1/' "$LOG"
  jq -e -n '[inputs | type == "object"] | all' "$LOG" >/dev/null || log_fail "the log is not JSON lines" || return
  jq -e -n '[inputs | select(.op == "end") | .lost == 0] | all' "$LOG" >/dev/null || log_fail "events were lost"
}

fact() {
  [ -n "${FACTS[$1]+set}" ] || { echo "the program has not told $1" >&2 && return 1; }
  echo "${FACTS[$1]}"
}

events() {
  jq -c --arg cookie "${FACTS[$1_COOKIE]-none}" "select(.socket == \$cookie) | select(${2:-true})" "$LOG"
}

# The condition as an expression of jq. (In bash: a jq for each would take longer than everything else.)
log_condition() {
  local key=${1%%=*} value=${1#*=}
  if [[ $1 == [.\(]* ]]; then
    echo "($1)"
  elif [ "$key" = refs ]; then
    echo "(.refs_before == ${value%-*} and .refs_after == ${value#*-})"
  else
    echo "(.$key | tostring | IN(\"${value//|/\", \"}\"))"
  fi
}

assert_events() {
  local count=$1 who=$2 expression="true" condition found
  [ -z "${KERNEL_ONLY-}" ] || return 0
  shift 2
  [[ " $* " == *" local="* ]] || set -- "local=$(fact "$who")" "$@"
  for condition in "$@"; do
    expression+=" and $(log_condition "$condition")"
  done
  found=$(events "$who" "$expression" | wc -l)
  [ "$found" = "$count" ] && return
  echo "of $who's events, $found instead of $count have: $*"
  events "$who" '.fin or .op == "release"'
  log_fail ""
}

assert_event() {
  assert_events 1 "$@"
}

assert_verdicts() {
  local words
  [ -z "${KERNEL_ONLY-}" ] || return 0
  words=$(events "$1" .fin | jq -r .fin | paste -sd ' ')
  [[ $words =~ ^($2)$ ]] || log_fail "the verdicts of $1 are: $words; instead of: $2"
}

assert_claims_verified() {
  [ -z "${KERNEL_ONLY-}" ] || return 0
  [ -z "$(events "$1" '.fin and .verified != true')" ] || log_fail "not every verdict of $1 is verified"
}
