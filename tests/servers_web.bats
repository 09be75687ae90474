#!/usr/bin/env bats
# bats file_tags=root
# Web servers and their clients, as a new user would try them: the same answers as without the library, and a trace
# that is true to the wire.

load helpers/servers

# Without what two runs cannot have in common: times, process ids, ports of clients, how far an aborted answer had
# come, the order of what several workers say, and which error python3 meets when a client is gone.
# shellcheck disable=SC2317 # try calls it
neutral() {
  case $1 in
    python.err) grep '"GET' | without_numbers | sort ;;
    *.err) without_numbers | sort ;;
    *) without_numbers ;;
  esac
}

without_numbers() {
  sed -E -e 's/[0-9]{2}\/[A-Z][a-z]{2}\/[0-9]{4}[: ][0-9:]{8}/TIME/' \
    -e 's/^(Date|Last-Modified|ETag):.*/\1/' -e 's/after [0-9]+ milliseconds with .*/after a while/' \
    -e 's/^[0-9/]{10} [0-9:]{8} (\[[a-z]+\]) [0-9]+#[0-9]+: \*?[0-9]*/TIME \1/' \
    -e 's/^\[[A-Z][a-z]{2} [A-Z][^]]*\](.*\[)pid [0-9:tid ]*\]/TIME\1PID]/' -e 's/127\.0\.0\.1., [0-9]+/ADDRESS/'
}

pages() {
  mkdir "$WORK/pages"
  echo 'one short page' >"$WORK/pages/short"
  head -c 300000 /dev/zero | tr '\0' 'x' >"$WORK/pages/long"
  head -c 30000000 /dev/zero >"$WORK/pages/huge"
}

# nginx_conf ["DIRECTIVE..." [WORKERS]]
nginx_conf() {
  mkdir "$WORK/tmp"
  cat >"$WORK/conf" <<END
daemon off;
user www-data;
worker_processes ${2:-2};
pid $WORK/pid;
error_log stderr warn;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path $WORK/tmp/body;
  proxy_temp_path $WORK/tmp/proxy;
  fastcgi_temp_path $WORK/tmp/fastcgi;
  uwsgi_temp_path $WORK/tmp/uwsgi;
  scgi_temp_path $WORK/tmp/scgi;
  sendfile on;
  $1
}
END
}

nginx_simple() {
  pages
  nginx_conf "keepalive_timeout $1;
    server { listen 127.0.0.1:8080; listen [::1]:8080; root $WORK/pages; }"
  serve nginx 8080 nginx -p "$WORK" -c "$WORK/conf"
}

nginx_requests() {
  nginx_simple "$1"
  ask three curl -sS http://127.0.0.1:8080/short http://127.0.0.1:8080/long http://127.0.0.1:8080/none
  ask separately curl -sS -H 'Connection: close' -i http://127.0.0.1:8080/short http://127.0.0.1:8080/short
  ask ipv6 curl -sS 'http://[::1]:8080/long'
  ask parallel curl -sS --no-progress-meter -Z -o "$WORK/1" -o "$WORK/2" -o "$WORK/3" http://127.0.0.1:8080/long \
    http://127.0.0.1:8080/long http://127.0.0.1:8080/long
  cmp "$WORK/3" "$WORK/pages/long"
  ask post curl -sS -d 'what nobody wants' http://127.0.0.1:8080/short
  ask http10 curl -sS -0 http://127.0.0.1:8080/short
  stop nginx "$2"
}

@test "nginx: two workers of another user, keep-alive; fast stop" {
  try nginx_requests 60 TERM
  assert_wire_at_least fin=12 connections=6
  [ "$(logged '.op == "accept"')" -ge 6 ]
}

@test "nginx: a connection a request; graceful stop" {
  try nginx_requests 0 QUIT
  assert_wire_at_least fin=18 connections=9
}

@test "nginx under closetrace run: a connection a request" {
  try_run nginx_requests 0 QUIT
  assert_wire_at_least fin=18 connections=9
}

nginx_abort() {
  nginx_simple 60
  ask late curl -sS --limit-rate 1M --max-time 0.5 -o /dev/null http://127.0.0.1:8080/huge
  ask enough curl -sS --max-filesize 1000 -o /dev/null http://127.0.0.1:8080/huge
  ask_start head bash -c 'exec 5<>/dev/tcp/127.0.0.1/8080; printf "GET /huge HTTP/1.0\r\n\r\n" >&5; head -c 10 <&5'
  ask_end head
  ask after curl -sS http://127.0.0.1:8080/short
  stop nginx QUIT
}

@test "nginx: clients that give up in the middle of an answer" {
  try nginx_abort
  assert_wire_at_least rst=2
}

# The old workers see their connection to its end, the new ones take new connections.
nginx_reload() {
  nginx_simple 60
  ask_start slow curl -sS --limit-rate 20M -o "$WORK/huge" http://127.0.0.1:8080/huge
  until_true test -s "$WORK/huge"
  old=$(pgrep -P "${SERVER[nginx]}")
  kill -HUP "${SERVER[nginx]}"
  until_true nginx_has_new_workers
  ask new curl -sS http://127.0.0.1:8080/short
  ask_end slow
  cmp "$WORK/huge" "$WORK/pages/huge"
  until_true nginx_old_gone
  ask last curl -sS http://127.0.0.1:8080/short
  stop nginx QUIT
}

nginx_has_new_workers() {
  [ "$(pgrep -P "${SERVER[nginx]}" | grep -cvxF "$old")" = 2 ]
}

nginx_old_gone() {
  ! pgrep -P "${SERVER[nginx]}" | grep -qxF "$old"
}

@test "nginx: a reload while an answer is under way" {
  try nginx_reload
  assert_wire_at_least fin=6 connections=3
}

# A new program takes over the listening sockets, which it is told of by number; the old one sees its work to its end.
nginx_upgrade() {
  local old new
  pages
  nginx_conf "keepalive_timeout 60;
    server { listen 127.0.0.1:8080; listen [::1]:8080; root $WORK/pages; }"
  # USR2 is ignored by a master that is no daemon. What nginx is not told to keep is not in the new one's environment.
  sed -i 's/^daemon off;/env LD_PRELOAD; env CLOSETRACE_OUTPUT; env CLOSETRACE_FORMAT;/' "$WORK/conf"
  ask start "$(command -v nginx)" -p "$WORK" -c "$WORK/conf" # the path is kept for later
  until_true listens 8080
  until_true test -s "$WORK/pid"
  old=$(cat "$WORK/pid")
  ask_start slow curl -sS --limit-rate 20M -o "$WORK/huge" http://127.0.0.1:8080/huge
  until_true test -s "$WORK/huge"
  kill -USR2 "$old"
  until_true nginx_is_upgraded
  new=$(cat "$WORK/pid")
  kill -WINCH "$old"
  ask new curl -sS http://127.0.0.1:8080/short 'http://[::1]:8080/long'
  ask_end slow
  cmp "$WORK/huge" "$WORK/pages/huge"
  until_true nginx_has_no_workers "$old" "$new"
  kill -QUIT "$old"
  until_true nginx_has_gone "$old"
  ask last curl -sS http://127.0.0.1:8080/short
  kill -QUIT "$new"
  until_true nginx_has_gone "$new"
}

nginx_is_upgraded() {
  [ -s "$WORK/pid.oldbin" ] && [ -s "$WORK/pid" ] && [ "$(pgrep -c -P "$(cat "$WORK/pid")")" = 2 ]
}

# Its new program is its child as well.
nginx_has_no_workers() {
  [ "$(pgrep -P "$1")" = "$2" ]
}

nginx_has_gone() {
  ! kill -0 "$1" 2>/dev/null
}

@test "nginx: an upgrade of the program while an answer is under way, with the listening sockets handed over" {
  try nginx_upgrade
  assert_wire_at_least fin=8 connections=4
  # Until the last of them has gone no end of a listener is the end of what waits in its queue.
  [ "$(logged '.why == "listening"')" -ge 8 ]
  [ "$(logged '.why == "listening" and .pending > 0')" = 0 ]
}

nginx_proxy() {
  pages
  nginx_conf "keepalive_timeout 60;
    upstream back { server 127.0.0.1:8081; keepalive 4; }
    server { listen 127.0.0.1:8081; root $WORK/pages; keepalive_requests 3; }
    server { listen 8080; location / { proxy_pass http://back; proxy_http_version 1.1;
      proxy_set_header Connection ''; } location /gone { proxy_pass http://127.0.0.1:8082; } }" 1
  serve nginx 8080 nginx -p "$WORK" -c "$WORK/conf"
  for i in 1 2 3 4 5 6 7; do
    ask "page$i" curl -sS http://127.0.0.1:8080/long
  done
  ask refused curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/gone
  stop nginx QUIT
}

@test "nginx: as a proxy in front of itself, with connections kept to the back, and one that is refused" {
  try nginx_proxy
  assert_wire_at_least fin=16 refused=1 connections=10
}

python_server() {
  pages
  serve python 8000 /usr/bin/python3 -u -m http.server --bind 127.0.0.1 --directory "$WORK/pages" 8000
  ask pages curl -sS http://127.0.0.1:8000/short http://127.0.0.1:8000/long http://127.0.0.1:8000/none
  ask late curl -sS --limit-rate 1M --max-time 0.3 -o /dev/null http://127.0.0.1:8000/huge
  ask wget busybox wget -q -O - http://127.0.0.1:8000/short
  ask urllib /usr/bin/python3 -c 'import urllib.request
for page in ("short", "long"):
    print(len(urllib.request.urlopen(f"http://127.0.0.1:8000/{page}").read()))'
  # shellcheck disable=SC2016 # it is perl
  ask perl perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:8000") or die "$!";
    print $s "GET /short HTTP/1.0\r\n\r\n"; $s->shutdown(1); my @lines = <$s>; print $lines[-1]; close $s'
  stop python INT
}

@test "python3 -m http.server, a thread a connection; curl, wget, urllib, perl" {
  try python_server
  assert_wire_at_least fin=12 connections=8
}

node_server() {
  pages
  cat >"$WORK/server.js" <<'END'
const http = require('http'), fs = require('fs');
const server = http.createServer((request, response) => {
  if (request.url === '/destroy') return response.socket.destroy();
  if (request.url === '/reset') return response.socket.resetAndDestroy();
  if (request.url === '/stop') { response.end('stopping\n'); server.close(); server.closeIdleConnections(); return; }
  const file = fs.createReadStream(process.env.PAGES + request.url);
  file.on('error', () => { response.statusCode = 404; response.end('none\n'); });
  file.pipe(response);
});
server.listen(8000, '127.0.0.1');
END
  cat >"$WORK/client.js" <<'END'
const http = require('http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const get = (path) => new Promise((done) => {
  let size = 0;
  const request = http.get({ port: 8000, host: '127.0.0.1', path, agent }, (response) => {
    response.on('data', (data) => { size += data.length; if (path === '/huge') request.destroy(); });
    response.on('end', () => { console.log(path, response.statusCode, size); done(); });
    response.on('error', (error) => { console.log(path, 'response', error.code); done(); });
  });
  request.on('error', (error) => { console.log(path, 'request', error.code); done(); });
});
(async () => {
  for (const path of ['/short', '/long', '/none', '/destroy', '/reset', '/short', '/huge', '/short']) await get(path);
  agent.destroy();
})();
END
  export PAGES=$WORK/pages
  serve node 8000 node "$WORK/server.js"
  ask pages curl -sS http://127.0.0.1:8000/short http://127.0.0.1:8000/long http://127.0.0.1:8000/none
  ask late curl -sS --limit-rate 1M --max-time 0.3 -o /dev/null http://127.0.0.1:8000/huge
  ask client node "$WORK/client.js"
  ask fetch node -e 'fetch("http://127.0.0.1:8000/long").then((r) => r.text()).then((t) => console.log(t.length))'
  ask reset curl -sS http://127.0.0.1:8000/reset
  ask stop curl -sS http://127.0.0.1:8000/stop
  ask_end node
}

@test "node: as a server and as a client, kept connections, destroyed ones, resets" {
  try node_server
  assert_wire_at_least fin=10 rst=3 connections=8
}

apache_server() {
  pages
  cat >"$WORK/conf" <<END
ServerRoot $WORK
ServerName localhost
Listen 127.0.0.1:8080
PidFile $WORK/pid
User www-data
Group www-data
ErrorLog /dev/stderr
LogLevel crit
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
DocumentRoot $WORK/pages
StartServers 2
MinSpareServers 1
MaxSpareServers 2
KeepAliveTimeout 5
GracefulShutdownTimeout 5
END
  serve apache 8080 apache2 -f "$WORK/conf" -DFOREGROUND
  ask pages curl -sS http://127.0.0.1:8080/short http://127.0.0.1:8080/long http://127.0.0.1:8080/none
  ask separately curl -sS -H 'Connection: close' http://127.0.0.1:8080/short http://127.0.0.1:8080/long
  ask late curl -sS --limit-rate 1M --max-time 0.3 -o /dev/null http://127.0.0.1:8080/huge
  kill -USR1 "${SERVER[apache]}"
  ask after curl -sS http://127.0.0.1:8080/short
  stop apache TERM
}

@test "apache2: prefork, lingering closes, a graceful restart" {
  try apache_server
  assert_wire_at_least fin=8 connections=5
}

@test "apache2 under closetrace run: prefork" {
  # It opens /dev/stderr anew, and writes over what others have written there: what the command says at the end.
  NOT_COMPARED=apache.err try_run apache_server
  assert_wire_at_least fin=8 connections=5
}
