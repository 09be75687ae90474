# shellcheck shell=bash
# Helpers for bats tests that assert on how programs end their TCP connections: closetrace.bash(3). Needs bats-core and
# closetrace; goes together with bats-assert. Names that begin with closetrace_ are its own.
#
#   bats_load_library closetrace            # or: load PREFIX/lib/bats/closetrace/load
#
#   @test "the server half-closes" {
#     closetrace_start web --ready-port 8080 nginx -c "$conf"
#     closetrace_run curl -s http://127.0.0.1:8080/
#     wait_for_event --in web op=close fin=sent
#     closetrace_stop web
#     assert_no_findings
#   }
#
# Every run and every server has a trace of its own, in bats' folder of the test (of the file, in setup_file; of the
# suite, in setup_suite). Assertions look at all traces of the test, its file and its suite, or at one: --in.

# The command: $CLOSETRACE, or the one beside which these helpers are installed, or the one in PATH.
closetrace_command() {
  local beside
  beside=$(dirname "${BASH_SOURCE[0]}")/../../../bin/closetrace
  if [ -n "${CLOSETRACE-}" ]; then
    echo "$CLOSETRACE"
  elif [ -x "$beside" ]; then
    echo "$beside"
  else
    echo closetrace
  fi
}

closetrace_fail() {
  echo "${FUNCNAME[1]}: $1" >&2
  return 1
}

# The folders that traces may be in, the present one last. A bats in a bats inherits the folders of the outer one.
closetrace_folders() {
  local folder
  for folder in "${BATS_SUITE_TMPDIR-}" "${BATS_FILE_TMPDIR-}" "${BATS_TEST_TMPDIR-}"; do
    [ -z "$folder" ] || [[ $folder != "${BATS_RUN_TMPDIR-}"/* ]] || echo "$folder/closetrace"
  done
}

# Beginning of the names of a run's files: .trace .messages, and of a server .out .pid .status. In $closetrace_files.
closetrace_new() {
  local folder count
  folder=$(closetrace_folders | tail -n 1)
  [ -n "$folder" ] || closetrace_fail "this works only in a bats test: bats' folders are not set" || return
  mkdir -p "$folder" || return
  count=$(find "$folder" -name '*.trace' | wc -l)
  printf -v closetrace_files '%s/%03d-%s' "$folder" "$((count + 1))" "$1"
  : >"$closetrace_files.trace" || return
  : >"$closetrace_files.messages"
}

# A server's files by its name, the youngest first found.
closetrace_find() {
  local folder found=
  while read -r folder; do
    [ ! -d "$folder" ] || found=$(find "$folder" -name "[0-9][0-9][0-9]-$1.trace" | sort | tail -n 1 | grep . ||
      echo "$found")
  done < <(closetrace_folders)
  [ -n "$found" ] && echo "${found%.trace}"
}

# The options of `closetrace run` that would take the trace away are refused.
closetrace_check_options() {
  while [[ ${1-} == -* && $1 != -- ]]; do
    case $1 in
      -o* | --output* | --messages* | --format*)
        echo "closetrace: $1: the helpers decide where traces go: \$closetrace_trace" >&2
        return 1
        ;;
      -e | -E | --env | --seed) shift ;;
    esac
    shift
  done
}

# Whether `closetrace run` failed itself: bad usage, a program that cannot be traced. Then it says so in messages.
closetrace_refused() {
  [ "$1" = 125 ] && grep -qE '^closetrace( run)?: ' "$2.messages" &&
    ! grep -q '"op":' "$2.trace"
}

# closetrace_run [RUN-OPTION...] [CLOSETRACE-OPTION...] [--] COMMAND [ARG...]
closetrace_run() {
  local run_options=() result=0
  while [[ ${1-} == '!' || ${1-} =~ ^-[0-9]+$ || ${1-} == --separate-stderr || ${1-} == --keep-empty-lines ]]; do
    run_options+=("$1")
    shift
  done
  [ ${#run_options[@]} = 0 ] || run_options+=(--)
  closetrace_check_options "$@" || return
  closetrace_new run || return
  closetrace_trace=$closetrace_files.trace
  run "${run_options[@]}" "$(closetrace_command)" run -o "$closetrace_trace" \
    --messages="$closetrace_files.messages" "$@" || result=$?
  # shellcheck disable=SC2154 # bats' run sets it
  if closetrace_refused "$status" "$closetrace_files"; then
    cat "$closetrace_files.messages" >&2
    return 1
  fi
  return $result
}

# Whether a socket of this network namespace listens on the port.
closetrace_listens() {
  local hex
  printf -v hex '%04X' "$1" &&
    grep -qsE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A " /proc/self/net/tcp /proc/self/net/tcp6
}

closetrace_children() {
  ps -o pid= --ppid "$1" || :
}

# All processes below this one, itself left out. Daemons are there too: closetrace run adopts them.
closetrace_tree() {
  local child
  for child in $(closetrace_children "$1"); do
    echo "$child"
    closetrace_tree "$child"
  done
}

closetrace_kill() {
  local pid
  for pid in $(closetrace_tree "$1"); do
    kill -KILL "$pid" 2>/dev/null || :
  done
}

# closetrace_until SECONDS COMMAND...: waits until it succeeds.
closetrace_until() {
  local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
  shift
  until "$@"; do
    [ "${EPOCHREALTIME/[.,]/}" -lt $end ] || return
    sleep 0.05
  done
}

closetrace_ended() {
  [ -e "$1.status" ]
}

# In the background: the server, and beside it somebody who notices that the test has gone. None of them has a
# descriptor of bats' (it would wait for them); SIGINT and SIGQUIT are as a terminal's programs have them.
closetrace_serve() {
  local files=$1 fd pid guard
  shift
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    [ "$fd" -le 2 ] || [ "$fd" = 255 ] || eval "exec $fd>&-"
  done
  set +eET
  trap - ERR DEBUG EXIT
  env --default-signal=INT,QUIT "$(closetrace_command)" run -o "$files.trace" --messages="$files.messages" "$@" \
    >"$files.out" 2>&1 &
  pid=$!
  tail -s 0.2 --pid=$$ -f /dev/null &
  guard=$!
  echo "$pid" >"$files.pid"
  wait -n "$pid" "$guard"
  kill -0 $$ 2>/dev/null || closetrace_kill "$pid"
  wait "$pid"
  echo $? >"$files.status.new"
  kill "$guard" 2>/dev/null
  mv "$files.status.new" "$files.status"
}

# How the server is ready: KIND VALUE; without a kind once it was started (its options were right). Succeeds too where
# it has ended: then it never will be.
closetrace_is_ready() {
  closetrace_ended "$closetrace_files" && return
  case $1 in
    port) closetrace_listens "$2" ;;
    line) grep -qE -- "$2" "$closetrace_files.out" 2>/dev/null ;;
    command) eval "$2" >/dev/null 2>&1 3>&- ;;
    *) [ -s "$closetrace_files.pid" ] && [ -n "$(closetrace_children "$(<"$closetrace_files.pid")")" ] ;;
  esac
}

closetrace_tell() {
  [ ! -s "$1" ] || sed "s/^/$2/" "$1" >&2
}

# Whole seconds, as an option's value.
closetrace_check_seconds() {
  [[ $1 =~ ^[0-9]+$ ]] || closetrace_fail "--timeout $1: expected whole seconds"
}

# Takes closetrace_start's options off the arguments: in the caller's ready, value, seconds and taken (how many).
closetrace_start_options() {
  while [[ ${1-} == --ready* || ${1-} == --timeout ]]; do
    [ $# -ge 2 ] || closetrace_fail "$1: a value is missing" || return
    case $1 in
      --ready-port) ready=port value=$2 ;;
      --ready-line) ready=line value=$2 ;;
      --ready) ready='command' value=$2 ;;
      --timeout) seconds=$2 ;;
      *) closetrace_fail "there is no option $1: --ready-port, --ready-line, --ready or --timeout" || return ;;
    esac
    taken=$((taken + 2))
    shift 2
  done
  closetrace_check_seconds "$seconds" || return
  [ "$ready" = port ] || return 0
  [[ $value =~ ^[0-9]+$ ]] || closetrace_fail "--ready-port $value: expected a port number" || return
  ! closetrace_listens "$value" || closetrace_fail "something is already listening on port $value"
}

# Says why the server is not there: it has ended, or takes too long, and is ended then.
closetrace_start_failed() {
  if closetrace_ended "$closetrace_files"; then
    echo "closetrace_start: $1 ended before it was ready, with status $(<"$closetrace_files.status")" >&2
  else
    echo "closetrace_start: $1 was not ready after $2 s" >&2
    closetrace_kill "$(<"$closetrace_files.pid")"
  fi
  closetrace_tell "$closetrace_files.out" '  it wrote: '
  closetrace_tell "$closetrace_files.messages" '  '
  return 1
}

# closetrace_start NAME [--ready-port PORT | --ready-line REGEX | --ready COMMAND] [--timeout SECONDS]
#                  [CLOSETRACE-OPTION...] [--] COMMAND [ARG...]
closetrace_start() {
  local name=${1-} ready='' value='' seconds=${closetrace_timeout:-10} taken=0
  [[ $name =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] || closetrace_fail "a name comes first: closetrace_start web nginx" ||
    return
  shift
  closetrace_start_options "$@" || return
  shift "$taken"
  closetrace_check_options "$@" && closetrace_new "$name" || return
  closetrace_trace=$closetrace_files.trace
  closetrace_serve "$closetrace_files" "$@" </dev/null >/dev/null 2>&1 &
  disown
  if closetrace_until "$seconds" closetrace_is_ready "$ready" "$value"; then
    closetrace_ended "$closetrace_files" || return 0
    # Nothing was waited for, and it was short.
    [ -n "$ready" ] || closetrace_refused "$(<"$closetrace_files.status")" "$closetrace_files" || return 0
  fi
  closetrace_start_failed "$name" "$seconds"
}

# closetrace_output NAME: what the server has written, to standard output and standard error.
closetrace_output() {
  local files
  files=$(closetrace_find "${1-}") && [ -e "$files.out" ] || closetrace_fail "there is no server ${1-}" || return
  cat "$files.out"
}

# closetrace_trace_of NAME: the file that its trace is in.
closetrace_trace_of() {
  local files
  files=$(closetrace_find "${1-}") || closetrace_fail "there is no server ${1-}" || return
  echo "$files.trace"
}

# closetrace_stop NAME [SIGNAL] [--timeout SECONDS]
closetrace_stop() {
  local name=${1-} files signal=TERM seconds=${closetrace_timeout:-10} pid child
  [ $# -gt 0 ] || closetrace_fail "which server?" || return
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      --timeout)
        [ $# -ge 2 ] || closetrace_fail "$1: a value is missing" || return
        seconds=$2
        shift
        ;;
      *) signal=$1 ;;
    esac
    shift
  done
  closetrace_check_seconds "$seconds" || return
  files=$(closetrace_find "$name") && [ -e "$files.pid" ] || closetrace_fail "there is no server $name" || return
  pid=$(<"$files.pid")
  if ! closetrace_ended "$files"; then
    for child in $(closetrace_children "$pid"); do
      kill -s "$signal" "$child" 2>/dev/null || [ ! -e "/proc/$child" ] || closetrace_fail "SIG$signal cannot be sent" ||
        return
    done
  fi
  if ! closetrace_until "$seconds" closetrace_ended "$files"; then
    echo "closetrace_stop: $name was still running $seconds s after SIG$signal; it was killed" >&2
    closetrace_tell "$files.out" '  it wrote: '
    closetrace_kill "$pid"
    closetrace_until "$seconds" closetrace_ended "$files" || :
    return 1
  fi
  # shellcheck disable=SC2034 # for the test
  closetrace_status=$(<"$files.status")
}

# Takes --in and --timeout off the arguments; the traces that are meant, in closetrace_traces, the rest in
# closetrace_conditions.
closetrace_arguments() {
  local folder files
  closetrace_traces=() closetrace_conditions=() closetrace_seconds=${closetrace_timeout:-10}
  while [ $# -gt 0 ]; do
    [[ $1 != --in && $1 != --timeout || $# -ge 2 ]] || {
      echo "${FUNCNAME[1]}: $1: a value is missing" >&2
      return 1
    }
    case $1 in
      --timeout)
        closetrace_seconds=$2
        shift
        ;;
      --in)
        if [ -f "${2-}" ]; then
          closetrace_traces+=("$2")
        elif files=$(closetrace_find "${2-}"); then
          closetrace_traces+=("$files.trace")
        else
          echo "${FUNCNAME[1]}: --in ${2-}: neither a server nor a file" >&2
          return 1
        fi
        shift
        ;;
      -*)
        echo "${FUNCNAME[1]}: there is no option $1: --in NAME, --timeout SECONDS (wait_for_event)" >&2
        return 1
        ;;
      *) closetrace_conditions+=("$1") ;;
    esac
    shift
  done
  closetrace_check_seconds "$closetrace_seconds" || return
  if [ ${#closetrace_traces[@]} = 0 ]; then
    while read -r folder; do
      [ ! -d "$folder" ] || mapfile -t -O ${#closetrace_traces[@]} closetrace_traces < <(find "$folder" -name '*.trace' | sort)
    done < <(closetrace_folders)
  fi
  [ ${#closetrace_traces[@]} -gt 0 ] || {
    echo "${FUNCNAME[1]}: nothing was traced: call closetrace_run or closetrace_start first" >&2
    return 1
  }
}

# Conditions that are none are said once, by closetrace itself.
closetrace_check_conditions() {
  local message
  message=$("$(closetrace_command)" grep /dev/null "$@" 2>&1) || [ $? != 1 ] || return 0
  echo "${FUNCNAME[1]}: ${message#closetrace grep: }" >&2
  return 1
}

# The events that meet the conditions. Status 0: there are some; 1: none; 2: none, and a line could not be read.
closetrace_grep() {
  local trace found result=1
  for trace in "${closetrace_traces[@]}"; do
    found=$("$(closetrace_command)" grep "$trace" "$@" 2>/dev/null) || [ $? -lt 2 ] || [ $result = 0 ] || result=2
    [ -z "$found" ] || { printf '%s\n' "$found" && result=0; }
  done
  return $result
}

# What met most of the conditions, and what it did not meet. Reads lines "CONDITION TAB EVENT".
closetrace_nearest() {
  awk -F '\t' '
    function value_of(event, key,    at, rest) {
      if (key == "lport" || key == "laddr") key = "local"
      if (key == "rport" || key == "raddr") key = "remote"
      if (key == "refs") key = "refs_before"
      if (key == "state") key = "state_before"
      at = index(event, "\"" key "\":")
      if (!at) return "has no " key
      rest = substr(event, at + length(key) + 3)
      if (match(rest, /^("[^"]*"|\[[^]]*\]|[^,}]*)/)) rest = substr(rest, 1, RLENGTH)
      gsub(/^"|"$/, "", rest)
      return key " is " rest
    }
    $1 == "?" { wanted[++conditions] = $2; next }
    {
      if (!($2 in met)) order[++events] = $2
      met[$2]++; holds[$2, $1] = 1
      if (met[$2] > most) most = met[$2]
    }
    END {
      if (!most) { print "-- no event meets any of the conditions --"; exit }
      printf "-- nearest: %d of %d conditions --\n", most, conditions
      for (i = 1; i <= events && shown < 5; i++) {
        event = order[i]
        if (met[event] != most) continue
        shown++
        print event
        for (c = 1; c <= conditions; c++)
          if (!((event, wanted[c]) in holds)) {
            key = wanted[c]; sub(/[!=].*/, "", key)
            print "  not " wanted[c] ": " value_of(event, key)
          }
      }
      for (; i <= events; i++) if (met[order[i]] == most) more++
      if (more) print "(and " more " more)"
    }'
}

# Events among other lines, as text.
closetrace_as_text() {
  local line
  while IFS= read -r line; do
    [[ $line != '{'* ]] || line=$("$(closetrace_command)" print - <<<"$line" 2>/dev/null) || :
    printf '%s\n' "$line"
  done
}

closetrace_explain() {
  local condition trace
  echo "-- no event meets all of: $* --"
  {
    printf '?\t%s\n' "$@"
    for condition; do
      closetrace_grep "$condition" | awk -v OFS='\t' -v condition="${condition//\\/\\\\}" '{ print condition, $0 }'
    done
  } | closetrace_nearest | closetrace_as_text
  for trace in "${closetrace_traces[@]}"; do
    echo "-- trace: $trace ($(grep -c . "$trace") lines)"
    closetrace_tell "${trace%.trace}.messages" '   '
  done
}

# assert_event [--in NAME|FILE] KEY=VALUE...
assert_event() {
  closetrace_arguments "$@" && closetrace_check_conditions "${closetrace_conditions[@]}" || return
  closetrace_grep "${closetrace_conditions[@]}" >/dev/null && return
  closetrace_explain "${closetrace_conditions[@]}" >&2
  return 1
}

# refute_event [--in NAME|FILE] KEY=VALUE...
refute_event() {
  local found result
  closetrace_arguments "$@" && closetrace_check_conditions "${closetrace_conditions[@]}" || return
  # A line that is just being written is whole a moment later.
  for _ in 1 2 3; do
    result=0
    found=$(closetrace_grep "${closetrace_conditions[@]}") || result=$?
    [ $result = 2 ] || break
    sleep 0.05
  done
  case $result in
    0) printf '%s\n' "-- these events meet all of: ${closetrace_conditions[*]} --" \
      "$("$(closetrace_command)" print - <<<"$found")" >&2 ;;
    1) return 0 ;;
    *)
      echo "refute_event: not all of the trace could be read, so it proves nothing" >&2
      for found in "${closetrace_traces[@]}"; do
        "$(closetrace_command)" grep "$found" "${closetrace_conditions[@]}" >/dev/null || :
      done
      ;;
  esac
  return 1
}

# wait_for_event [--timeout SECONDS] [--in NAME|FILE] KEY=VALUE...
wait_for_event() {
  closetrace_arguments "$@" && closetrace_check_conditions "${closetrace_conditions[@]}" || return
  if closetrace_until "$closetrace_seconds" closetrace_grep "${closetrace_conditions[@]}" >/dev/null; then
    return
  fi
  {
    echo "-- within $closetrace_seconds s --"
    closetrace_explain "${closetrace_conditions[@]}"
  } >&2
  return 1
}

# assert_fin [--in NAME|FILE] ADDRESS:PORT VERDICT [KEY=VALUE...]
assert_fin() {
  local address verdict
  closetrace_arguments "$@" || return
  address=${closetrace_conditions[0]-} verdict=${closetrace_conditions[1]-}
  if [[ $address == *=* || $address != *:* || -z $verdict || $verdict == *=* ]]; then
    closetrace_fail "an address and a verdict are needed: assert_fin 127.0.0.1:8080 sent" || return
  fi
  closetrace_conditions=("fin=$verdict" "${closetrace_conditions[@]:2}")
  closetrace_check_conditions "local=$address" "${closetrace_conditions[@]}" || return
  closetrace_grep "local=$address" "${closetrace_conditions[@]}" >/dev/null && return
  closetrace_grep "remote=$address" "${closetrace_conditions[@]}" >/dev/null && return
  if closetrace_grep "remote=$address" fin='*' >/dev/null; then
    closetrace_explain "remote=$address" "${closetrace_conditions[@]}" >&2
  else
    closetrace_explain "local=$address" "${closetrace_conditions[@]}" >&2
  fi
  return 1
}

# assert_no_findings [--in NAME|FILE] [--only=FINDING] [--ignore=FINDING[:KEY=VALUE...]|@FILE]...
assert_no_findings() {
  local report status=0 choice=() rest=()
  while [ $# -gt 0 ]; do
    case $1 in
      --ignore=* | --only=*) choice+=("$1") ;;
      --ignore | --only)
        [ $# -ge 2 ] || closetrace_fail "$1: a value is missing" || return
        choice+=("$1=$2")
        shift
        ;;
      *) rest+=("$1") ;;
    esac
    shift
  done
  closetrace_arguments "${rest[@]}" || return
  [ ${#closetrace_conditions[@]} = 0 ] || closetrace_fail "this takes no conditions: ${closetrace_conditions[*]}" || return
  # One that matches nothing is named on standard error, which is no failure.
  report=$("$(closetrace_command)" report --fail "${choice[@]}" "${closetrace_traces[@]}" 2>&1) || status=$?
  [ $status != 0 ] || return 0
  printf '%s\n' "-- closetrace report --" "$report" >&2
  return 1
}
