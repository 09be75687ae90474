#!/usr/bin/env bats
# What `closetrace run` sees without a call: sockets that stand, orphans to their end, how the dead had stood.

# shellcheck disable=SC2094 # report is a subcommand, and a file

bats_require_minimum_version 1.5.0

load helpers/netns
load helpers/wait

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  PATH=$PATH:/usr/sbin:/sbin
  cat >pair.py <<'PY'
import os, signal, socket, struct, subprocess, sys, time
def listen():
    return socket.create_server(("127.0.0.1", 0))
def pair(listener=None, receive=0):
    listener = listener or listen()
    client = socket.socket()
    if receive:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    client.connect(listener.getsockname())
    return client, listener.accept()[0]
def logged(word, path="trace.json"):
    for _ in range(300):
        if word in open(path).read():
            return
        time.sleep(0.05)
    sys.exit("waited in vain for " + word)
def unsent():
    client, server = pair(receive=32768)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4000000)
    server.setblocking(False)
    sent = server.send(b"x" * 1000000)
    server.close()
    return client, sent
PY
  export PYTHONPATH=$PWD PYTHONDONTWRITEBYTECODE=1
}

teardown() {
  netns_remove_all
}

# traced [OPTION...]: the program on standard input
traced() {
  cat >program.py
  run --separate-stderr "$CLOSETRACE" run -o trace.json "$@" /usr/bin/python3 program.py 3>&-
}

count() {
  jq -c "select($1)" trace.json | wc -l
}

show() {
  "$CLOSETRACE" print trace.json
  return 1
}

@test "sleepers: CLOSE_WAIT, one's own FIN sent, a FIN withheld; and what is healthy is silent" {
  traced <<'EOF'
from pair import *
client, waits = pair()
client.shutdown(socket.SHUT_WR)           # waits: CLOSE_WAIT; client: FIN_WAIT2
quiet, healthy = pair()
peer, held = pair()
peer.sendall(b"q"); held.recv(9); held.sendall(b"a")
held.set_inheritable(True)
sleeper = subprocess.Popen(["sleep", "30"], close_fds=False)
held.close()
for word in '"state_after":"CLOSE_WAIT"', '"state_after":"FIN_WAIT2"', '"op":"state"':
    logged(word)
time.sleep(3.5)
sleeper.kill(); sleeper.wait()
EOF
  [ "$status" = 0 ]
  [ "$(count '.op == "state" and .state_after == "CLOSE_WAIT" and .idle >= 2 and .idle < 6 and .holders[0].comm == "python3"')" = 1 ] || show
  [ "$(count '.op == "state" and .state_after == "FIN_WAIT2" and .role == "client"')" = 1 ] || show
  [ "$(count '.op == "state" and .state_after == "ESTABLISHED" and .fin == "withheld" and .holders[0].comm == "sleep"')" = 1 ] || show
  [ "$(count '.op == "state"')" = 3 ] || show
}

@test "sleepers: who has ended his own direction, and waits for his peer for long, has no finding" {
  traced <<'EOF'
from pair import *
client, server = pair()
client.shutdown(socket.SHUT_WR)
assert server.recv(1) == b""
for _ in range(300):
    seen = [line.split('"idle":')[1] for line in open("trace.json") if '"op":"state"' in line and '"state_after":"FIN_WAIT2"' in line]
    if any(float(idle.split(",")[0]) >= 10 for idle in seen):
        break
    time.sleep(0.1)
server.sendall(b"answer")
server.close()
assert client.recv(9) == b"answer" and client.recv(1) == b""
client.close()
EOF
  [ "$status" = 0 ]
  [ "$(count '.op == "state" and .state_after == "FIN_WAIT2" and .idle >= 10')" = 1 ] || show
  "$CLOSETRACE" report trace.json >report
  run ! grep -qE '^finding never-closed' report
}

@test "sleepers: classes hold for them as for calls" {
  traced -e trace=open,eof <<'EOF'
from pair import *
client, waits = pair()
client.close()
time.sleep(4)
EOF
  [ "$status" = 0 ]
  [ "$(count '.op == "state"')" = 0 ] || show
}

# bats test_tags=root
@test "orphans: a late byte makes an RST, and as many bytes are lost as the wire shows" {
  netns_create NETNS
  ip netns exec "$NETNS" tcpdump -Z root --immediate-mode -i lo -s 96 -U -w wire.pcap tcp 2>tcpdump.err 3>&- &
  local capture=$!
  until_true grep -q 'listening on' tcpdump.err
  cat >program.py <<'EOF'
from pair import *
client, sent = unsent()
time.sleep(0.3)
client.sendall(b"xx")
logged('"why":"after-close"')
print(sent)
EOF
  run -0 --separate-stderr ip netns exec "$NETNS" "$CLOSETRACE" run -o trace.json /usr/bin/python3 program.py 3>&-
  kill -TERM "$capture"
  wait "$capture" || :
  local lost acknowledged
  lost=$(jq 'select(.op == "release" and .fin == "reset" and .why == "after-close" and .verified) | .lost' trace.json)
  # The client's highest acknowledgement, relative to the server's SYN.
  acknowledged=$(tcpdump -r wire.pcap -n 2>/dev/null | awk 'match($0, /ack [0-9]+/) {
    n = substr($0, RSTART + 4, RLENGTH - 4) + 0; if (n > most && n <= 1000001) most = n } END { print most - 1 }')
  [ "$lost" = "$((output - acknowledged))" ] || { echo "lost $lost of $output, $acknowledged acknowledged" && show; }
  "$CLOSETRACE" report trace.json >report
  grep -qE "^finding answer-cut .* $lost bytes" report
}

@test "orphans: what the client takes in the end is a FIN that has left, and nothing is lost" {
  traced <<'EOF'
from pair import *
client, sent = unsent()
client.settimeout(10)
time.sleep(0.2)
got = 0
while True:
    data = client.recv(65536)
    got += len(data)
    if not data:
        break
assert got == sent
logged('"op":"release"')
EOF
  [ "$status" = 0 ]
  [ "$(count '.op == "release" and .fin == "sent" and .verified')" = 1 ] || show
  [ "$(count '.op == "release" and .lost')" = 0 ] || show
  "$CLOSETRACE" report trace.json >report
  run ! grep -q answer-cut report
}

@test "orphans: a client that breaks off by itself is not cut" {
  traced <<'EOF'
from pair import *
client, sent = unsent()
time.sleep(0.3)
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
client.close()
logged('"op":"release"')
EOF
  [ "$status" = 0 ]
  [ "$(count '.op == "release" and .fin == "none" and .why == "peer-reset" and .lost > 900000')" = 1 ] || show
  "$CLOSETRACE" report trace.json >report
  run ! grep -q answer-cut report
}

@test "the dying: SIGTERM to the command: a look before it; an RST for what was unread, a FIN from CLOSE_WAIT" {
  cat >program.py <<'EOF'
from pair import *
signal.signal(signal.SIGTERM, signal.SIG_DFL)
listener = listen()
unread_peer, unread = pair(listener)
unread_peer.sendall(b"12345")
other = os.fork()
if other == 0:
    listener.close(); unread.close(); unread_peer.close()
    time.sleep(60)
    os._exit(0)
gone, waits = pair(listener)
gone.close()
waits.recv(1)
time.sleep(0.1)
open("ready", "w").write(str(other))
time.sleep(60)
EOF
  "$CLOSETRACE" run -o trace.json /usr/bin/python3 program.py 3>&- &
  local command=$!
  until_true test -s ready
  kill -TERM "$command"
  until_true grep -q '"call":"SIGTERM"' trace.json
  kill -KILL "$(cat ready)"
  status=0
  wait "$command" || status=$?
  [ "$status" = 143 ]
  [ "$(count '.op == "exit" and .call == "SIGTERM" and .fin == "reset" and .why == "unread-data" and .unread == 5')" = 1 ] || show
  [ "$(count '.op == "exit" and .call == "SIGTERM" and .state_before == "CLOSE_WAIT" and .fin == "sent"')" = 1 ] || show
}
