# shellcheck shell=bash
# Shared code of the cookbook's recipes. A recipe is a script that shows commands and their output:
#
#   show 'COMMAND'             prints it after a $, runs it here, and prints its output; its exit status does not matter
#   show_start 'COMMAND'       the same in the background, in its own session; $started is its process id
#   start 'COMMAND'            like show_start, but prints nothing: for what the recipe merely needs
#   ended PID...               waits until these processes have ended (including everything they started, if closetrace runs
#                              them), and prints their output: only then, so that it is the same each time
#   stop PID...                ends them, and then does the same
#   until_true COMMAND...      waits until the command succeeds, for at most 20 seconds
#   listens PORT, connections STATE PORT      conditions to wait for
#
# Everything happens in a private network namespace, where every port is free and nobody else's traffic is seen. This needs
# root, or user namespaces. `closetrace` is that of this checkout.

set -euo pipefail

recipes=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$recipes/../.." && pwd)

if [ -z "${COOKBOOK_INSIDE-}" ]; then
  namespace=(unshare --net)
  [ "$(id -u)" = 0 ] || namespace+=(--map-root-user)
  COOKBOOK_INSIDE=1 exec "${namespace[@]}" "$0" "$@"
fi

die() { echo "$(basename "$0"): $*" >&2 && exit 1; }

# As from a terminal: the programs find the descriptors free that they show.
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
unset LD_PRELOAD "${!CLOSETRACE_@}"
export LC_ALL=C.UTF-8
[ -n "${COOKBOOK_COLOUR-}" ] || export NO_COLOR=1 # docs/terminal/record sets it
PATH=$(dirname "$(realpath "${CLOSETRACE:-$root/closetrace}")"):$PATH:/usr/sbin:/sbin
closetrace --version >/dev/null || die 'there is no closetrace: run make'
ip link set lo up
scratch=$(mktemp -d "${TMPDIR:-/tmp}/closetrace-recipe.XXXXXX")
cd "$scratch"
running=()
declare -A output=()

# shellcheck disable=SC2317 # the trap calls it
leave() {
  local pid
  for pid in "${running[@]}"; do
    kill -KILL -- "-$pid" 2>/dev/null || :
  done
  cd / && rm -rf "$scratch"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

until_true() {
  local _
  for _ in {1..1000}; do
    "$@" >/dev/null 2>&1 && return
    sleep 0.02
  done
  die "waited in vain for: $*"
}

listens() { [ -n "$(ss -Hltn "sport = :$1")" ]; }
connections() { [ -n "$(ss -Htn state "$1" "sport = :$2")" ]; }
is_gone() { ! [ -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

start() {
  setsid bash -c "$1" >".output.${#running[@]}" 2>&1 &
  started=$!
  output[$started]=.output.${#running[@]}
  disown "$started"
  running+=("$started")
}

show() {
  echo "\$ $1"
  bash -c "$1" 2>&1 || :
}

show_start() {
  echo "\$ $1 &"
  start "exec $1"
}

ended() {
  local pid
  for pid in "$@"; do
    until_true is_gone "$pid"
    cat "${output[$pid]}"
  done
}

stop() {
  kill -TERM "$@"
  ended "$@"
}
