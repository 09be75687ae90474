#!/bin/bash
# A client in FIN_WAIT2: it has ended, but the server has not. The server's side shows why.
. "$(dirname "$0")/lib.bash"

show_start "closetrace run -o trace socat TCP-LISTEN:8080,reuseaddr EXEC:'sleep 6',nofork"
server=$started
until_true listens 8080
start 'echo question | nc -N 127.0.0.1 8080'
until_true sh -c 'ss -Htn state fin-wait-2 | grep -q .'
show 'ss -Htnp state fin-wait-2'
show 'ss -Htnp state close-wait'
ended "$server"
show 'closetrace grep trace fin=\* | closetrace print -'
