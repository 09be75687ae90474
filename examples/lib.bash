# shellcheck shell=bash
# What the `run` scripts of the lessons share. A script sources it, plays its programs, and ends with the_end:
#
#   play "server [ARG...]" "client [ARG...]"
#       Starts both, traced, and waits for both. What closetrace and the programs print goes to one recording, in the
#       order in which it happened. Fails if one of them ends otherwise than it should.
#   ends_by WHO SIGNAL       before play: WHO (server, client) is to be ended by this signal ("KILL")
#   rule[WHO]=RULE           before play: a fault rule (CLOSETRACE_INJECT) for this one
#   relay="relay [ARG...]"   before play: a third program between the two
#   meanwhile COMMAND...     before play: what the script itself does while they run
#   headline WORDS...        a line of the recording: what the next play is about
#   the_end                  shows it: the claim of the lesson's README.md, the recording, the explanation
#
# Settings: BUILD, where the programs are built (build); LIB, the library (libclosetrace.so); CLOSETRACE, the command;
#   LESSON_LOG=FILE    the trace goes there as JSON lines, and the recording has only what the programs say
#   LESSON_PLAIN=1     the recording alone is printed
#   LESSON_BUILT=1     everything is built: make is not asked

set -euo pipefail

lessons=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lesson=$(basename "$(cd "$(dirname "$0")" && pwd)")
root=$(dirname "$lessons")
BUILD=$(realpath -m "${BUILD:-$root/build}")
LIB=$(realpath -m "${LIB:-$root/libclosetrace.so}")
CLOSETRACE=$(realpath -m "${CLOSETRACE:-$root/closetrace}")

die() { echo "lesson $lesson: $*" >&2 && exit 1; }

unset LD_PRELOAD "${!CLOSETRACE_@}"
ulimit -c 0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/closetrace-lesson.XXXXXX")
recording=$scratch/recording
declare -A actor=() ending=() rule=()
between=()

# shellcheck disable=SC2317 # the trap calls it
leave() {
  local pid
  for pid in "${actor[@]}"; do
    kill -KILL "$pid" 2>/dev/null || :
  done
  rm -rf "$scratch"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

# The one place that says how a program is traced. These lessons are about connections: listeners are left out.
traced() {
  local settings=("LD_PRELOAD=$LIB" 'CLOSETRACE_ONLY=state!=LISTEN')
  [ -z "${LESSON_LOG-}" ] || settings+=("CLOSETRACE_OUTPUT=$LESSON_LOG" CLOSETRACE_FORMAT=json)
  [ -z "${rule[$1]-}" ] || settings+=("CLOSETRACE_INJECT=${rule[$1]}")
  local program=$BUILD/examples/$lesson/$1
  shift
  exec env --default-signal=INT --default-signal=QUIT "${settings[@]}" "$program" "$@"
}

build() {
  local programs=("$lessons/$lesson"/*.c)
  programs=("${programs[@]/#$root/$BUILD}")
  make -s -C "$root" "BUILD=$BUILD" "LIB=$LIB" "COMMAND=$CLOSETRACE" "$LIB" "$CLOSETRACE" "${programs[@]%.c}"
}

# start_actor WHO HERE THERE HERE2 THERE2 [ARG...]: a program of this lesson in the background. It has its turn when there
# is something in the pipe HERE (descriptor 8), and gives it away over the pipe THERE (9); a relay has two pairs (10, 11).
start_actor() {
  local who=$1 pipes=("${@:2:4}")
  shift 5
  traced "$who" "$@" </dev/null >>"$recording" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8<>"$scratch/${pipes[0]}" \
    9<>"$scratch/${pipes[1]}" 10<>"$scratch/${pipes[2]}" 11<>"$scratch/${pipes[3]}" &
  actor[$who]=$!
}

# A signal that ended it is a line of the recording: no code of the process could have written it.
end_actor() {
  local who=$1 status=0 found
  [ -n "${actor[$who]-}" ] || return 0
  wait "${actor[$who]}" 2>/dev/null || status=$?
  unset "actor[$who]"
  found=$status
  if [ $status -gt 128 ]; then
    found=$(kill -l $status)
    remark "$who was ended by SIG$found"
  fi
  [ "$found" = "${ending[$who]:-0}" ] || { cat "$recording" >&2 && die "$who has ended with $found"; }
  unset "ending[$who]"
}

remark() { printf '%22s%s\n' '' "$*" >>"$recording"; }
headline() { printf '\n%s\n' "$*" >>"$recording"; }
ends_by() { ending[$1]=$2; }
meanwhile() { between=("$@"); }

play() {
  local server client between_them
  read -ra server <<<"$1"
  read -ra client <<<"$2"
  read -ra between_them <<<"${relay-}"
  rm -f "$scratch"/{server,relay,upstream,client}
  mkfifo "$scratch"/{server,relay,upstream,client}
  if [ -n "${relay-}" ]; then
    start_actor server server upstream server upstream "${server[@]:1}"
    start_actor relay relay client upstream server "${between_them[@]:1}"
    start_actor client client relay client relay "${client[@]:1}"
  else
    start_actor server server client server client "${server[@]:1}"
    start_actor client client server client server "${client[@]:1}"
  fi
  [ ${#between[@]} = 0 ] || "${between[@]}"
  for who in client relay server; do
    end_actor $who
  done
}

# Left out: the lines that frame a process's events. The others of the trace are numbered.
numbered() {
  awk '/ \+\+\+ / { next } /^[0-9][0-9]:/ { printf "%2d  %s\n", ++count, $0; next } { print /^ / ? "    " $0 : $0 }' "$recording" |
    sed '1{/^$/d}'
}

the_end() {
  local readme=$lessons/$lesson/README.md
  [ -z "${LESSON_PLAIN-}" ] || { numbered && return; }
  sed -n '/^<!-- recording/q; p' "$readme"
  numbered
  sed '1,/^<!-- end/d' "$readme"
}

[ -n "${LESSON_BUILT-}" ] || build
