#!/bin/bash
# The client hangs, though the server has answered, closed and ended: something that it started has the connection.
. "$(dirname "$0")/lib.bash"

show_start "closetrace run -o trace socat TCP-LISTEN:8080,reuseaddr SYSTEM:'echo hello; sleep 2 &',nofork"
until_true listens 8080
show 'nc -d 127.0.0.1 8080'
ended "$started"
show 'closetrace report trace'
show 'closetrace grep trace fin=withheld op=exit'
