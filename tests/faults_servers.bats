#!/usr/bin/env bats
# bats file_tags=root
# docs/faults.md's examples: unmodified programs of Debian's, their connections ended otherwise.

load helpers/netns
load helpers/log
load helpers/nginx

setup() {
  netns_create NETNS
  PLACE=$(mktemp -d /tmp/closetrace-faults.XXXXXX)
  chmod 755 "$PLACE"
  install -m 755 "$LIB" "$PLACE/libclosetrace.so" # where every user can read it
  PATH=$PATH:/usr/sbin:/sbin
  servers=()
}

teardown() {
  local pid
  for pid in "${servers[@]}"; do
    kill "$pid" 2>/dev/null || :
    wait "$pid" 2>/dev/null || :
  done
  netns_remove_all
  rm -rf "$PLACE"
}

# serve PORT COMMAND...: in the background; returns when it listens. RULES: its fault rules.
serve() {
  local port=$1 _ faults=()
  shift
  [ -z "${RULES-}" ] || faults=("LD_PRELOAD=$PLACE/libclosetrace.so" CLOSETRACE_FORMAT=json "CLOSETRACE_OUTPUT=$PLACE/log.%p"
    CLOSETRACE_TRACE=none "CLOSETRACE_INJECT=$RULES")
  nsenter "--net=/run/netns/$NETNS" env "${faults[@]}" "$@" >"$PLACE/server.$port" 2>&1 3>&- &
  servers+=($!)
  for _ in {1..500}; do
    nsenter "--net=/run/netns/$NETNS" ss -Hltn "sport = :$port" | grep -q . && return
    sleep 0.02
  done
  cat "$PLACE/server.$port"
  return 1
}

# with RULES COMMAND...: under these rules; output and status in $output and $status.
with() {
  local rules=$1
  shift
  run nsenter "--net=/run/netns/$NETNS" env "LD_PRELOAD=$PLACE/libclosetrace.so" CLOSETRACE_FORMAT=json \
    "CLOSETRACE_OUTPUT=$PLACE/log" CLOSETRACE_TRACE=none "CLOSETRACE_INJECT=$rules" "$@"
  echo "$output"
}

bare() {
  run nsenter "--net=/run/netns/$NETNS" "$@"
  echo "$output"
}

fired() {
  jq -s 'map(select(.op == "rule") | .fired) | add' "$PLACE"/log*
}

half_close='write:then=SHUT_WR:when=1:role=client'

# Its head comes at once, the answer half a second later.
slow_web() {
  cat >"$PLACE/slow.py" <<'END'
import http.server, time
class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "17")
        self.end_headers()
        self.wfile.flush()
        time.sleep(0.5)
        self.wfile.write(b"the whole answer\n")
http.server.ThreadingHTTPServer(("127.0.0.1", 8001), Slow).serve_forever()
END
  serve 8001 /usr/bin/python3 "$PLACE/slow.py"
}

@test "faults: a client that half-closes loses its answer from Node's http server" {
  cat >"$PLACE/late.js" <<'END'
require('http').createServer((request, response) => setTimeout(() => response.end('the whole answer\n'), 500))
  .listen(8000, '127.0.0.1')
END
  serve 8000 node "$PLACE/late.js"
  bare curl -sS http://127.0.0.1:8000/
  [ "$output" = 'the whole answer' ]
  with "$half_close" curl -sS http://127.0.0.1:8000/
  [ "$status" = 52 ]
  [[ $output == *'Empty reply from server'* ]]
  [ "$(fired)" = 1 ]
}

@test "faults: it loses it from tinyproxy, and gets it whole from haproxy and apache" {
  slow_web
  cat >"$PLACE/tinyproxy" <<END
Port 8002
Listen 127.0.0.1
Timeout 10
MaxClients 10
$([[ $(tinyproxy -v) != *1.10.* ]] || printf '%s\n' 'StartServers 1' 'MinSpareServers 1' 'MaxSpareServers 5')
Allow 127.0.0.1
LogFile "$PLACE/tinyproxy.log"
END
  cat >"$PLACE/haproxy" <<END
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend in
  bind 127.0.0.1:8003
  default_backend slow
backend slow
  server slow 127.0.0.1:8001
END
  local module modules=/usr/lib/apache2/modules
  cat >"$PLACE/apache" <<END
ServerRoot $PLACE
PidFile $PLACE/apache.pid
ErrorLog $PLACE/apache.log
Listen 127.0.0.1:8004
ServerName localhost
$(for module in mpm_event authz_core proxy proxy_http; do echo "LoadModule ${module}_module $modules/mod_$module.so"; done)
ProxyPass / http://127.0.0.1:8001/
END
  serve 8002 tinyproxy -d -c "$PLACE/tinyproxy"
  serve 8003 haproxy -db -f "$PLACE/haproxy"
  serve 8004 apache2 -X -f "$PLACE/apache"
  bare curl -sS --noproxy '' -x http://127.0.0.1:8002 http://127.0.0.1:8001/
  [ "$output" = 'the whole answer' ]
  with "$half_close" curl -sS --noproxy '' -x http://127.0.0.1:8002 http://127.0.0.1:8001/
  [ "$status" = 18 ]
  [[ $output == *' 17 bytes '* ]] # "remaining to read", "missing": curl has said so in more than one way
  with "$half_close" curl -sS http://127.0.0.1:8003/
  [ "$status:$output" = '0:the whole answer' ]
  with "$half_close" curl -sS http://127.0.0.1:8004/
  [ "$status:$output" = '0:the whole answer' ]
  [ "$(fired)" = 3 ]
}

@test "faults: a relay by socat loses an answer that comes later than its -t" {
  cat >"$PLACE/answer.py" <<'END'
import socket
listener = socket.create_server(("127.0.0.1", 8005))
while True:
    connection, _ = listener.accept()
    while connection.recv(100):
        pass
    connection.sendall(b"the answer\n")
    connection.close()
END
  RULES=write:delay_enter=1s serve 8005 /usr/bin/python3 "$PLACE/answer.py"
  serve 8006 socat TCP-LISTEN:8006,bind=127.0.0.1,fork,reuseaddr TCP:127.0.0.1:8005
  serve 8007 socat -t 10 TCP-LISTEN:8007,bind=127.0.0.1,fork,reuseaddr TCP:127.0.0.1:8005
  bare bash -c 'echo question | socat -t 10 - TCP:127.0.0.1:8006'
  [ "$output" = '' ]
  bare bash -c 'echo question | socat -t 10 - TCP:127.0.0.1:8007'
  [ "$output" = 'the answer' ]
}

@test "faults: curl reports an RST in the middle of nginx's answer" {
  mkdir "$PLACE/www"
  head -c 8000000 /dev/zero >"$PLACE/www/large"
  cat >"$PLACE/nginx" <<END
daemon off;
master_process off;
user root;
pid $PLACE/nginx.pid;
error_log $PLACE/nginx.log;
events {}
http {
  access_log off;
  $(for name in client_body proxy fastcgi uwsgi scgi; do echo "${name}_temp_path $PLACE/$name;"; done)
  server { listen 127.0.0.1:8008; root $PLACE/www; }
}
END
  # shellcheck disable=SC2046 # words
  RULES=write:then=RST:when=3:role=server serve 8008 nginx $(nginx_log "$PLACE/nginx.log") -c "$PLACE/nginx"
  bare curl -sS -o /dev/null http://127.0.0.1:8008/large
  [ "$status" = 56 ]
  [[ $output == *'Connection reset by peer'* ]]
}

@test "faults: PostgreSQL's client library reports a connection that was closed in the middle of a query" {
  local bin=(/usr/lib/postgresql/*/bin) as_postgres
  as_postgres=(setpriv --reuid=postgres "--regid=$(id -g postgres)" --clear-groups)
  mkdir "$PLACE/cluster"
  chown postgres "$PLACE" "$PLACE/cluster"
  "${as_postgres[@]}" "${bin[-1]}/initdb" -D "$PLACE/cluster" -A trust --no-sync --locale=C >/dev/null
  # what it sends first is the greeting, then comes the answer, of which 20 bytes go out
  RULES=write:short=20:then=SHUT_RDWR:when=2:role=server serve 5432 "${as_postgres[@]}" "${bin[-1]}/postgres" -D "$PLACE/cluster" \
    -c listen_addresses=127.0.0.1 -c "unix_socket_directories=$PLACE" -c fsync=off
  bare psql 'host=127.0.0.1 user=postgres sslmode=disable gssencmode=disable' -c 'select 1'
  [ "$status" = 2 ]
  [[ $output == *'server closed the connection unexpectedly'* ]]
}

@test "faults: a FIN withheld from python3 -m http.server makes a client wait that goes by the end of the stream" {
  local begun
  mkdir "$PLACE/www"
  echo 'the whole answer' >"$PLACE/www/page"
  RULES='shutdown:as=NONE:role=server;close:as=HOLD:hold=2s:role=server' serve 8009 /usr/bin/python3 -m http.server --bind \
    127.0.0.1 -d "$PLACE/www" 8009
  begun=$(date +%s%N)
  bare curl -sS --http1.0 --ignore-content-length http://127.0.0.1:8009/page
  [ "$status:$output" = '0:the whole answer' ]
  [ $((($(date +%s%N) - begun) / 1000000)) -ge 1990 ]
}
