#!/bin/bash
# Does a relay forward a half-close? This one does, but waits only half a second for the answer.
. "$(dirname "$0")/lib.bash"

start "exec socat TCP-LISTEN:8081,reuseaddr,fork SYSTEM:'cat >/dev/null; sleep 1; echo the answer',nofork"
until_true listens 8081
show_start 'closetrace run -o trace socat TCP-LISTEN:8080,reuseaddr TCP:127.0.0.1:8081'
relay=$started
until_true listens 8080
show 'echo question | nc -N 127.0.0.1 8080'
ended "$relay"
show 'closetrace report trace'
show_start 'closetrace run -o trace socat -t 60 TCP-LISTEN:8080,reuseaddr TCP:127.0.0.1:8081'
relay=$started
until_true listens 8080
show 'echo question | nc -N 127.0.0.1 8080'
ended "$relay"
show 'closetrace report trace'
