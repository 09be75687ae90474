# shellcheck shell=bash
# Waiting for what will come, and not for luck.
#
#   until_true COMMAND...   tries it again and again, 10 seconds at most; fails, and says so, if it never succeeds

until_true() {
  local _
  for _ in {1..500}; do
    "$@" >/dev/null 2>&1 && return
    sleep 0.02
  done
  echo "waited in vain for: $*"
  return 1
}
