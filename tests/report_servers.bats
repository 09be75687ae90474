#!/usr/bin/env bats
# bats file_tags=root
# What `closetrace report` finds in unmodified servers, and that it finds nothing in the same servers beside them that
# do it right.

load helpers/servers
load helpers/redis
load helpers/nginx

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}

setup_place() {
  netns_create NETNS
  # shellcheck disable=SC2034 # helpers/servers.bash
  MODE=traced KEPT=$PLACE/kept
  mkdir -p "$KEPT" "$WORK"
  : >"$LOG"
  chmod 666 "$LOG"
}

# A client that is not traced.
client() {
  nsenter "--net=/run/netns/$NETNS" /usr/bin/python3 - "$@" 3>&-
}

findings() {
  "$CLOSETRACE" report "$LOG" | grep -E '^(finding|possible) ' || :
}

# assert_finding NAME PATTERN...: one finding, and each pattern is in it.
assert_finding() {
  local name=$1 found pattern
  found=$(findings)
  shift
  for pattern in "^finding $name " "$@"; do
    [ "$(grep -cE -e "$pattern" <<<"$found")" = 1 ] || { echo "not one \"$pattern\" in: $found" && report_show; }
  done
  [ "$(wc -l <<<"$found")" = 1 ] || { echo "more than one: $found" && report_show; }
  run "$CLOSETRACE" report --fail "$LOG"
  # shellcheck disable=SC2154 # bats sets it
  [ "$status" = 1 ] || report_show
}

assert_no_finding() {
  [ -z "$(findings)" ] || report_show
  "$CLOSETRACE" report --fail "$LOG" >"$PLACE/report" || report_show
  [ "$(grep -c ' -> ' "$PLACE/report")" -ge 1 ] || { echo "there was no connection" && report_show; }
}

report_show() {
  "$CLOSETRACE" report "$LOG"
  cat "$LOG"
  return 1
}

@test "redis: BGSAVE and QUIT: fin-withheld, unless it shuts down before it closes" {
  setup_place
  redis_quits save
  ! redis_shuts_down || { assert_no_finding && return; }
  assert_finding fin-withheld ' redis-server close\([0-9]+\)' 'kept open by [0-9]+ redis-server fd [0-9]+ \(forked\)' \
    'the FIN was sent [12]\.[0-9]+ s late'
}

@test "redis: QUIT without a save: nothing" {
  setup_place
  redis_quits plain
  assert_no_finding
}

# A stream proxy before a server that answers when it has read all. The client half-closes after its request.
nginx_stream() {
  [[ $(/usr/sbin/nginx -v 2>&1) != */1.1* ]] || skip "proxy_half_close came with nginx 1.21.4"
  cat >"$WORK/conf" <<END
load_module modules/ngx_stream_module.so;
daemon off;
master_process off;
pid $WORK/pid;
error_log stderr;
events {}
stream {
  server {
    listen 127.0.0.1:8080;
    proxy_pass 127.0.0.1:8081;
    proxy_half_close $1;
  }
}
END
  nsenter "--net=/run/netns/$NETNS" /usr/bin/python3 - 3>&- <<'PYTHON' &
import socket

listener = socket.create_server(("127.0.0.1", 8081))
connection, _ = listener.accept()
while connection.recv(100):
    pass
try:
    connection.sendall(b"answer")
except OSError:
    pass
connection.close()
PYTHON
  local back=$!
  until_true listens 8081
  # shellcheck disable=SC2046 # words
  serve nginx 8080 /usr/sbin/nginx -c "$WORK/conf" $(nginx_log stderr)
  client >"$PLACE/answer" <<'PYTHON'
import socket

with socket.create_connection(("127.0.0.1", 8080), timeout=20) as connection:
    connection.sendall(b"request")
    connection.shutdown(socket.SHUT_WR)
    print(connection.recv(100))
PYTHON
  stop nginx TERM
  wait "$back"
}

@test "nginx: a stream proxy takes a half-close for an abort: half-close-as-abort" {
  setup_place
  nginx_stream off
  [ "$(cat "$PLACE/answer")" = "b''" ]
  assert_finding half-close-as-abort 'EOF was read after 7 bytes' 'was still reading: its end was in FIN_WAIT[12] and still had a file descriptor' ' nginx close\([0-9]+\) at '
}

@test "nginx: a stream proxy with proxy_half_close: nothing" {
  setup_place
  nginx_stream on
  [ "$(cat "$PLACE/answer")" = "b'answer'" ]
  assert_no_finding
}

# The client reads slowly, so that the server closes with a part of the answer on its way.
python_http() {
  head -c 3000000 /dev/zero >"$WORK/big"
  serve http 8000 /usr/bin/python3 -m http.server --bind 127.0.0.1 --directory "$WORK" 8000
  client "$1" >"$PLACE/answer" <<'PYTHON'
import socket
import sys
import time

with socket.socket() as connection:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", 8000))
    connection.sendall(b"GET /big HTTP/1.0\r\n\r\n")
    length = len(connection.recv(100))
    connection.sendall(sys.argv[1].encode())
    try:
        while got := connection.recv(65536):
            length += len(got)
            time.sleep(0.0002)
        print("whole" if length > 3000000 else "short")
    except ConnectionResetError:
        print("reset")
PYTHON
  stop http INT
}

@test "python3 http.server: two stray bytes after the request: reset-on-close" {
  setup_place
  python_http ab
  [ "$(cat "$PLACE/answer")" = reset ]
  assert_finding reset-on-close ': 2 bytes were unread' '[0-9]{4,} bytes that it had written were not acknowledged'
}

@test "python3 http.server: without stray bytes: nothing" {
  setup_place
  python_http ''
  [ "$(cat "$PLACE/answer")" = whole ]
  assert_no_finding
}

# $1: seconds after the end of the client's stream, at which the connection is closed.
python_forgets() {
  cat >"$WORK/forgets.py" <<'PYTHON'
import socket
import sys
import time

listener = socket.create_server(("127.0.0.1", 8002))
connection, _ = listener.accept()
while connection.recv(100):
    connection.sendall(b"answer")
time.sleep(float(sys.argv[1]))
PYTHON
  serve forgets 8002 /usr/bin/python3 "$WORK/forgets.py" "$1"
  client <<'PYTHON'
import socket

with socket.create_connection(("127.0.0.1", 8002), timeout=20) as connection:
    connection.sendall(b"request")
    assert connection.recv(100) == b"answer"
PYTHON
  ask_end forgets
}

@test "python3: a close forgotten after EOF: close-wait" {
  setup_place
  python_forgets 10.5
  assert_finding close-wait 'CLOSE_WAIT for 1[0-9]\.[0-9]+ s without traffic'
}

@test "python3: a close after EOF, a second later: nothing" {
  setup_place
  python_forgets 1
  assert_no_finding
}

# A server that never accepts is restarted while connections wait.
queue() {
  cat >"$WORK/server.py" <<'PYTHON'
import signal
import socket
import sys

listener = socket.create_server(("127.0.0.1", 8003))
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
while True:
    if len(sys.argv) > 1:
        listener.accept()[0].close()
    else:
        signal.pause()
PYTHON
  serve server 8003 /usr/bin/python3 "$WORK/server.py" "$@"
  client <<'PYTHON' &
import socket

waiting = [socket.create_connection(("127.0.0.1", 8003), timeout=20) for _ in range(3)]
for connection in waiting:
    try:
        connection.recv(1)
    except ConnectionResetError:
        pass
PYTHON
  local clients=$!
  until_true came "$#"
  stop server TERM
  wait "$clients"
}

# All three wait in its queue; or, where it accepts them ($1 = 1), all are over.
came() {
  [ "$(nsenter "--net=/run/netns/$NETNS" ss -Htan state established 'dport = :8003' | wc -l)" = "$((3 - 3 * $1))" ] &&
    { [ "$1" = 0 ] || [ "$(jq -s 'map(select(.op == "accept")) | length' "$LOG")" = 3 ]; }
}

@test "a server restarted with connections in its queue: queue-reset" {
  setup_place
  queue
  assert_finding queue-reset 'with 3 connections waiting to be accepted: each was reset'
}

@test "a server restarted with none in its queue: nothing" {
  setup_place
  queue accept
  assert_no_finding
}

postgres() {
  local bin=(/usr/lib/postgresql/*/bin)
  local sql=(setpriv "--reuid=postgres" "--regid=$(id -g postgres)" --clear-groups)
  chown postgres "$WORK"
  "${sql[@]}" "${bin[-1]}/initdb" -D "$WORK/data" -A trust --no-sync --locale=C >"$PLACE/initdb" 2>&1
  RUN_AS=postgres serve postgres 5432 "${bin[-1]}/postgres" -D "$WORK/data" -c unix_socket_directories= \
    -c listen_addresses=127.0.0.1 -c fsync=off
  until_true nsenter "--net=/run/netns/$NETNS" "${bin[-1]}/pg_isready" -q -h 127.0.0.1
  nsenter "--net=/run/netns/$NETNS" psql -XAtq -h 127.0.0.1 -U postgres -c "copy (select 1) to program '$1'" postgres
  # It is over when the server's last descriptor of the connection is.
  until_true no_sleep
  stop postgres INT
}

postgres_version() {
  local bin=(/usr/lib/postgresql/*/bin)
  "${bin[-1]}/postgres" --version
}

no_sleep() {
  ! ip netns pids "$NETNS" | xargs -r -I% cat /proc/%/comm 2>/dev/null | grep -qx sleep
}

# Since 17 its programs do not get the connection any more.
@test "PostgreSQL: a program of COPY TO PROGRAM goes on in the background: fin-withheld before 17" {
  setup_place
  postgres 'cat >/dev/null; sleep 2.5 >/dev/null 2>&1 &'
  [[ ! $(postgres_version) =~ \ (1[7-9]|[2-9][0-9])[.\ ] ]] || { assert_no_finding && return; }
  assert_finding fin-withheld 'kept open by [0-9]+ (sh|sleep) fd [0-9]+ \(forked, and left open across exec\)' \
    'the FIN was sent [12]\.[0-9]+ s late'
}

@test "PostgreSQL: a program of COPY TO PROGRAM that ends: nothing" {
  setup_place
  postgres 'cat >/dev/null'
  assert_no_finding
}
