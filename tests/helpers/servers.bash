# shellcheck shell=bash
# Real servers and clients, once bare and once traced: they must behave the same, and the trace must be true to the
# wire. A .bats file loads this one; a test looks so:
#
#   hello() {
#     serve web 8080 /usr/sbin/nginx -c "$WORK/conf"      # started in the background; returns when it listens
#     ask page curl -s http://127.0.0.1:8080/             # standard output, standard error and status are kept
#     stop web TERM                                       # ends it by process id, and keeps its status
#   }
#
#   @test "..." {
#     try hello                                           # bare, then traced, and compared
#     assert_wire_at_least fin=4 rst=0                    # what went over the wire: the test is no empty one
#     [ "$(logged '.op == "accept"')" = 1 ]
#   }
#
#   try FUNCTION [ARG...]   runs the scenario bare in one network namespace and traced in another; compares what was
#                           kept ($WORK is the same path both times, empty at the start, made by nobody else); holds
#                           the log against the capture (compare_capture.py). If there is a function neutral, what was
#                           kept goes through it before the comparison; it gets the name of the file as $1
#
# In a scenario, which must not be part of a condition, so that what fails in it is noticed:
#
#   here COMMAND...         runs it in the namespace, traced if this is the traced run, as the user in $RUN_AS
#   ask NAME COMMAND...     the same; keeps NAME.out, NAME.err, NAME.status in $KEPT
#   ask_start NAME COMMAND...  in the background, ASKED[NAME] is its process id;  ask_end NAME  waits for it
#   serve NAME PORT COMMAND..  a server; SERVER[NAME] is its process id
#   stop NAME SIGNAL [PID]  sends the signal, to the process itself or another one, and waits until it has ended
#   killed PID...           these a signal has ended or will: what became of their sockets need not be in the log
#   until_true COMMAND...   waits for it, 10 seconds at most
#   has_no_children NAME    whether the server has none (any more)
#   listens PORT            whether somebody listens there
#   connections [STATE]     how many sockets are in this state ("established"), as ss counts them
#
# KEEP_EVIDENCE=FOLDER in the environment: log, capture and comparison of each test are copied to there.
#
# Afterwards: logged JQ: how many events meet it; assert_wire_at_least KEY=N...: the numbers of compare_capture.py
# (fin, rst, answers, pending, killed, connections ...) are as large, or with KEY=0 exactly zero.

load helpers/netns
load helpers/capture
load helpers/log
load helpers/wait

declare -gA SERVER=() ASKED=()

setup() {
  PLACE=$(mktemp -d /tmp/closetrace-servers.XXXXXX)
  chmod 755 "$PLACE"
  # Where every user can read it, wherever this checkout is.
  install -m 755 "$LIB" "$PLACE/libclosetrace.so"
  LIB=$PLACE/libclosetrace.so
  install -m 755 "${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}" "$PLACE/closetrace"
  LOG=$PLACE/log
  WORK=$PLACE/work
  PATH=$PATH:/usr/sbin:/sbin
}

teardown() {
  local name pid
  if [ -z "${BATS_TEST_COMPLETED-}" ] && [ -n "${KEPT-}" ] && ! [ -e "$PLACE/compared" ]; then
    echo "this was kept of the run ($MODE):"
    (cd "$KEPT" && grep -r . .) | tail -n 30
  fi
  capture_abort
  if [ -e "$BATS_TEST_TMPDIR/netns" ]; then
    while read -r name; do
      for pid in $(ip netns pids "$name"); do
        kill -KILL "$pid" 2>/dev/null || :
      done
    done <"$BATS_TEST_TMPDIR/netns"
  fi
  netns_remove_all
  if [ -n "${KEEP_EVIDENCE-}" ]; then
    mkdir -p "$KEEP_EVIDENCE/$BATS_TEST_NAME"
    cp -r "$PLACE/." "$KEEP_EVIDENCE/$BATS_TEST_NAME"
  fi
  rm -rf "$PLACE"
}

# A file that a tracer of any user can write.
own_log() {
  local log
  log=$(mktemp "$PLACE/log.XXXXXX")
  chmod 666 "$log"
  echo "$log"
}

# The process becomes the program itself, with a session of its own (apache2 signals its process group) and the
# signals that a background job ignores as in a foreground one.
exec_here() {
  local command=(setsid nsenter "--net=/run/netns/$NETNS")
  [ -z "${RUN_AS-}" ] || command+=(setpriv "--reuid=$RUN_AS" "--regid=$(id -g "$RUN_AS")" --clear-groups)
  command+=(env --default-signal=INT --default-signal=QUIT)
  case $MODE in
    traced) command+=("LD_PRELOAD=$LIB" "CLOSETRACE_OUTPUT=$LOG" CLOSETRACE_FORMAT=json) ;;
    run) command+=("$PLACE/closetrace" run -o "$(own_log)" --) ;;
  esac
  exec "${command[@]}" "$@" 3>&-
}

here() {
  (exec_here "$@")
}

ask() {
  ask_start "$@"
  ask_end "$1"
}

ask_start() {
  local name=$1
  shift
  exec_here "$@" >"$KEPT/$name.out" 2>"$KEPT/$name.err" </dev/null 3>&- &
  ASKED[$name]=$!
}

ask_end() {
  local status=0
  wait "${ASKED[$1]}" || status=$?
  echo $status >"$KEPT/$1.status"
}

listens() {
  [ -n "$(nsenter "--net=/run/netns/$NETNS" ss -Hltn "sport = :$1")" ]
}

connections() {
  nsenter "--net=/run/netns/$NETNS" ss -Htan ${1:+state "$1"} | wc -l
}

serve() {
  local name=$1 port=$2
  shift 2
  ask_start "$name" "$@"
  SERVER[$name]=${ASKED[$name]}
  until_true listens "$port" || { cat "$KEPT/$name.err" && return 1; }
}

has_ended() {
  ! [ -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"
}

stop() {
  local name=$1 signal=$2 pid=${3:-${SERVER[$1]}}
  kill "-$signal" "$pid"
  until_true has_ended "${SERVER[$name]}" || { echo "$name does not end" && return 1; }
  ask_end "$name"
}

has_no_children() {
  local pid=${SERVER[$1]}
  [ "$MODE" != run ] || pid=$(pgrep -P "$pid") # the command's only child
  ! pgrep -P "$pid"
}

killed() {
  printf '%s\n' "$@" >>"$PLACE/killed"
}

# Nothing is under way any more: what is left of connections are TIME_WAITs, and orphans whose peer is gone.
is_quiet() {
  [ -z "$(nsenter "--net=/run/netns/$NETNS" ss -Htan state connected exclude time-wait exclude fin-wait-2)" ]
}

only_capture_runs() {
  [ "$(ip netns pids "$NETNS" | wc -l)" = "$([ "$MODE" = bare ] && echo 0 || echo 1)" ]
}

try_once() {
  MODE=$1 KEPT=$BATS_TEST_TMPDIR/$1
  shift
  mkdir -p "$KEPT" "$WORK"
  netns_create NETNS
  if [ "$MODE" != bare ]; then
    : >"$LOG"
    chmod 666 "$LOG"
    capture_start "$NETNS"
  fi
  "$@"
  until_true only_capture_runs || { ps -fp "$(ip netns pids "$NETNS" | paste -sd,)" && return 1; }
  until_true is_quiet
  [ "$MODE" = bare ] || capture_stop
  [ "$MODE" != run ] || gather_logs
  rm -rf "$WORK"
}

# What each `closetrace run` wrote, in the order of time; what it said itself is no result of the program's.
gather_logs() {
  grep -hv '"op":"finding"' "$PLACE"/log.?????? | jq -cs 'sort_by(.time)[]' >"$LOG"
  sed -i '/^closetrace: /d; /^finding /d' "$KEPT"/*.err
}

neutralize() {
  local file
  declare -F neutral >/dev/null || return 0
  for file in "$1"/*; do
    neutral "${file##*/}" <"$file" >"$file.neutral"
    mv "$file.neutral" "$file"
  done
}

assert_same_results() {
  local mode=${1:-traced}
  neutralize "$BATS_TEST_TMPDIR/bare"
  neutralize "$BATS_TEST_TMPDIR/$mode"
  diff -ru ${NOT_COMPARED:+-x "$NOT_COMPARED"} "$BATS_TEST_TMPDIR/bare" "$BATS_TEST_TMPDIR/$mode" || { echo "traced, it behaves otherwise" && return 1; }
}

try() {
  try_traced traced "$@"
}

# Each program in a session of its own, under `closetrace run`.
try_run() {
  try_traced run "$@"
}

try_traced() {
  local mode=$1 option=()
  shift
  : >"$PLACE/killed"
  try_once bare "$@"
  : >"$PLACE/killed"
  try_once "$mode" "$@"
  assert_same_results "$mode"
  mapfile -t option < <(sed 's/^/--killed=/' "$PLACE/killed")
  capture_show >"$PLACE/capture"
  python3 "$BATS_TEST_DIRNAME/helpers/compare_capture.py" "${option[@]}" "$LOG" "$PLACE/capture" >"$PLACE/compared" ||
    { cat "$PLACE/compared" && return 1; }
  assert_report_counts
}

# A number of the comparison's; 0 where it has none.
compared() {
  local found
  found=$(head -n 1 "$PLACE/compared" | tr ' ' '\n' | sed -n "s/^$1=//p")
  echo "${found:-0}"
}

# What `closetrace report` counts is what passed on the wire; so far as that can be known: not what became of processes
# that were killed, and of the RSTs that answer segments to nobody only those that somebody was told of.
assert_report_counts() {
  local report uncertain least most words='^([0-9]+) connections?, ([0-9]+) FINs?, ([0-9]+) RSTs?(, ([0-9]+) connects? refused)?;'
  report=$("${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}" report "$LOG" | grep -E '^[0-9]+ connection' | head -n 1)
  uncertain=$(($(compared killed) + $(compared doubtful) + $(compared overtaken) + $(compared missed)))
  least=$(compared rst)
  most=$((least + $(compared answers)))
  [[ $report =~ $words ]] && [ $((BASH_REMATCH[1] + ${BASH_REMATCH[5]:-0})) = "$(compared connections)" ] &&
    { [ $uncertain != 0 ] || { [ "${BASH_REMATCH[2]}" = "$(compared fin)" ] && [ "${BASH_REMATCH[3]}" -ge "$least" ] &&
      [ "${BASH_REMATCH[3]}" -le "$most" ]; }; } && return
  echo "the report counts: $report; on the wire: $(head -n 1 "$PLACE/compared")"
  return 1
}

logged() {
  jq -s "map(select($1)) | length" "$LOG"
}

assert_wire_at_least() {
  local wanted key value found
  for wanted in "$@"; do
    key=${wanted%%=*} value=${wanted#*=}
    found=$(head -n 1 "$PLACE/compared" | tr ' ' '\n' | sed -n "s/^$key=//p")
    if [ "${found:=0}" -lt "$value" ] || { [ "$value" = 0 ] && [ "$found" != 0 ]; }; then
      echo "on the wire: $key=$found instead of $wanted; $(head -n 1 "$PLACE/compared")"
      return 1
    fi
  done
}
