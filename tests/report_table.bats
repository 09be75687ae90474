#!/usr/bin/env bats
# The report's rows and totals: who closed first, how long it lived, what each end did, what is not known. Traces written
# by hand, and what real programs leave.

# shellcheck disable=SC2154 # bats sets status, output

bats_require_minimum_version 1.5.0

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}
LIB=${LIB:-$BATS_TEST_DIRNAME/../libclosetrace.so}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
}

# server TIME OP KEYS, client TIME OP KEYS: an event of that end, with more keys.
server() {
  printf '{"time":%s,"pid":10,"tid":10,"comm":"server","op":"%s","fd":7,"socket":"1",%s,%s}\n' "$1" "$2" \
    '"local":"127.0.0.1:80","remote":"127.0.0.1:5000","role":"server"' "$3"
}

client() {
  printf '{"time":%s,"pid":20,"tid":20,"comm":"client","op":"%s","fd":3,"socket":"2",%s,%s}\n' "$1" "$2" \
    '"local":"127.0.0.1:5000","remote":"127.0.0.1:80","role":"client"' "$3"
}

# closed STATE_BEFORE STATE_AFTER [FIN]: the keys of a close.
closed() {
  printf '"call":"close","ret":0,"refs_before":1,"refs_after":0,"fin":"%s","why":"last-reference","verified":true,' "${3-sent}"
  printf '"state_before":"%s","state_after":"%s","unread":0,"unsent":0,"sent":5,"received":7,"unacked":0' "$1" "$2"
}

# row PATTERN: reports the trace on standard input; its one connection's cells are that, in this order, wherever their
# columns stand: connection, life, sent, received, closed first, client end, server end, references.
row() {
  cat >trace
  "$CLOSETRACE" report trace >reported
  row=$(awk -F '  +' '
    /^CONNECTION / { for (i = 1; i <= NF; i++) at[$i] = i; next }
    length(at) && NF >= 8 {
      print $at["CONNECTION"], $at["LIFE"], $at["SENT"], $at["RECEIVED"], $at["CLOSED FIRST"], $at["CLIENT END"], \
        $at["SERVER END"], $at["REFERENCES"]
    }' reported)
  # shellcheck disable=SC2053 # a pattern
  [[ $row == $1 ]] || { echo "row: $row" && cat reported && return 1; }
}

total() {
  grep -q "^$1" reported || { cat reported && return 1; }
}

@test "closed first: who closes in CLOSE_WAIT was second, whether it read the EOF or not" {
  row '*> 127.0.0.1:80 0.500 s 7 5 client (FIN) close FIN 1' < <(server 100 accept '"ret":7' && server 100.5 close "$(closed CLOSE_WAIT CLOSE)")
  total '1 connection, 2 FINs, 0 RSTs; '
  row '*> 127.0.0.1:80 0.500 s 5 7 server close FIN (FIN) 1' < <(client 100 connect '"ret":0' && client 100.5 close "$(closed CLOSE_WAIT LAST_ACK)")
  total '1 connection, 2 FINs, 0 RSTs; '
  # A dup was closed, and the FIN was withheld: that is seen all the same.
  row '* client: 20 client *' < <(client 100.1 close "$(closed ESTABLISHED FIN_WAIT2)" &&
    server 100.2 close "$(closed CLOSE_WAIT CLOSE_WAIT withheld)" && server 100.3 close "$(closed CLOSE_WAIT CLOSE)")
  row '* server: 10 server *' < <(server 100.1 close "$(closed ESTABLISHED FIN_WAIT2)" && client 100.3 close "$(closed CLOSE_WAIT CLOSE)")
}

@test "closed first: one that closes in ESTABLISHED was; the FIN that came while it closed counts" {
  row '* server: 10 server \? close FIN 1' < <(server 100 accept '"ret":7' && server 100.5 close "$(closed ESTABLISHED FIN_WAIT2)")
  total '1 connection, 1 FIN, 0 RSTs; '
  row '* server: 10 server (FIN) close FIN 1' < <(server 100 accept '"ret":7' && server 100.5 close "$(closed ESTABLISHED TIME_WAIT)")
  total '1 connection, 2 FINs, 0 RSTs; '
}

@test "closed first: a real server that never reads the EOF" {
  cat >program.py <<'PYTHON'
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.close()
while server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 8:
    time.sleep(0.001)
server.close()
PYTHON
  LD_PRELOAD=$LIB CLOSETRACE_FORMAT=json CLOSETRACE_OUTPUT=$PWD/log /usr/bin/python3 program.py
  row '* client: * close FIN close FIN 1' <log
  # The server's end alone.
  jq -c 'select(.role != "client")' log >alone
  row '* client (FIN) close FIN 1' <alone
  total '1 connection, 2 FINs, 0 RSTs; '
}

@test "life: it begins when accept() has returned" {
  row '* 0.300 s *' < <(server 98 accept '"ret":7,"duration":2.0' && server 100.3 close "$(closed CLOSE_WAIT CLOSE)")
  row '* 0.400 s *' < <(client 99.9 connect '"ret":0,"duration":0.05' && server 98 accept '"ret":7,"duration":2.0' &&
    server 100.3 close "$(closed CLOSE_WAIT CLOSE)" && client 100.2 close "$(closed ESTABLISHED FIN_WAIT2)")
}

@test "references: what is known, or ?" {
  row '* open \? \?' < <(client 100 connect '"ret":0')
  row '* killed \? \? \?' < <(client 100 connect '"ret":0' && client 101 exit '"call":"SIGKILL"')
  row '* open \? 3' < <(client 100 connect '"ret":0' && client 101 dup '"ret":4,"refs_before":2,"refs_after":3')
}

@test "a FIN in its queue: bytes sent and received are a snapshot, unless the peer counts" {
  row '* 5+ 7+ *FIN queued *' < <(client 100 connect '"ret":0' && client 101 close "$(closed ESTABLISHED FIN_WAIT1 queued)")
  # What the peer has counted at its own end is all.
  row '* 9 5 *' < <(client 101 close "$(closed ESTABLISHED FIN_WAIT1 queued)" &&
    server 102 close "$(closed CLOSE_WAIT LAST_ACK | sed 's/"received":7/"received":9/')")
}

@test "a connect that failed: to whom, and what became of it; counted as such" {
  row '127.0.0.1:5000 -> 127.0.0.1:80 0.000 s+ \? \? - refused \? \?' < <(client 100 connect '"ret":-1,"errno":"ECONNREFUSED","fin":"none","why":"refused","verified":true')
  total '0 connections, 0 FINs, 0 RSTs, 1 connect refused; 0 findings; '
  row '* - timed out \? \?' < <(client 100 connect '"ret":-1,"errno":"ETIMEDOUT","fin":"none","why":"timed-out","verified":true')
  total '0 connections, 0 FINs, 0 RSTs, 1 connect timed out; '
  row '* - failed \? \?' < <(client 100 connect '"ret":-1,"errno":"EHOSTUNREACH"')
  total '0 connections, 0 FINs, 0 RSTs, 1 connect failed; '
  # Without waiting: the call that learns of it, or the close, says so.
  row '* - refused \? 1' < <(client 100 connect '"ret":-1,"errno":"EINPROGRESS"' &&
    client 100.1 connect '"call":"getsockopt","ret":-1,"errno":"ECONNREFUSED","fin":"none","why":"refused","verified":true' &&
    client 100.2 close '"ret":0,"refs_before":1,"refs_after":0,"fin":"none","why":"not-connected","verified":true,"state_before":"CLOSE"')
  total '0 connections, 0 FINs, 0 RSTs, 1 connect refused; '
  row '* - refused \? 1' < <(client 100 connect '"ret":-1,"errno":"EINPROGRESS"' &&
    client 100.2 close '"ret":0,"refs_before":1,"refs_after":0,"fin":"none","why":"refused","verified":true,"state_before":"CLOSE"')
  total '0 connections, 0 FINs, 0 RSTs, 1 connect refused; '
  # It was tried again, and was a connection.
  row '* close FIN \? 1' < <(client 100 connect '"ret":-1,"errno":"ECONNREFUSED","fin":"none","why":"refused","verified":true' &&
    client 101 connect '"ret":0' && client 102 close "$(closed ESTABLISHED FIN_WAIT2)")
  total '1 connection, 1 FIN, 0 RSTs; '
}

@test "what else ended it: timed out, destroyed; a read that finds it so is no end by this process" {
  row '* close nothing, timed out \? 1' < <(client 100 connect '"ret":0' &&
    client 101 read '"ret":-1,"errno":"ETIMEDOUT","fin":"none","why":"timed-out","verified":true' &&
    client 102 close "$(closed CLOSE CLOSE none | sed 's/last-reference/timed-out/')")
  total '1 connection, 0 FINs, 0 RSTs; '
  row '* close nothing, destroyed \? 1' < <(client 100 connect '"ret":0' && client 102 close "$(closed CLOSE CLOSE none | sed 's/last-reference/destroyed/')")
  row '* open \? \?' < <(client 100 connect '"ret":0' && client 101 read '"ret":-1,"errno":"ETIMEDOUT","fin":"none","why":"timed-out","verified":true')
}

@test "write-after-end: not of a socket without a peer, nor of one that its own kernel gave up" {
  local refused='"call":"send","ret":-1,"errno":"EPIPE","sigpipe":"ignored"'
  never() { printf '{"time":%s,"pid":20,"tid":20,"comm":"client","op":"%s","fd":3,"socket":"2","role":"unknown",%s}\n' "$@"; }
  { never 100 write "$refused" && never 101 write "$refused" && never 102 close '"ret":0,"fin":"none","why":"not-connected","verified":true'; } >trace
  "$CLOSETRACE" report trace >reported
  total '0 connections, 0 FINs, 0 RSTs; 0 findings; '
  row '*' < <(client 100 connect '"ret":0' && client 101 read '"ret":-1,"errno":"ETIMEDOUT","fin":"none","why":"timed-out","verified":true' &&
    client 102 write "$refused" && client 103 write "$refused")
  total '1 connection, 0 FINs, 0 RSTs; 0 findings; '
  # But of one that the peer has reset.
  row '*' < <(client 100 connect '"ret":0' && client 102 write "$refused" && client 103 write "$refused")
  total '1 connection, 0 FINs, 1 RST; 1 finding; '
}

@test "fin-withheld: how the holder came by it" {
  started() { printf '{"time":%s,"pid":%s,"tid":%s,"comm":"%s","op":"start","schema":1}\n' "$1" "$2" "$2" "$3"; }
  forked() { printf '{"time":%s,"pid":%s,"tid":%s,"comm":"worker","op":"fork","child":%s,"shared":1,"ret":%s}\n' "$1" "$2" "$2" "$3" "$3"; }
  # withheld TIME PID HOLDER: PID, which has used it, gives it up; late TIME PID COMM: the end.
  withheld() {
    printf '{"time":%s,"pid":%s,"tid":%s,"comm":"worker","op":"close","call":"close","fd":7,"socket":"1","local":"127.0.0.1:80","remote":"127.0.0.1:5000","role":"server","fin":"withheld","why":"references","verified":true,"holders":[{"pid":%s,"comm":"worker","fd":7}],"sent":5,"received":5,"unread":0,"unsent":0,"used":true}\n' "$1" "$2" "$2" "$3"
  }
  late() {
    printf '{"time":%s,"pid":%s,"tid":%s,"comm":"%s","op":"exit","call":"return","fd":7,"socket":"1","local":"127.0.0.1:80","remote":"127.0.0.1:5000","role":"server","fin":"sent","why":"last-reference","verified":false,"sent":5,"received":5,"unread":0,"unsent":0,"used":false}\n' "$1" "$2" "$2" "$3"
  }
  accepted() { printf '{"time":%s,"pid":%s,"tid":%s,"comm":"worker","op":"accept","ret":7,"socket":"1","local":"127.0.0.1:80","remote":"127.0.0.1:5000","role":"server"}\n' "$1" "$2" "$2"; }
  origin() {
    cat >trace
    "$CLOSETRACE" report trace >reported
    grep -q "^finding fin-withheld .*kept open by [0-9]* worker fd 7 ($1), which never touched it" reported || { cat reported && return 1; }
  }
  origin 'forked' < <(forked 100 10 11 && withheld 101 10 11 && late 103 11 worker)
  # It became another program after it had been seen as the holder.
  origin 'forked, and left open across exec' < <(forked 100 10 11 && withheld 101 10 11 && started 101.1 11 sleep && late 103 11 sleep)
  # Into the same program again.
  origin 'forked, and left open across exec' < <(forked 100 10 11 && started 100.1 11 worker && withheld 101 10 11 && started 101.1 11 worker && late 103 11 worker)
  # A forked process's first event brings its `start`: that is no other program.
  origin 'forked' < <(forked 100 10 11 && withheld 101 10 11 && started 103 11 worker && late 103 11 worker)
  origin 'it accepted the connection' < <(started 99 10 worker && accepted 100 10 && forked 100.1 10 11 && withheld 101 11 10 && late 103 10 worker)
  origin 'inherited or sent to it' < <(withheld 101 10 11 && late 103 11 worker)
}

@test "fin-withheld: of two that give it up at one moment the later counts, whichever is told of first" {
  # given_up TIME PID SENT
  given_up() {
    printf '{"time":%s,"pid":%s,"tid":%s,"comm":"worker","op":"close","call":"close","fd":7,"socket":"1","local":"127.0.0.1:80","remote":"127.0.0.1:5000","role":"server","fin":"withheld","why":"references","verified":true,"holders":[{"pid":12,"comm":"job","fd":1}],"sent":%s,"received":5,"unread":0,"unsent":0,"used":true}\n' "$1" "$2" "$2" "$3"
  }
  last() {
    printf '{"time":103,"pid":12,"tid":12,"comm":"job","op":"exit","call":"return","fd":1,"socket":"1","local":"127.0.0.1:80","remote":"127.0.0.1:5000","role":"server","fin":"sent","why":"last-reference","verified":false,"sent":%s,"received":5,"unread":0,"unsent":0,"used":false}\n' "$1"
  }
  # The first to give it up looked before the other had written its 9 bytes, and is told of after it.
  { given_up 100.2 11 9 && given_up 100.1 10 0 && last 9; } >trace
  "$CLOSETRACE" report trace >reported
  grep -q 'fin-withheld' reported || { cat reported && return 1; }
  grep -q '11 worker close(7)' reported || { cat reported && return 1; }
  # And in the order of their times.
  { given_up 100.1 10 0 && given_up 100.2 11 9 && last 9; } >trace
  "$CLOSETRACE" report trace >reported
  grep -q '11 worker close(7)' reported || { cat reported && return 1; }
  # Bytes that were written after both had given it up: whoever has it works on it.
  { given_up 100.2 11 9 && given_up 100.1 10 0 && last 20; } >trace
  "$CLOSETRACE" report trace >reported
  run ! grep -q 'fin-withheld' reported
}
