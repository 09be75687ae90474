#!/bin/bash
# A server that answers without reading all of the request, and ends: the answer is cut off.
. "$(dirname "$0")/lib.bash"

printf 'HTTP/1.0 200 OK\r\n\r\n' >answer
head -c 3000000 /dev/zero >>answer
show_start "closetrace run -o trace socat TCP-LISTEN:8080,reuseaddr EXEC:'cat answer',nofork"
server=$started
until_true listens 8080
show 'curl -sS -d question=why http://127.0.0.1:8080/ | (sleep 0.5; wc -c)'
ended "$server"
