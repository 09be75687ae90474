#!/bin/bash
# A daemon that dies silently when its client is gone: SIGPIPE.
. "$(dirname "$0")/lib.bash"

show_start 'closetrace run -o trace tcpsvd -l localhost 127.0.0.1 8080 vmstat -n 1'
server=$started
until_true listens 8080
show 'nc -d 127.0.0.1 8080 | head -n 1 | cut -c 1-5'
until_true grep -q SIGPIPE trace
stop "$server"
show 'closetrace grep trace comm=vmstat | closetrace print -'
