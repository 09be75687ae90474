#!/bin/bash
# Is a test suite sensitive to a late FIN? Run it against a server whose FINs are four seconds late.
. "$(dirname "$0")/lib.bash"

echo hello >page
cat >suite <<'END'
check() { echo "$1: $(timeout 2 sh -c "$2" 2>&1 | tail -n 1)"; }
check curl 'curl -sS http://127.0.0.1:8080/page'
check nc 'printf "GET /page HTTP/1.0\r\n\r\n" | nc 127.0.0.1 8080 && echo done'
END

both_were_late() { [ "$(grep -c '"injected":' trace)" = 2 ]; }

show 'cat suite'
show_start 'closetrace run -o trace python3 -m http.server --bind 127.0.0.1 8080 >/dev/null 2>&1'
server=$started
until_true listens 8080
show 'sh suite'
stop "$server"
show_start 'closetrace run -e inject=shutdown:delay_enter=4s -o trace python3 -m http.server --bind 127.0.0.1 8080 >/dev/null 2>&1'
server=$started
until_true listens 8080
show 'sh suite'
until_true both_were_late
stop "$server"
show 'closetrace grep trace injected=\* | closetrace print -'
