# shellcheck shell=bash
# What documents show of runs, between lines "<!-- recording NAME -->" (or without a name) and "<!-- end -->", held against
# a new run in what two runs have in common (essence.awk). For bats.
#
#   recording NAME FILE            prints it; NAME may be empty
#   essence [FILE...]              of a recording
#   assert_same_essence SHOWN RUN HINT
#                                  two files with recordings, neither of them empty; HINT: what makes the shown one anew

recording() {
  sed -n "/^<!-- recording${1:+ $1} -->/,/^<!-- end/p" "$2"
}

load helpers/libc

# Beside other users' processes a count of references is a lower bound (2->1+) for everybody but root; where callers are not
# known nothing is "called from" anywhere.
essence() {
  local left_out=()
  [ "$(id -u)" = 0 ] || left_out+=(-e 's/(refs [0-9]+->[0-9]+)[+]/\1/')
  callers_are_known || left_out+=(-e 's/; called from.*//')
  awk -f "$BATS_TEST_DIRNAME/helpers/essence.awk" "$@" | sed -E -e '' "${left_out[@]}"
}

assert_same_essence() {
  essence "$1" >"$1.essence" && essence "$2" >"$2.essence" || return
  [ -s "$1.essence" ] || { echo "nothing is shown" && return 1; }
  diff -u --label shown "$1.essence" --label 'this run' "$2.essence" || { echo "if the run is right: $3" && return 1; }
}
