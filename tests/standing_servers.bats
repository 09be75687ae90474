#!/usr/bin/env bats
# bats file_tags=root
# Servers that hang in CLOSE_WAIT: what closetrace now says while they do, and what the report of their session says,
# before and after they are asked to end. All of them hang at once, in one network, for ten seconds.

# shellcheck disable=SC2094 # report is a subcommand, and a file

bats_require_minimum_version 1.5.0

load helpers/netns
load helpers/wait

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}

# hang NAME COMMAND...: a server, in a session of its own; its command's process id goes to NAME.pid
hang() {
  local name=$1
  shift
  nsenter "--net=/run/netns/$NETNS" env --default-signal=INT,QUIT "$CLOSETRACE" run -o "$name.json" "--reach=${REACH-auto}" -- "$@" \
    >"$name.out" 2>&1 3>&- </dev/null &
  echo $! >"$name.pid"
}

write_servers() {
  cat >nginx.conf <<END
daemon off; pid nginx.id; error_log stderr; worker_processes 1; user root;
events {}
http {
  access_log off;
  server { listen 127.0.0.1:8001; location / { proxy_pass http://127.0.0.1:8099; proxy_ignore_client_abort on; } }
}
END
  cat >haproxy.cfg <<END
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
listen all
  bind 127.0.0.1:8002
  server silent 127.0.0.1:8099
END
  cat >node.js <<'END'
require("net").createServer({ allowHalfOpen: true }, (socket) => socket.resume()).listen(8004, "127.0.0.1")
END
  cat >Hang.java <<'END'
import java.net.*;
public class Hang {
    static Socket kept;
    public static void main(String[] arguments) throws Exception {
        var listener = new ServerSocket(8005, 50, InetAddress.getByName("127.0.0.1"));
        kept = listener.accept();
        while (kept.getInputStream().read() >= 0) { }
        Thread.sleep(60000);
    }
}
END
  cat >hooks.json <<END
[{"id": "hang", "execute-command": "/bin/sleep", "include-command-output-in-response": true,
  "pass-arguments-to-command": [{"source": "string", "name": "60"}]}]
END
  cat >clients.py <<'END'
import socket, subprocess, sys, time
silent = socket.create_server(("127.0.0.1", 8099))
def dial(port, request=b""):
    for _ in range(600):
        try:
            connection = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    else:
        sys.exit(f"nobody listens on {port}")
    connection.sendall(request)
    return connection
get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
clients, kept = [], []
for port in 8001, 8002:
    clients.append(dial(port, get))
    kept.append(silent.accept()) # it has the request, and does not answer
clients.append(dial(8003, b"PING\r\n"))
assert clients[-1].recv(9) == b"+PONG\r\n"
kept.append(dial(8003, b"DEBUG SLEEP 60\r\n"))
time.sleep(0.5)
for port in 8004, *(int(word) for word in sys.argv[1:]):
    clients.append(dial(port, b"GET /hooks/hang HTTP/1.1\r\nHost: x\r\n\r\n"))
time.sleep(0.5)
for client in clients:
    client.close()
open("hanging", "w").write("x")
time.sleep(300)
END
}

start_postgres() {
  local bin=(/usr/lib/postgresql/*/bin)
  install -d -o postgres "$PLACE/data"
  local as_postgres=(setpriv --reuid=postgres "--regid=$(id -g postgres)" --clear-groups)
  "${as_postgres[@]}" "${bin[-1]}/initdb" -D "$PLACE/data" -A trust --no-sync >initdb.out
  hang postgres "${as_postgres[@]}" "${bin[-1]}/postgres" -D "$PLACE/data" -h 127.0.0.1 -k ''
  until_true nsenter "--net=/run/netns/$NETNS" "${bin[-1]}/pg_isready" -q -h 127.0.0.1
  nsenter "--net=/run/netns/$NETNS" psql -h 127.0.0.1 -U postgres -XAtc 'select pg_sleep(60)' >/dev/null 2>&1 3>&- &
  local client=$!
  until_true pgrep -f 'postgres: postgres postgres 127.0.0.1.* SELECT'
  kill -KILL "$client"
}

in_close_wait() {
  nsenter "--net=/run/netns/$NETNS" "$CLOSETRACE" now --format=json state=CLOSE_WAIT | jq -c 'select(.op == "now")'
}

# Seven of them, or without Java six, and the kernel counts for how long.
stand_long() {
  [ "$(in_close_wait | jq -s 'map(select(.in_state >= 10.1)) | length')" = "$COUNT" ]
}

setup_file() {
  export BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR COUNT=6 PLACE
  PATH=$PATH:/usr/sbin:/sbin
  cd "$BATS_FILE_TMPDIR" || return
  # Where every user can read it.
  PLACE=$(mktemp -d /tmp/closetrace-standing.XXXXXX)
  chmod 755 "$PLACE"
  install -m 755 "$CLOSETRACE" "${LIB:-$BATS_TEST_DIRNAME/../libclosetrace.so}" "$PLACE"
  CLOSETRACE=$PLACE/closetrace
  local ports=(8006)
  netns_create NETNS
  export NETNS
  write_servers
  hang nginx nginx -p "$PWD" -c nginx.conf
  hang haproxy haproxy -f haproxy.cfg
  hang redis redis-server --port 8003 --bind 127.0.0.1 --save '' --enable-debug-command yes
  hang node node node.js
  REACH=preload hang webhook webhook -hooks hooks.json -ip 127.0.0.1 -port 8006
  if command -v javac; then
    hang java java -Xshare:auto Hang.java
    ports+=(8005) COUNT=7
  fi
  nsenter "--net=/run/netns/$NETNS" /usr/bin/python3 clients.py "${ports[@]}" >clients.out 2>&1 3>&- &
  start_postgres
  until_true test -s hanging || { cat clients.out ./*.out && return 1; }
  local _
  for _ in {1..300}; do
    stand_long && return
    sleep 0.1
  done
  in_close_wait
  return 1
}

teardown_file() {
  local pid
  for pid in $(ip netns pids "$NETNS"); do kill -KILL "$pid" 2>/dev/null || :; done
  BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR netns_remove_all
  rm -rf "$PLACE"
}

setup() {
  cd "$BATS_FILE_TMPDIR" || return
  CLOSETRACE=$PLACE/closetrace
}

# named PORT COMM WORDS: the finding is one line, names that process and its descriptor, and says what WORDS match.
named() {
  local said object pid fd
  object=$(nsenter "--net=/run/netns/$NETNS" "$CLOSETRACE" now --format=json "lport=$1" state=CLOSE_WAIT | jq -c 'select(.op == "now")')
  pid=$(jq '.holders[0].pid' <<<"$object") fd=$(jq '.holders[0].fd' <<<"$object")
  [ "$(jq -r '.holders | length' <<<"$object")" = 1 ]
  # The one who has it, as the kernel shows it.
  nsenter "--net=/run/netns/$NETNS" ss -Htanp state close-wait "sport = :$1" | grep -q "pid=$pid,fd=$fd"
  said=$(nsenter "--net=/run/netns/$NETNS" "$CLOSETRACE" now | grep -E "^${RANK:-finding} close-wait .*:$1: ") || :
  [[ $said != *$'\n'* && $said == *" for a close by $pid $2 fd $fd; "* && $said =~ $3 ]] && return
  echo "$object"
  nsenter "--net=/run/netns/$NETNS" "$CLOSETRACE" now
  return 1
}

claims() {
  local said
  said=$("$CLOSETRACE" report "$1.json" | grep "^finding close-wait .*:$2: ") || :
  [[ $said != *$'\n'* && $said =~ $3 ]] && return
  "$CLOSETRACE" report "$1.json"
  return 1
}

# told NAME PORT COMM [SIGNAL]: by the report of its session, while it hangs, and after SIGTERM.
told() {
  local held="CLOSE_WAIT for .* held by [0-9]+ $3 fd [0-9]+; nobody has closed it since"
  until_true claims "$1" "$2" "$held" >/dev/null || claims "$1" "$2" "$held"
  "$CLOSETRACE" report "$1.json" | head -n 1 | grep -q '; the session goes on$'
  kill "-${4:-TERM}" "$(cat "$1.pid")"
  until_true ended "$1"
  claims "$1" "$2" 'CLOSE_WAIT for '
}

ended() {
  ! kill -0 "$(cat "$1.pid")" 2>/dev/null
}

@test "nginx hangs in CLOSE_WAIT" {
  named 8001 nginx 'next: gdb -p .* closetrace run -- nginx -p .* -c nginx\.conf$'
  told nginx 8001 nginx
}

@test "haproxy hangs in CLOSE_WAIT" {
  named 8002 haproxy 'next: gdb -p '
  told haproxy 8002 haproxy
}

@test "redis hangs in CLOSE_WAIT: it has not looked" {
  named 8003 redis-server 'next: gdb -p '
  told redis 8003 redis-server
}

@test "node hangs in CLOSE_WAIT" {
  named 8004 node 'has read the end'
  told node 8004 node
}

@test "Java hangs in CLOSE_WAIT" {
  [ "$COUNT" = 7 ] || skip "there is no Java"
  named 8005 java 'has read the end'
  # It listens as ::ffff:127.0.0.1, and knows itself as a server.
  run ! grep -q 'port-held .*:8005:' <(nsenter "--net=/run/netns/$NETNS" "$CLOSETRACE" now)
  told java 8005 java
}

@test "PostgreSQL hangs in CLOSE_WAIT" {
  named 5432 postgres 'next: gdb -p .* closetrace run -- .*/postgres -D '
  told postgres 5432 postgres INT # SIGTERM waits for clients
}

@test "a Go server hangs in CLOSE_WAIT: named now; its session says that it cannot see it" {
  # Its keepalive probes hide, every 15 s anew, for how long: then it is merely possible.
  RANK='(finding|possible)' named 8006 webhook 'next: gdb -p '
  # What it started sleeps on: a second signal ends the waiting for that.
  stopped() {
    kill -TERM "$(cat webhook.pid)"
    ended webhook
  }
  until_true stopped
  "$CLOSETRACE" report webhook.json | grep -q '^not seen: webhook, .*Go program'
}
