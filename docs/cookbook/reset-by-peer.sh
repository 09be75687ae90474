#!/bin/bash
# A server ends, and a client that had connected but was not yet served gets "connection reset by peer".
. "$(dirname "$0")/lib.bash"

waiting() { [ "$(ss -Htn state established sport = :8080 | wc -l)" = 2 ]; }

show_start 'closetrace run -o trace nc -d -l 127.0.0.1 8080'
server=$started
until_true listens 8080
start 'exec nc -d 127.0.0.1 8080'
first=$started
until_true connections established 8080
show_start 'curl -sS http://127.0.0.1:8080/'
client=$started
until_true waiting
stop "$first"
ended "$server" "$client"
