#!/bin/bash
# A relay whose backend has ended, but whose client has not: it stays in CLOSE_WAIT.
. "$(dirname "$0")/lib.bash"

start "exec socat TCP-LISTEN:8081,reuseaddr SYSTEM:'echo hello'"
until_true listens 8081
show_start 'closetrace run -o trace socat -t 3600 TCP-LISTEN:8080,reuseaddr TCP:127.0.0.1:8081'
relay=$started
until_true listens 8080
start 'sleep 12 | nc 127.0.0.1 8080 >/dev/null'
until_true sh -c 'ss -Htn state close-wait | grep -q .'
show 'ss -Htnp state close-wait dport = :8081'
ended "$relay"
show 'closetrace grep trace op=eof rport=8081 | closetrace print -'
