# shellcheck shell=bash
# The wire: every segment with a FIN or an RST that passes lo of a network namespace (helpers/netns.bash). Needs
# tcpdump, and for bats: the files are in $BATS_TEST_TMPDIR. One capture a namespace, any number of namespaces.
#
#   capture_start NETNS      returns when the capture runs
#   capture_stop             stops every capture; each has then seen all that was sent before
#   capture_abort            kills what is left of them; for teardown
#
# After capture_stop, with addresses as closetrace writes them ("127.0.0.1:80", "[::1]:80"):
#
#   capture_segments ADDRESS          what was sent from there: "TIME FIN|RST BYTES-OF-DATA TO", a line a segment
#   capture_count FIN|RST ADDRESS     how many; a FIN that was sent again is one FIN
#   capture_show                      all of it, as tcpdump prints it; for messages

# tcp[13], ip6[53]: the flags. libpcap's tcp[] does not look into IPv6.
capture_filter='tcp[13] & 5 != 0 or (ip6[6] == 6 and ip6[53] & 5 != 0) or udp dst port 9'

# capture_wait CONDITION...: until the command succeeds, for 10 seconds at most.
capture_wait() {
  local _
  for _ in {1..1000}; do
    "$@" && return
    sleep 0.01
  done
  echo "capture: waited in vain for: $*" >&2
  return 1
}

capture_start() {
  local netns=$1
  nsenter "--net=/run/netns/$netns" tcpdump -i lo -nn -Z root -s 128 -B 4096 --immediate-mode -U \
    -w "$BATS_TEST_TMPDIR/$netns.pcap" "$capture_filter" 2>"$BATS_TEST_TMPDIR/$netns.tcpdump" >/dev/null 3>&- &
  echo "$! $netns" >>"$BATS_TEST_TMPDIR/captures"
  capture_wait grep -qs '^tcpdump: listening on' "$BATS_TEST_TMPDIR/$netns.tcpdump"
}

# A datagram, sent last, that is in the file proves that everything before it is.
capture_stop() {
  local pid netns status=0
  while read -r pid netns; do
    nsenter "--net=/run/netns/$netns" bash -c 'echo "closetrace: the last one" >/dev/udp/127.0.0.1/9'
    capture_wait grep -qs 'closetrace: the last one' "$BATS_TEST_TMPDIR/$netns.pcap" || status=1
    kill -INT "$pid"
    wait "$pid" || status=1
    grep -q '^0 packets dropped by kernel' "$BATS_TEST_TMPDIR/$netns.tcpdump" || status=1
  done <"$BATS_TEST_TMPDIR/captures"
  rm "$BATS_TEST_TMPDIR/captures"
  return $status
}

capture_abort() {
  local pid netns
  [ -e "$BATS_TEST_TMPDIR/captures" ] || return 0
  while read -r pid netns; do
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  done <"$BATS_TEST_TMPDIR/captures"
  rm "$BATS_TEST_TMPDIR/captures"
}

capture_show() {
  local file
  for file in "$BATS_TEST_TMPDIR"/*.pcap; do
    tcpdump -r "$file" -nn -tt -S 'not udp' 2>/dev/null
  done
}

# tcpdump -tt -S: 1700000000.000001 IP6 ::1.4711 > ::1.80: Flags [F.], seq 10:15, ack 1, win 512, ... length 5
capture_segments() {
  local address=$1
  if [[ $address == \[*\]:* ]]; then
    address=${address#\[}
    address=${address/\]:/.}
  else
    address=${address/:/.}
  fi
  capture_show | awk -v from="$address" '
    $3 == from && $6 == "Flags" {
      kind = $7 ~ /F/ ? "FIN" : "RST"
      match($0, /seq [0-9:]+/)
      sequence = substr($0, RSTART + 4, RLENGTH - 4)
      sub(/^.*:/, "", sequence) # where its data ends
      if (kind == "FIN" && seen[$5 sequence]++)
        next
      match($0, /length [0-9]+/)
      print $1, kind, substr($0, RSTART + 7, RLENGTH - 7) + 0, substr($5, 1, length($5) - 1)
    }'
}

capture_count() {
  capture_segments "$2" | awk -v kind="$1" '$2 == kind { count++ } END { print count + 0 }'
}
