#!/bin/bash
# The client hangs, though the server has answered "OK" and closed: a child that was forked meanwhile has the connection.
. "$(dirname "$0")/lib.bash"

show_start 'closetrace run -o trace redis-server --save "" --rdb-key-save-delay 1000000 >/dev/null 2>&1'
server=$started
until_true listens 6379
show 'redis-cli mset one 1 two 2'
show '{ echo PING; sleep 0.5; redis-cli bgsave >/dev/null; echo QUIT; } | (time -p nc 127.0.0.1 6379)'
stop "$server"
show 'closetrace report trace'
show 'closetrace grep trace fin=withheld | closetrace print -'
