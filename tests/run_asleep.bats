#!/usr/bin/env bats
# A session that goes on: what it costs while nothing happens, that its lines come at once all the same, and what it says
# when it is asked.

# shellcheck disable=SC2094 # report is a subcommand, and a file

bats_require_minimum_version 1.5.0

load helpers/wait

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  cat >pair.py <<'PY'
import ctypes, mmap, os, signal, socket, sys, time
def pair():
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    return client, listener.accept()[0]
def lines():
    return open("trace.json").read().count("\n")
def wakes():
    """How often any thread of the command has gone to sleep."""
    sum = 0
    for thread in os.listdir(f"/proc/{os.getppid()}/task"):
        for line in open(f"/proc/{os.getppid()}/task/{thread}/status"):
            if line.startswith("voluntary"):
                sum += int(line.split()[1])
    return sum
def ready():
    open("ready", "w").write(str(os.getpid()))
def hang():
    client, server = pair()
    client.close()
    server.recv(1)
    ready()
    while True:
        time.sleep(1)
PY
  export PYTHONPATH=$PWD PYTHONDONTWRITEBYTECODE=1
}

teardown() {
  [ -z "${COMMAND:-}" ] || kill -KILL "$COMMAND" 2>/dev/null || :
  [ ! -s ready ] || kill -KILL "$(cat ready)" 2>/dev/null || :
}

# traced: the program on standard input
traced() {
  cat >program.py
  run --separate-stderr "$CLOSETRACE" run -o trace.json -e trace=all /usr/bin/python3 program.py 3>&-
  # shellcheck disable=SC2154 # bats sets it
  [ "$status" = 0 ] || { echo "$status: $output $stderr" && return 1; }
}

# started [OPTION...]: the same, as $COMMAND in the background; until it has made the file "ready"
started() {
  cat >program.py
  "$CLOSETRACE" run "$@" /usr/bin/python3 program.py 2>said 3>&- &
  COMMAND=$!
  until_true test -s ready
}

@test "asleep: a session in which nothing happens wakes its command once a second, with idle connections too" {
  traced <<'EOF'
from pair import *
kept = pair()
time.sleep(1)
before, begin = wakes(), time.monotonic()
time.sleep(3)
count, seconds = wakes() - before, time.monotonic() - begin
assert count <= 2 * seconds + 2, f"{count} in {seconds} s"
EOF
}

@test "asleep: a line comes at once: whoever writes it wakes the command" {
  traced <<'EOF'
from pair import *
kept, late = [pair()], []
for i in range(8):
    time.sleep(0.25 + 0.01 * i) # it lies down after 0.1 s
    before, begin = lines(), time.monotonic()
    kept.append(pair())
    while lines() == before:
        time.sleep(0.002)
    late.append(time.monotonic() - begin)
assert max(late) < 0.5, late
EOF
}

@test "asleep: who may not wake it, in a sandbox, does not; its lines come all the same" {
  traced <<'EOF'
from pair import *
client, server = pair()
class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(Filter))]
FUTEX, KILL, ALLOW = 202, 0x80000000, 0x7fff0000
steps = (Filter * 4)((0x20, 0, 0, 0), (0x15, 0, 1, FUTEX), (6, 0, 0, KILL), (6, 0, 0, ALLOW))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 # PR_SET_NO_NEW_PRIVS
time.sleep(0.7)
assert libc.prctl(22, 2, ctypes.byref(Program(4, steps)), 0, 0) == 0 # SECCOMP_MODE_FILTER
client.close()
before = lines()
while lines() == before:
    time.sleep(0.01)
EOF
  [ "$(jq -c 'select(.op == "close" and .role == "client" and .fin == "sent")' trace.json | wc -l)" = 1 ]
}

@test "asleep: what stands in the session's memory wakes the command in vain, and holds up nothing" {
  traced <<'EOF'
from pair import *
command, memory, name = os.environ["CLOSETRACE_SESSION"].split(":")
head = mmap.mmap(os.open(f"/proc/{command}/fd/{memory}", os.O_RDWR), 4096)
ended = 32 + 32 # behind the version and the name; then "asleep"
asleep = slice(ended + 4, ended + 8)
kept = [pair()]
time.sleep(1)
assert any(head[asleep] == b"\1\0\0\0" or time.sleep(0.05) for i in range(100)), "it does not sleep"
before, end = lines(), time.monotonic() + 2
while time.monotonic() < end:
    head[asleep] = os.urandom(4)
kept.append(pair())
end = time.monotonic() + 10
while lines() == before and time.monotonic() < end:
    head[asleep] = bytes(4)
assert lines() > before
EOF
}

@test "SIGUSR1: the summary so far, of a file and of a stream; a program that has no use for the signal lives on" {
  local options
  twice() { [ "$(grep -c 'the session goes on' said)" = 2 ]; }
  for options in "-o trace.json" ""; do
    rm -f ready
    # shellcheck disable=SC2086
    started $options <<<'from pair import *; hang()'
    kill -USR1 "$COMMAND"
    until_true grep -q '^closetrace: 1 connection, 1 FIN, 0 RSTs; 0 findings; .* events; the session goes on' said
    kill -USR1 "$COMMAND"
    until_true twice
    kill -TERM "$COMMAND"
    wait "$COMMAND" || [ $? = 143 ]
    tail -n 1 said | grep -q '^closetrace: 1 connection, 2 FINs, 0 RSTs; 0 findings; [0-9]* events$'
  done
}

@test "SIGUSR1: who waits for it gets it as well; that there is no socket so far is said" {
  started -o trace.json <<'EOF'
from pair import *
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
ready()
signal.sigwait({signal.SIGUSR1})
while "so far" not in open("said").read():
    time.sleep(0.01)
EOF
  kill -USR1 "$COMMAND"
  wait "$COMMAND"
  grep -q '^closetrace: no TCP socket was seen so far; the session goes on$' said
}

@test "SIGUSR1: who says it has none of the connections that are parked; nobody waits until it is read" {
  cat >program.py <<'EOF'
from pair import *
client, server = pair()
client.close() # and parked
ready()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
while True:
    time.sleep(1)
EOF
  mkfifo said
  exec 5<>said
  dd if=/dev/zero bs=4096 count=64 oflag=nonblock status=none >&5 2>full || :
  grep -q 'temporarily unavailable' full
  # The command's is one of its own, and blocks.
  "$CLOSETRACE" run -o trace.json -e inject=close:as=HOLD:role=client /usr/bin/python3 program.py 2>said 3>&- 5>&- &
  COMMAND=$!
  until_true test -s ready
  kill -USR1 "$COMMAND"
  teller() { pgrep -P "$COMMAND" closetrace; }
  until_true teller
  run ! grep -q socket: <(readlink "/proc/$(teller)/fd/"*)
  kill -TERM "$COMMAND"
  until_true grep -q '"op":"end"' trace.json
  kill -KILL "$(teller)" "$COMMAND"
  exec 5>&-
}

@test "report: of a session that goes on, and says so: a life is counted until now; not of one that was killed" {
  started -o trace.json <<<'from pair import *; hang()'
  until_true grep -q '"op":"eof"' trace.json
  life() { "$CLOSETRACE" report trace.json --format=json | jq 'select(.kind == "connection") | .life'; }
  longer() { [ "$(jq -n "$(life) > $first + 0.2")" = true ]; }
  local first
  first=$(life)
  until_true longer
  "$CLOSETRACE" report trace.json >report
  head -n 1 report | grep -q '; the session goes on$'
  grep -qE ' close FIN +open .* [0-9.]+ s\+ ' report
  "$CLOSETRACE" report trace.json --format=json | head -n 1 | jq -e .goes_on >/dev/null
  # Beside one that is over.
  "$CLOSETRACE" run -o other.json true 3>&- 2>/dev/null
  "$CLOSETRACE" report other.json trace.json | head -n 1 | grep -q '; the session goes on$'
  kill -KILL "$COMMAND"
  wait "$COMMAND" || [ $? = 137 ]
  first=$(life)
  sleep 0.3
  [ "$(life)" = "$first" ]
  run ! grep -q 'goes on' <("$CLOSETRACE" report trace.json)
}
