#!/usr/bin/env bats
# bats file_tags=root
# A client sends one byte more while an answer of a megabyte is on its way, and the server has closed: its kernel answers with
# an RST, and what the client had not acknowledged is lost. As many bytes as a capture shows, for each server.

# shellcheck disable=SC2094 # report is a subcommand, and a file

bats_require_minimum_version 1.5.0

load helpers/netns
load helpers/wait

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}

setup() {
  PATH=$PATH:/usr/sbin:/sbin
  # Where every user can read it.
  PLACE=$(mktemp -d /tmp/closetrace-late.XXXXXX)
  chmod 755 "$PLACE"
  install -m 755 "$CLOSETRACE" "${LIB:-$BATS_TEST_DIRNAME/../libclosetrace.so}" "$PLACE"
  cd "$PLACE" || return
  netns_create NETNS
  # So that a server is done with the whole answer at once.
  netns_run "$NETNS" sysctl -qw 'net.ipv4.tcp_wmem=4096 4000000 4000000'
  mkdir files
  head -c 1000000 /dev/zero >files/large
  echo short >files/short
  cat >client.py <<'END'
import socket, subprocess, sys
port, name, late = int(sys.argv[1]), sys.argv[2], len(sys.argv) > 3
client = socket.socket()
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
client.settimeout(20)
client.connect(("127.0.0.1", port))
client.sendall(b"GET /%s HTTP/1.0\r\nHost: x\r\n\r\n" % name.encode())
if late:
    filter = f"sport = :{port} and dport = :{client.getsockname()[1]}"
    # Late is what comes when nobody has the connection: it has no inode then.
    while True:
        there = subprocess.run(["ss", "-Htne", "state", "fin-wait-1", filter], capture_output=True, text=True).stdout
        if there and ("ino:" not in there or "ino:0 " in there):
            break
    client.sendall(b"x")
got = b""
try:
    while data := client.recv(65536):
        got += data
    end = "in order"
except ConnectionResetError:
    end = "reset"
print(end, len(got), got.index(b"\r\n\r\n") + 4)
END
}

teardown() {
  local pid
  for pid in $(ip netns pids "$NETNS"); do kill -KILL "$pid" 2>/dev/null || :; done
  netns_remove_all
  cd / && rm -rf "$PLACE"
}

listens() { [ -n "$(netns_run "$NETNS" ss -Hltn "sport = :$1")" ]; }

# serve PORT COMMAND...: traced, until it listens
serve() {
  local port=$1
  shift
  netns_run "$NETNS" "$PLACE/closetrace" run -o trace.json -- "$@" >server.out 2>&1 3>&- </dev/null &
  SERVER=$!
  until_true listens "$port" || { cat server.out && return 1; }
}

# What the client had acknowledged of the server's bytes, on the wire.
acknowledged() {
  tcpdump -r wire.pcap -n "tcp dst port $1" 2>/dev/null | awk 'match($0, /ack [0-9]+/) {
    n = substr($0, RSTART + 4, RLENGTH - 4) + 0; if (n > most && n < 2000000) most = n } END { print most - 1 }'
}

ended() { ! kill -0 "$SERVER" 2>/dev/null; }

# cut PORT: the answer is, and the report says by how much.
cut() {
  local words lost wire
  netns_run "$NETNS" tcpdump -Z root --immediate-mode -i lo -s 96 -U -w wire.pcap tcp 2>tcpdump.err 3>&- &
  local capture=$!
  until_true grep -q 'listening on' tcpdump.err
  read -r -a words < <(netns_run "$NETNS" /usr/bin/python3 client.py "$1" large late)
  [ "${words[0]}" = reset ]
  until_true grep -q '"why":"after-close"' trace.json
  kill -TERM "$capture"
  wait "$capture" || :
  wire=$((words[2] + 1000000 - $(acknowledged "$1")))
  lost=$(jq 'select(.why == "after-close" and .fin == "reset") | .lost' trace.json)
  echo "lost $lost, on the wire $wire: ${words[*]}"
  [ "$lost" = "$wire" ]
  # The client may have got what it had not acknowledged.
  [ "$lost" -ge $((words[2] + 1000000 - words[1])) ]
  kill -TERM "$SERVER"
  until_true ended
  "$CLOSETRACE" report trace.json >report
  # Merely possible where nobody had looked between the close and the byte.
  grep -qE "^(finding|possible) answer-cut .* $lost bytes" report || { cat report && return 1; }
}

# whole PORT: no finding where nothing was lost
whole() {
  [[ $(netns_run "$NETNS" /usr/bin/python3 client.py "$1" large) == 'in order 1000'* ]]
  [[ $(netns_run "$NETNS" /usr/bin/python3 client.py "$1" short) == 'in order '* ]]
  kill -TERM "$SERVER"
  until_true ended
  "$CLOSETRACE" report trace.json >report
  run ! grep -q answer-cut report
  [ "$(jq -c 'select(.lost and .op == "release")' trace.json)" = '' ]
}

nginx_conf() {
  cat >nginx.conf <<END
daemon off; pid $PLACE/nginx.id; error_log stderr; worker_processes 1; user root;
events {}
http { access_log off; lingering_close $1; server { listen 127.0.0.1:8001; root $PLACE/files; } }
END
}

@test "nginx without lingering_close: the late byte cuts the answer" {
  nginx_conf off
  serve 8001 nginx -p "$PLACE" -c nginx.conf
  cut 8001
}

@test "nginx: answers that are taken are silent" {
  nginx_conf on
  serve 8001 nginx -p "$PLACE" -c nginx.conf
  whole 8001
}

@test "python http.server: the late byte cuts the answer" {
  serve 8002 /usr/bin/python3 -m http.server -b 127.0.0.1 -d files 8002
  cut 8002
}

@test "haproxy: the late byte cuts the answer" {
  netns_run "$NETNS" /usr/bin/python3 -m http.server -b 127.0.0.1 -d files 8002 >backend.out 2>&1 3>&- &
  until_true listens 8002
  cat >haproxy.cfg <<END
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
listen all
  bind 127.0.0.1:8003
  server files 127.0.0.1:8002
END
  serve 8003 haproxy -f haproxy.cfg
  cut 8003
}

@test "node: the late byte cuts the answer" {
  cat >node.js <<'END'
require("http").createServer((request, response) => {
  response.writeHead(200, { "Content-Length": 1000000 })
  response.end(Buffer.alloc(1000000))
}).listen(8004, "127.0.0.1")
END
  serve 8004 node node.js
  cut 8004
}
