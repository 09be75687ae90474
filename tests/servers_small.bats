#!/usr/bin/env bats
# bats file_tags=root
# Small programs that talk TCP: what inetd and the like start, with the connection as 0, 1 and 2; relays; shells and
# scripts. They work as without the library, and the trace is true to the wire.

load helpers/servers

# What the clients say to these: lines, the end, too early an end, and nothing at all.
talk() {
  local port=$1
  # shellcheck disable=SC2016 # another shell's
  local client='exec 5<>/dev/tcp/127.0.0.1/'$port
  # shellcheck disable=SC2016
  ask "lines-$port" perl -MIO::Socket::INET -e '
    my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:'"$port"'") or die "$!";
    print $s "one\ntwo\nthree\n"; $s->shutdown(1); print while <$s>; close $s'
  ask "half-$port" bash -c "$client; echo one >&5; read -r line <&5; echo \"\$line\""
  ask "nothing-$port" bash -c "$client"
  ask "nc-$port" bash -c "printf 'a\nb\n' | nc -N 127.0.0.1 $port"
  ask "busybox-$port" bash -c "(echo c; sleep 0.2) | busybox nc 127.0.0.1 $port"
  ask "again-$port" bash -c "$client; exec 6>&5; exec 5<&-; echo x >&6; head -c 1 <&6"
}

# Nothing of ours may come into the conversation: standard error is the client's connection as well.
inetd_like() {
  serve tcpsvd 7001 tcpsvd -l localhost 127.0.0.1 7001 busybox cat
  talk 7001
  serve shell 7002 tcpsvd -l localhost 127.0.0.1 7002 sh -c 'exec 2>&0; echo hello >&2; cat; echo "bye" >&2; exit 3'
  talk 7002
  until_true has_no_children tcpsvd
  until_true has_no_children shell
  stop tcpsvd TERM
  stop shell TERM
}

@test "tcpsvd: accept, fork, exec; the connection is 0, 1 and 2" {
  # shellcheck disable=SC2317 # try calls it
  neutral() {
    sed '/reset by peer/d'
  }
  try inetd_like
  assert_wire_at_least fin=16 connections=12
}

# With CLOSETRACE_OUTPUT=stderr, in text, and 2 is a socket.
tcpsvd_stderr() {
  serve tcpsvd 7001 env CLOSETRACE_OUTPUT=stderr CLOSETRACE_FORMAT=text tcpsvd -l localhost 127.0.0.1 7001 sh -c \
    'exec 2>&0; cat; exec busybox echo end'
  talk 7001
  until_true has_no_children tcpsvd
  stop tcpsvd TERM
  [ "$MODE" = bare ] || grep -q 'close(.*TCP:\[127.0.0.1:7001->.*FIN withheld' "$KEPT/tcpsvd.err"
}

@test "tcpsvd: the log is on standard error, and that is the connection: nothing is written into it" {
  # shellcheck disable=SC2317 # try calls it
  neutral() {
    [ "$1" = tcpsvd.err ] || cat
  }
  try_once bare tcpsvd_stderr
  try_once traced tcpsvd_stderr
  assert_same_results
}

inetd() {
  cat >"$WORK/conf" <<END
defaults
{
  instances = 20
}
service echoes
{
  type = UNLISTED
  port = 7003
  bind = 127.0.0.1
  socket_type = stream
  protocol = tcp
  wait = no
  user = root
  server = /usr/bin/cat
}
service whole
{
  type = UNLISTED
  port = 7004
  bind = 127.0.0.1
  socket_type = stream
  protocol = tcp
  wait = yes
  user = root
  server = /usr/bin/python3
  server_args = $WORK/whole.py
}
service echo
{
  type = INTERNAL UNLISTED
  port = 7005
  bind = 127.0.0.1
  socket_type = stream
  protocol = tcp
  wait = no
  user = root
}
END
  cat >"$WORK/whole.py" <<'END'
import socket
listener = socket.socket(fileno=0)
listener.settimeout(0.2)
try:
    while True:
        connection, _ = listener.accept()
        connection.sendall(connection.recv(100).upper())
        connection.close()
except TimeoutError:
    pass
END
  serve xinetd 7003 xinetd -dontfork -f "$WORK/conf" -pidfile "$WORK/pid"
  until_true listens 7005
  talk 7003
  ask whole bash -c 'exec 5<>/dev/tcp/127.0.0.1/7004; echo one >&5; cat <&5'
  talk 7005
  until_true has_no_children xinetd
  stop xinetd TERM
}

@test "xinetd: cat, a server that gets the listener, and a service of its own" {
  # shellcheck disable=SC2317 # try calls it
  neutral() {
    case $1 in
      xinetd.*)
        sed -E 's/^[0-9/@:]+: //; s/\[[0-9]+\]/[N]/; s/pid ?= ?[0-9]+/pid=N/; s/[0-9.]+ \(sec\)/N (sec)/' | sort -u
        ;;
      *) cat ;;
    esac
  }
  try inetd
  assert_wire_at_least fin=20 connections=12
}

# It gives a program the connection, already accepted, as 0 and 1; or the listening socket as 3, at the first connection.
socket_activated() {
  local keep=(-E PATH)
  [ "$MODE" = bare ] || keep+=(-E LD_PRELOAD -E CLOSETRACE_OUTPUT -E CLOSETRACE_FORMAT)
  serve each 7011 systemd-socket-activate "${keep[@]}" -l 127.0.0.1:7011 --inetd --accept busybox cat
  talk 7011
  until_true has_no_children each
  stop each TERM
  # shellcheck disable=SC2016
  serve whole 7012 systemd-socket-activate "${keep[@]}" -l 127.0.0.1:7012 perl -MIO::Socket::INET -e '
    my $listener = IO::Socket::INET->new_from_fd(3, "r+") or die "$!";
    for (1 .. 2) { my $c = $listener->accept or die "$!"; print $c scalar <$c>; close $c }'
  for i in 1 2; do
    ask "line-$i" bash -c 'exec 5<>/dev/tcp/127.0.0.1/7012; echo one >&5; cat <&5'
  done
  until_true stopped whole
}

# It has ended of itself.
stopped() {
  ! kill -0 "${SERVER[$1]}" 2>/dev/null
}

@test "systemd-socket-activate: a program a connection, and one that gets the listener" {
  # shellcheck disable=SC2317 # try calls it
  neutral() {
    case $1 in
      each.* | whole.*) sed -E 's/[0-9]+/N/g' | sort -u ;;
      *) sed '/reset by peer/d' ;;
    esac
  }
  try socket_activated
  assert_wire_at_least fin=12 connections=8
}

relays() {
  serve back 7006 tcpsvd -l localhost 127.0.0.1 7006 cat
  serve relay 7007 socat TCP-LISTEN:7007,bind=127.0.0.1,fork,reuseaddr TCP:127.0.0.1:7006
  talk 7007
  serve program 7008 socat TCP-LISTEN:7008,bind=127.0.0.1,fork,reuseaddr EXEC:cat
  talk 7008
  # shellcheck disable=SC2016
  serve terminal 7009 socat TCP-LISTEN:7009,bind=127.0.0.1,fork,reuseaddr \
    SYSTEM:'read line; echo "$line"; cat >/dev/null; exit 2'
  talk 7009
  ask refused socat -u TCP:127.0.0.1:7010 -
  for name in relay program terminal back; do
    until_true has_no_children $name
    [ $name = back ] || killed "${SERVER[$name]}"
    stop $name TERM
  done
}

@test "socat: a relay, and programs behind it" {
  # shellcheck disable=SC2317 # try calls it
  neutral() {
    sed -E 's/^[0-9/]+ [0-9:.]+ socat\[[0-9]+\]/socat/; /exited with status 2|Broken pipe|reset by peer/d'
  }
  try relays
  assert_wire_at_least fin=30 connections=20 refused=1
}

scripts() {
  cat >"$WORK/server.pl" <<'END'
use IO::Socket::INET;
$SIG{CHLD} = "IGNORE";
my $listener = IO::Socket::INET->new(LocalAddr => "127.0.0.1:7011", Listen => 9, ReuseAddr => 1) or die;
for (1 .. 6) {
    my $client = $listener->accept or redo;
    my $pid = fork;
    if ($pid == 0) {
        close $listener;
        while (my $line = <$client>) { print $client scalar reverse($line); }
        open(my $program, "-|", "echo from a child; exit 3") or die;
        print $client $_ while <$program>;
        close $program;
        exit 0;
    }
    close $client;
}
END
  serve perl 7011 perl "$WORK/server.pl"
  talk 7011
  ask_end perl

  cat >"$WORK/server.py" <<'END'
import os, socket, socketserver, subprocess, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            answer = subprocess.run(["rev"], input=line, stdout=subprocess.PIPE, close_fds=line != b"two\n").stdout
            self.wfile.write(answer)
class Server(socketserver.ForkingTCPServer):
    allow_reuse_address = True
    request_queue_size = 9
    def handle_error(self, request, client_address):
        print(sys.exc_info()[0].__name__, file=sys.stderr)
with Server(("127.0.0.1", 7012), Handler) as server:
    for _ in range(6):
        server.handle_request()
END
  serve python 7012 /usr/bin/python3 "$WORK/server.py"
  talk 7012
  ask_end python
}

@test "perl and python servers that fork, and start programs" {
  # shellcheck disable=SC2317 # try calls it
  neutral() {
    [ "$1" = python.err ] || cat
  }
  try scripts
  assert_wire_at_least fin=15 rst=1 connections=12
}

# Connections wait in the queue when the listener is closed.
queues() {
  cat >"$WORK/server.py" <<'END'
import signal, socket
listener = socket.create_server(("127.0.0.1", 7013), backlog=8)
signal.sigwait({signal.SIGUSR1})
listener.close()
END
  serve queue 7013 /usr/bin/python3 -c "import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
exec(open('$WORK/server.py').read())"
  ask_start first bash -c 'exec 5<>/dev/tcp/127.0.0.1/7013; cat <&5 2>&1'
  ask_start second bash -c 'exec 5<>/dev/tcp/127.0.0.1/7013; echo one >&5; cat <&5 2>&1'
  until_true queue_is_full
  stop queue USR1
  ask_end first
  ask_end second
}

queue_is_full() {
  [ "$(connections established)" = 4 ]
}

@test "python: a listener is closed, and connections wait in its queue" {
  try queues
  assert_wire_at_least rst=2 pending=2 connections=2
}
