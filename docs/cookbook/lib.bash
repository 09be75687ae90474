# shellcheck shell=bash
# What the recipes of the cookbook share. A recipe is a script that shows commands and what they print:
#
#   show 'COMMAND'             shows it behind a $, runs it here, its output follows; its exit status does not matter
#   show_start 'COMMAND'       the same in the background, in a session of its own; $started is its process id
#   start 'COMMAND'            not shown: what the recipe only needs
#   ended PID...               waits until these have ended (what they started too, where closetrace runs them), and shows what
#                              they have printed: not before, so that it is the same each time
#   stop PID...                ends them, and waits likewise
#   until_true COMMAND...      waits for it, 20 seconds at most
#   listens PORT, connections STATE PORT      to wait for
#
# It all happens in a network namespace of its own, where every port is free and nobody else's traffic is seen: that needs
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
