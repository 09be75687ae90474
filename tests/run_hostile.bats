#!/usr/bin/env bats
# run: alone
# bats file_tags=root
# A session in which one process is hostile. It runs as another user and writes into the memory that all share, while
# its neighbours work: none of them may notice, the command neither; the trace may lack events, and then that is said.

# shellcheck disable=SC2154 # bats sets stderr

bats_require_minimum_version 1.5.0

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}
PROGRAMS=${PROGRAMS:-$BATS_TEST_DIRNAME/../build/tests/programs}

setup() {
  # Where other users find it all.
  place=$(mktemp -d /tmp/closetrace-hostile.XXXXXX)
  chmod 755 "$place"
  cd "$place" || return
  cp "${LIB:-$BATS_TEST_DIRNAME/../libclosetrace.so}" "$place/libclosetrace.so"
  cp "$CLOSETRACE" "$place/closetrace"
  cp "$PROGRAMS/hostile" "$place/hostile"
  cat >neighbour.py <<'PYTHON'
import array, os, signal, socket, sys, threading, time
signal.alarm(100)
def pair(listener=socket.create_server(("127.0.0.1", 0), backlog=64)):
    client = socket.create_connection(listener.getsockname())
    return client, listener.accept()[0]
def plain():
    client, server = pair()
    client.sendall(b"question"); client.shutdown(socket.SHUT_WR)
    assert server.recv(100) == b"question" and server.recv(1) == b""
    server.sendall(b"answer"); server.close()
    assert client.recv(100) == b"answer" and client.recv(1) == b""
    client.close()
def forked():
    client, server = pair()
    child = os.fork()
    if child == 0:
        server.close()
        client.close()
        os._exit(0)
    os.waitpid(child, 0)
    client.close()
    assert server.recv(1) == b""
    server.close()
def sent():
    client, server = pair()
    a, b = socket.socketpair()
    socket.send_fds(a, [b"x"], [client.fileno()])
    client.close()
    fds = socket.recv_fds(b, 10, 1)[1]
    os.close(fds[0])
    assert server.recv(1) == b""
    for s in (a, b, server):
        s.close()
def in_call():
    client, server = pair()
    thread = threading.Thread(target=lambda: client.recv(1))
    thread.start()
    time.sleep(0.002)
    os.close(client.fileno())
    client.detach()
    server.sendall(b"x")
    thread.join()
    server.close()
def killed():
    client, server = pair()
    child = os.fork()
    if child == 0:
        server.close()
        os.kill(os.getpid(), signal.SIGKILL)
    client.close()
    os.waitpid(child, 0)
    assert server.recv(1) == b""
    server.close()
def execed():
    client, server = pair()
    client.set_inheritable(True)
    assert os.system("true") == 0
    client.close()
    assert server.recv(1) == b""
    server.close()
until = time.monotonic() + float(sys.argv[1])
rounds = 0
while time.monotonic() < until:
    for scene in (plain, forked, sent, in_call, killed, plain, execed):
        scene()
    rounds += 1
print("fine", rounds)
PYTHON
  cat >scene.py <<'PYTHON'
import subprocess, sys
where, hostile = sys.argv[1:3]
python = sys.executable
neighbours = [subprocess.Popen([python, "neighbour.py", "3"], stdout=subprocess.PIPE, text=True) for _ in range(2)]
other = subprocess.Popen(["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", python, "neighbour.py", "3"],
                         stdout=subprocess.PIPE, text=True)
attack = subprocess.Popen([hostile, where, "2500"], stdout=subprocess.PIPE, text=True)
for process in neighbours + [other]:
    said = process.communicate()[0]
    assert process.returncode == 0 and said.startswith("fine"), (process.returncode, said)
said = attack.communicate()[0]
assert attack.returncode == 0 and int(said) > 1000, (attack.returncode, said)
# Whoever comes now finds a session that works, whatever was done to it.
for _ in range(20):
    assert subprocess.run([python, "neighbour.py", "0"]).returncode == 0
sys.exit(7)
PYTHON
}

teardown() {
  cd / && rm -rf "$place"
}

attack() {
  local where=$1 held
  shift
  run -7 --separate-stderr timeout 110 "$place/closetrace" run -o trace.json "$@" /usr/bin/python3 scene.py "$where" "$place/hostile"
  jq -e -n '[inputs | type == "object"] | all' trace.json >/dev/null
  [[ $stderr != *$'\e'* ]]
  # What the neighbours were told of is not what the hostile process holds.
  held=$(jq -r 'select(.op == "release") | .comm' trace.json | sort -u)
  [[ $held == *hostile* ]] && return 1
  return 0
}

@test "hostile: it writes into the ring" {
  attack ring
}

@test "hostile: it writes into the roster" {
  attack roster
  # All events came through the ring, which it left alone.
  [[ $stderr != *'events were lost'* ]]
}

@test "hostile: it writes into the address book" {
  attack book
  [[ $stderr != *'events were lost'* ]]
}

@test "hostile: it writes into ledger, copies in flight, claims, releases and counts" {
  attack parts
  [[ $stderr != *'events were lost'* ]]
}

@test "hostile: it writes into the session's name" {
  attack header -e 'inject=close:as=HOLD:hold=1ms:role=client:comm=python3'
}

@test "hostile: it writes into all of it, with rules that park and count" {
  attack all -e 'inject=close:as=HOLD:hold=1ms:role=client:comm=python3:scope=connection:when=1+' -e inject=write:delay_enter=1us:scope=session
}
