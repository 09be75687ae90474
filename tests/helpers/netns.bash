# shellcheck shell=bash
# Network namespaces of a test's own, so that its capture holds nobody else's segments and its ports are all free.
# Needs root. For bats: names are unique, and what was made is written down in $BATS_TEST_TMPDIR/netns.
#
#   netns_create NAME        makes a namespace with lo up, and sets the variable NAME to its name
#   netns_run NAME COMMAND   runs a command in it. (Not `ip netns exec`: that one mounts /sys anew, which fails in a chroot)
#   netns_remove_all         removes every namespace that this test has made; for teardown

netns_create() {
  local -n made=$1
  made=closetrace-$BASHPID-$RANDOM
  ip netns add "$made"
  echo "$made" >>"$BATS_TEST_TMPDIR/netns"
  netns_run "$made" ip link set lo up
}

netns_run() {
  local name=$1
  shift
  nsenter "--net=/run/netns/$name" "$@"
}

netns_remove_all() {
  local name
  [ -e "$BATS_TEST_TMPDIR/netns" ] || return 0
  while read -r name; do
    ip netns delete "$name"
  done <"$BATS_TEST_TMPDIR/netns"
  rm "$BATS_TEST_TMPDIR/netns"
}
