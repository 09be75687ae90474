#!/usr/bin/env bats
# closetrace run: a session of a whole tree of programs. What comes out of it, what it leaves alone, how it ends.

# What stands in single quotes is for the shells that are traced; bats sets stderr_lines.
# shellcheck disable=SC2016,SC2154

bats_require_minimum_version 1.5.0

load helpers/wait

setup() {
  # Where every user can read it, wherever this checkout is.
  cd "$BATS_TEST_TMPDIR" || return
  place=$(mktemp -d /tmp/closetrace-run.XXXXXX)
  chmod 755 "$place"
  cp "${LIB:-$BATS_TEST_DIRNAME/../libclosetrace.so}" "$place/libclosetrace.so"
  cp "${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}" "$place/closetrace"
  chmod 644 "$place/libclosetrace.so"
  closetrace=$place/closetrace
  cat >pair.py <<'EOF'
import os, socket, sys
def pair():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    listener.close()
    return client, server
EOF
  export PYTHONPATH=$PWD PYTHONDONTWRITEBYTECODE=1
}

teardown() {
  local pid
  for pid in "${started[@]}"; do kill -KILL "$pid" 2>/dev/null || :; done
  rm -rf "$place"
}

started=()

# Whoever waits to read from the fifo goes on.
let_go() { timeout 20 sh -c 'echo >go'; }

# COUNT JQ: so many events of trace.json meet it.
assert_count() {
  local found
  found=$(jq -s "map(select($2)) | length" trace.json)
  [ "$found" = "$1" ] || { echo "$found events, not $1: $2" && cat trace.json && return 1; }
}

@test "status: as the program's; 128+N for a signal; 127 and 126 as a shell; 125 for our own" {
  run -0 --separate-stderr "$closetrace" run true
  [ "$output$stderr" = 'closetrace: no TCP socket was seen' ]
  run -7 "$closetrace" run sh -c 'exit 7'
  run -137 "$closetrace" run sh -c 'kill -KILL $$'
  run -143 "$closetrace" run sh -c 'kill -TERM $$'
  run -127 "$closetrace" run no-such-program
  [ "$output" = "closetrace run: no-such-program: No such file or directory" ]
  run -126 "$closetrace" run ./pair.py
  [[ $output == *": Permission denied" ]]
  run -125 "$closetrace" run
  [[ $output == *"COMMAND is missing"* ]]
}

@test "options: what is wrong is said in one line, and nothing is started" {
  refused() {
    local says=$1
    shift
    run -125 "$closetrace" run "$@" touch was-started
    [[ ${lines[0]} == *"$says"* ]] || { echo "$output" && return 1; }
    [ ! -e was-started ]
  }
  refused 'there is no option --sed=1, did you mean --seed?' --sed=1
  refused 'there is no option --no-wiat, did you mean --no-wait?' --no-wiat
  refused '-p: a running program cannot be preloaded' -p 1
  refused '-c: calls are not counted: closetrace report' -c
  refused '--format=xml: expected text or json' --format=xml
  refused '-e "close": expected trace=, only=, inject=, fault= or verify=' -e close
  refused '-e trcae=: there is no such expression (did you mean trace?)' -e trcae=end
  refused 'CLOSETRACE_TRACE: unknown event class "opne"' -e trace=opne
  refused 'CLOSETRACE_ONLY: ' -e only=lprot=80
  refused 'CLOSETRACE_VERIFY: ' -e verify=maybe
  refused 'CLOSETRACE_SEED: ' --seed x
  refused 'CLOSETRACE_INJECT: ' -e inject=close:as=SHUT_WRR
  refused '-E "=x": expected VAR=VALUE' -E =x
  refused '-o "|cat": a trace goes into a file' -o '|cat'
  refused './no/such/folder/trace' -o ./no/such/folder/trace
  run -125 "$closetrace" run -e
  [[ $output == *'-e: a value is missing'* ]]
}

@test "options: strace's -f is accepted, -eX=Y and --seed=N too; -- ends them" {
  run -0 --separate-stderr "$closetrace" run -f -etrace=end --seed=7 -E A=1 -E HOME -- sh -c 'echo "$A$HOME $CLOSETRACE_SEED $CLOSETRACE_TRACE"'
  [ "$output" = "1 7 end" ]
}

@test "environment: the library comes after what was preloaded before" {
  run -0 --separate-stderr env LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libpthread.so.0 "$closetrace" run sh -c 'echo "$LD_PRELOAD"'
  [ "$output" = "/usr/lib/x86_64-linux-gnu/libpthread.so.0:$place/libclosetrace.so" ]
}

@test "output: text on stderr as it happens, JSON lines with -o, which is made empty first; stdout and stdin are the program's" {
  program='from pair import *
print(sys.stdin.read(), end="")
client, server = pair()
client.close(); server.recv(1); server.close()'
  echo something | "$closetrace" run /usr/bin/python3 -c "$program" >out 2>err
  [ "$(cat out)" = something ]
  grep -qE 'close\([0-9]+<TCP:\[127.0.0.1:[0-9]+->127.0.0.1:[0-9]+\]>\) = 0  refs 1->0  FIN sent  ESTABLISHED->FIN_WAIT' err
  echo 'left from before' >trace.json
  echo something | "$closetrace" run -o trace.json /usr/bin/python3 -c "$program" >out 2>err
  [ "$(cat out)" = something ]
  run ! grep -v '^closetrace: ' err
  assert_count 2 '.op == "close" and .fin == "sent" and .verified'
  assert_count 1 '.op == "start"'
  assert_count 1 '.op == "end" and .lost == 0'
  "$closetrace" run --format=json sh -c : 2>err
  "$closetrace" run -o trace.txt --format=text /usr/bin/python3 -c "$program" <<<'' >out 2>err
  grep -q 'FIN sent' trace.txt
}

@test "descriptors: the program holds none of ours" {
  run -0 --separate-stderr "$closetrace" run -o trace.json /usr/bin/python3 -c 'import os; print(sorted(os.listdir("/proc/self/fd")))'
  [ "$output" = "$(/usr/bin/python3 -c 'import os; print(sorted(os.listdir("/proc/self/fd")))')" ]
}

@test "exec: the new program joins, knows what it inherits, and the references are right" {
  cat >first.py <<'EOF'
from pair import *
client, server = pair()
os.set_inheritable(client.fileno(), True)
child = os.fork()
if child == 0:
    os.execv("/usr/bin/python3", ["python3", "second.py", str(client.fileno())])
os.waitpid(child, 0)
client.close()
EOF
  cat >second.py <<'EOF'
import os, sys
os.close(int(sys.argv[1]))
EOF
  "$closetrace" run -o trace.json /usr/bin/python3 first.py
  assert_count 3 '.op == "start"'
  assert_count 1 '.op == "close" and .role == "client" and .refs_before == 2 and .refs_after == 1 and .fin == "withheld"'
  assert_count 1 '.op == "close" and .role == "client" and .refs_before == 1 and .fin == "sent"'
}

# bats test_tags=root
@test "exec: after a change of user, in a network namespace of its own, with another root" {
  program='from pair import *
client, server = pair(); client.close(); server.close()'
  chmod 755 . && chmod 644 pair.py
  cp pair.py "$place" && export PYTHONPATH=$place
  "$closetrace" run -o trace.json setpriv --reuid=65534 --regid=65534 --clear-groups /usr/bin/python3 -c "$program"
  assert_count 2 '.op == "close" and .fin == "sent"'
  "$closetrace" run -o trace.json unshare -n sh -c "ip link set lo up; exec /usr/bin/python3 -c '$program'"
  assert_count 2 '.op == "close" and .fin == "sent"'
  "$closetrace" run -o trace.json setpriv --reuid=65534 --regid=65534 --clear-groups \
    sh -c 'exec sh -c "exec /usr/bin/python3 -c \"\$0\"" "$0"' "$program"
  assert_count 2 '.op == "close" and .fin == "sent"'
}

@test "session: another user's program is not let in" {
  mkfifo go
  "$closetrace" run -o trace.json sh -c 'echo "$CLOSETRACE_SESSION" >session; read -r _ <go' &
  started+=($!)
  until_true [ -s session ]
  # The door is there, and closed to whoever is not of the tree: it gets no answer.
  run -0 /usr/bin/python3 -c '
import socket, sys
where = open("session").read().strip().split(":")[2]
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(10)
s.connect("\0closetrace-" + where)
try:
    s.send(b"J" + bytes(23))
    print("let in" if s.recvmsg(1, 64)[1] else "refused")
except (ConnectionResetError, BrokenPipeError):
    print("refused")'
  [ "$output" = refused ]
  let_go
  wait "${started[0]}"
}

@test "session: nonsense at the join socket leaves nothing behind, and holds nobody up" {
  cat >nonsense.py <<'EOF'
import array, os, socket, time
from pair import *
command = os.getppid()
count = lambda: len(os.listdir(f"/proc/{command}/fd"))
name = "\0closetrace-" + os.environ["CLOSETRACE_SESSION"].split(":")[2]
null = os.open("/dev/null", 0)
def ask(data, fds):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(10)
    s.connect(name)
    s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
    return s
def answered(s):
    try:
        return s.recvmsg(1, 64)
    except ConnectionResetError:
        return b"", []
before = count()
right = set()
for size in [0, 1, 4, 1000, *range(256, 320)]:
    for wish in (b"J", b"P", b"x"):
        for fds in ([], [null], [null, null], [null] * 250):
            s = ask((wish + bytes(3) + os.urandom(size))[:size], fds)
            if answered(s)[0]:
                assert wish == b"J" and len(fds) < 2, (size, wish, fds)
                right.add(size)
            s.close()
size = right.pop()
assert not right
# Many who say nothing, and one who asks.
silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(200)]
for s in silent:
    s.connect(name)
begin = time.monotonic()
assert answered(ask(b"J" + bytes(size - 1), []))[0] == b"\1"
assert time.monotonic() - begin < 2
for s in silent:
    s.close()
deadline = time.monotonic() + 30
while count() > before:
    assert time.monotonic() < deadline, (before, count())
    time.sleep(0.02)
EOF
  run -0 --separate-stderr "$closetrace" run -o trace.json /usr/bin/python3 nonsense.py
  assert_count 0 '.op == "release"'
}

# bats test_tags=root
@test "session: a parked connection is given to the command alone, whoever binds its address" {
  chmod 755 . "$place" && cp pair.py "$place" && export PYTHONPATH=$place
  cat >"$place/thief.py" <<'EOF'
import os, socket
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind("\0closetrace-" + os.environ["CLOSETRACE_SESSION"].split(":")[2])
s.listen(5)
print("bound", flush=True)
while True:
    c, _ = s.accept()
    c.send(b"\1")
    print("asked with", len(socket.recv_fds(c, 1000, 4)[1]), "descriptors", flush=True)
EOF
  cat >victim.py <<'EOF'
import ctypes, os, socket, subprocess, sys
from pair import *
# In a network namespace where the address is free; /proc leads to the memory.
assert ctypes.CDLL(None).unshare(0x40000000) == 0
os.system("ip link set lo up")
thief = subprocess.Popen([sys.executable, sys.argv[1]], stdout=subprocess.PIPE, text=True)
assert thief.stdout.readline() == "bound\n"
client, server = pair()
client.close()
server.settimeout(10)
assert server.recv(10) == b""
thief.kill()
print(thief.stdout.read(), end="")
EOF
  run -0 --separate-stderr "$closetrace" run -e 'inject=close:as=HOLD:hold=300ms:role=client' -o trace.json /usr/bin/python3 victim.py "$place/thief.py"
  [ -z "$output" ]
}

@test "tree: daemons and orphans are followed to their end; --no-wait ends with the command" {
  cat >daemon.py <<'EOF'
from pair import *
client, server = pair()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("go").read()
        client.close()
        server.close()
    os._exit(0)
os._exit(3)
EOF
  mkfifo go
  "$closetrace" run -o trace.json /usr/bin/python3 daemon.py &
  started+=($!)
  until_true grep -q '"op":"end"' trace.json
  kill -0 "${started[0]}"
  let_go
  wait "${started[0]}" || [ $? = 3 ]
  assert_count 2 '.op == "close" and .fin == "sent" and .verified'
  "$closetrace" run --no-wait -o trace.json /usr/bin/python3 daemon.py >/dev/null 2>&1 3>&- || [ $? = 3 ]
  # Without the command it goes on, and tells the file.
  let_go
  both_sent() { [ "$(grep -c '"op":"close".*"fin":"sent"' trace.json)" = 2 ]; }
  until_true both_sent
}

@test "signals: what is sent to the command is passed on; a terminal's interrupt reaches the program once" {
  cat >trap.sh <<'EOF'
trap 'echo term; exit 5' TERM
trap 'echo usr1' USR1
echo ready
while :; do sleep 0.05; done
EOF
  "$closetrace" run -o trace.json bash trap.sh >out &
  started+=($!)
  until_true grep -q ready out
  kill -USR1 "${started[0]}"
  until_true grep -q usr1 out
  kill -TERM "${started[0]}"
  wait "${started[0]}" || [ $? = 5 ]
  [ "$(cat out)" = $'ready\nusr1\nterm' ]
  cat >interrupted.py <<'EOF'
import os, signal, time
from pair import *
client, server = pair()
count = 0
def interrupt(*_):
    global count
    count += 1
    os.write(1, b"interrupted %d\n" % count)
signal.signal(signal.SIGINT, interrupt)
os.write(1, b"ready\n")
while not count:
    time.sleep(0.02)
time.sleep(0.2)
client.close()
EOF
  run -0 /usr/bin/python3 -c '
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "run", "/usr/bin/python3", "interrupted.py"])
text = b""
while b"ready" not in text:
    text += os.read(terminal, 4096)
os.write(terminal, b"\x03")
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    if not more:
        break
    text += more
print(text.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))' "$closetrace"
  [[ $output == *"interrupted 1"* && $output != *"interrupted 2"* && $output == *"FIN"*"sent"* ]]
}

# bats test_tags=root
@test "signals: they are passed on, and programs start, while nobody reads the trace; then all of it is there" {
  cat >full.py <<'EOF'
import signal, sys, time
from pair import *
got = []
signal.signal(signal.SIGUSR1, lambda *_: got.append("usr1"))
signal.signal(signal.SIGTERM, lambda *_: got.append("term"))
for i in range(500):
    client, server = pair()
    client.close(); server.close()
open("ready", "w").write("x")
deadline = time.monotonic() + 60
while len(got) < 2 and time.monotonic() < deadline:
    time.sleep(0.01)
begin = time.monotonic()
assert os.system("setpriv --reuid=65534 --regid=65534 --clear-groups true") == 0
print(got, time.monotonic() - begin < 2, file=open("got", "w"))
EOF
  mkfifo trace
  exec 5<>trace
  "$closetrace" run /usr/bin/python3 full.py 2>trace 5>&- &
  started+=($!)
  until_true [ -s ready ]
  kill -USR1 "${started[0]}"
  kill -TERM "${started[0]}"
  until_true [ -s got ]
  [ "$(cat got)" = "['usr1', 'term'] True" ]
  exec 6<trace
  cat <&6 >got.text 5>&- &
  started+=($!)
  exec 5>&- 6>&-
  wait "${started[0]}"
  wait "${started[1]}"
  sent=$(grep -c " close(.* FIN sent" got.text) || :
  [ "$sent" = 1000 ] || { echo "$sent" && tail -3 got.text && return 1; }
  grep -q '500 connections, 1000 FINs' got.text
  run ! grep -q 'lost:\|were lost' got.text
}

@test "signals: when the program has ended they end the waiting; also for somebody who would read the trace" {
  mkfifo trace
  exec 5<>trace
  "$closetrace" run /usr/bin/python3 -c 'from pair import *
for i in range(500):
    client, server = pair()
    client.close(); server.close()
open("ended", "w").write("x")
os._exit(3)' 2>trace 5>&- &
  started+=($!)
  until_true [ -s ended ]
  no_child() { [ -z "$(cat /proc/"${started[0]}"/task/*/children)" ]; }
  until_true no_child
  kill -TERM "${started[0]}"
  ended() { ! kill -0 "${started[0]}" || [ "$(awk '/^State/ { print $2 }' "/proc/${started[0]}/status")" = Z ]; }
  # What it says of the end has to be read as well.
  exec 6<trace
  cat <&6 >/dev/null 5>&- &
  started+=($!)
  until_true ended
  exec 5>&- 6>&-
  wait "${started[0]}" || [ $? = 3 ]
  "$closetrace" run sh -c 'sleep 100 & echo $! >daemon; exit 4' &
  started+=($!)
  until_true [ -s daemon ]
  started+=("$(cat daemon)")
  sleep 0.1
  kill -TERM "${started[2]}"
  wait "${started[2]}" || [ $? = 4 ]
  kill -0 "${started[3]}"
}

# bats test_tags=root
@test "stopped: a command that is stopped is waited for neither by a program that starts nor by a parked close" {
  chmod 755 . && cp pair.py "$place" && export PYTHONPATH=$place
  cat >stopped.py <<'EOF'
import atexit, signal, time
from pair import *
pairs = [pair() for _ in range(5)]
# Whatever fails here: one that stays stopped is waited for, for ever.
atexit.register(lambda command: os.kill(command, signal.SIGCONT), os.getppid())
os.kill(os.getppid(), signal.SIGSTOP)
while open(f"/proc/{os.getppid()}/stat").read().rpartition(")")[2].split()[0] != "T":
    time.sleep(0.01)
begin = time.monotonic()
for client, _ in pairs:
    client.close()
parked = time.monotonic() - begin
begin = time.monotonic()
for _ in range(5):
    assert os.system("setpriv --reuid=65534 --regid=65534 --clear-groups true") == 0
print(parked < 2, time.monotonic() - begin < 4)
os.kill(os.getppid(), signal.SIGCONT)
begin = time.monotonic()
for _, server in pairs:
    server.settimeout(10)
    assert server.recv(1) == b""
print(0.2 < time.monotonic() - begin < 5)
EOF
  run -0 --separate-stderr "$closetrace" run -e 'inject=close:as=HOLD:hold=500ms:role=client' -o trace.json /usr/bin/python3 stopped.py
  [ "$output" = $'True True\nTrue' ]
  # Each is let go once, by the program that kept it.
  assert_count 5 '.op == "release" and .fin == "sent" and .comm != "closetrace"'
  [[ $stderr != *'without the library'* ]]
}

@test "killed: what became of the connections of a process that nobody could ask" {
  cat >killed.py <<'EOF'
import select, signal, time
from pair import *
gone, peer = pair()
held, _ = pair()
half, other = pair()
ready, tell = os.pipe()
def watched(pid):
    """The command has seen it: it has a pidfd of it."""
    folder = f"/proc/{os.getppid()}/fdinfo"
    for fd in os.listdir(folder):
        try:
            if f"Pid:\t{pid}\n" in open(f"{folder}/{fd}").read():
                return True
        except OSError:
            pass
    return False
child = os.fork()
if child == 0:
    signal.alarm(90)
    peer.close(); other.close(); _.close()
    grandchild = os.fork()
    if grandchild == 0:
        signal.alarm(90)
        gone.close(); half.close()
        os.write(tell, b"x")
        signal.pause()
    half.shutdown(socket.SHUT_WR)
    os.write(tell, b"%d " % grandchild)
    signal.pause()
gone.close(); held.close(); half.close()
said = b""
while b"x" not in said or b" " not in said:
    said += os.read(ready, 64)
grandchild = int(said.replace(b"x", b""))
deadline = time.monotonic() + 60
while not (watched(child) and watched(grandchild)):
    assert time.monotonic() < deadline
    time.sleep(0.01)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
while '"SIGKILL"' not in open("trace.json").read():
    assert time.monotonic() < deadline
    time.sleep(0.01)
assert peer.recv(1) == b""
print(child, grandchild, *(s.getpeername()[1] for s in (peer, _, other)))
end = os.pidfd_open(grandchild)
os.kill(grandchild, signal.SIGTERM)
select.select([end], [], [], 60)
EOF
  run -0 --separate-stderr "$closetrace" run -o trace.json /usr/bin/python3 killed.py
  read -r child grandchild gone held half <<<"$output"
  died=".op == \"exit\" and .pid == $child and .call == \"SIGKILL\""
  assert_count 3 "$died"
  assert_count 1 "$died and .local == \"127.0.0.1:$gone\" and .fin == \"sent\" and .verified and .role == \"client\" and (.state_after | test(\"FIN_WAIT\"))"
  assert_count 1 "$died and .local == \"127.0.0.1:$held\" and .fin == \"withheld\" and .verified and .holders[0].pid == $grandchild"
  assert_count 1 "$died and .local == \"127.0.0.1:$half\" and .fin == \"already\" and .why == \"after-shutdown\""
  # The last one was held by the grandchild: it dies of SIGTERM, which nobody saw either.
  assert_count 1 ".op == \"exit\" and .pid == $grandchild and .call == \"SIGTERM\" and .local == \"127.0.0.1:$held\" and .fin == \"sent\""
}

@test "killed: no event is lost that was logged before, at whatever moment" {
  cat >busy.py <<'EOF'
import signal
from pair import *
for round in range(30):
    child = os.fork()
    if child == 0:
        while True:
            client, server = pair()
            client.close(); server.close()
    os.sched_yield()
    for _ in range(2000 * (round % 7)):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
client, server = pair()
client.close()
print(os.getpid())
EOF
  run -0 --separate-stderr "$closetrace" run -o trace.json /usr/bin/python3 busy.py
  parent=$output
  jq -e . trace.json >/dev/null
  assert_count 1 ".pid == $parent and .op == \"close\" and .fin == \"sent\" and .role == \"client\""
  # Each process's closes follow its connects, none is missing in between: clients are closed in turn.
  run -0 jq -s '[.[] | select(.role == "client" and (.op == "connect" or .op == "close"))] | group_by(.pid) |
    map([.[].op] | . as $ops | [range(0; length)] | all($ops[.] == (if . % 2 == 0 then "connect" else "close" end))) | all' trace.json
  [ "$output" = true ]
}

# bats test_tags=root
@test "reach: static programs are refused by name where preloading alone was asked for; set-user-ID and foreign ones are" {
  printf 'int main(void) { return 0; }\n' >static.c
  gcc -static -o static static.c
  run -125 "$closetrace" run --reach=preload ./static
  [[ $output == *"./static cannot be traced: it is statically linked"* ]]
  printf '#!%s\n' "$PWD/static" >script && chmod +x script
  run -0 "$closetrace" run ./script
  run -125 "$closetrace" run --reach=preload ./script
  [[ $output == *"$PWD/static cannot be traced"* ]]
  cp /usr/bin/true "$place/suid" && chmod 4755 "$place/suid"
  run -125 setpriv --reuid=65534 --regid=65534 --clear-groups "$closetrace" run "$place/suid"
  [[ $output == *"set-user-ID"* ]]
  run -0 "$closetrace" run "$place/suid"
  cp static other && printf '\xb7' | dd of=other bs=1 seek=18 conv=notrunc status=none
  run -125 "$closetrace" run ./other
  [[ $output == *"different architecture"* ]]
}

@test "reach: programs that ran without the library are named, others are not" {
  printf 'int main(void) { return 0; }\n' >static.c
  gcc -static -o unreachable static.c
  run -0 --separate-stderr "$closetrace" run sh -c './unreachable; env -i /usr/bin/true; /usr/bin/true; (/usr/bin/true); :'
  [ "$(grep -c 'ran without the library' <<<"$stderr")" = 2 ]
  # Neither is a child that its parent leaves as a zombie to us.
  run -0 --separate-stderr "$closetrace" run /usr/bin/python3 -c '
import os, time
child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
folder = f"/proc/{os.getppid()}/fdinfo"
def watched():
    return any(f"Pid:\t{child}\n" in open(f"{folder}/{fd}").read() for fd in os.listdir(folder))
for _ in range(1000):
    try:
        if not watched():
            break
    except OSError:
        pass
    time.sleep(0.01)'
  [ "$stderr" = 'closetrace: no TCP socket was seen' ]
  run -0 --separate-stderr "$closetrace" run sh -c './unreachable; env -i /usr/bin/true; /usr/bin/true; (/usr/bin/true); :'
  [ "$(grep -c 'ran without the library' <<<"$stderr")" = 2 ]
  [[ $stderr == *"unreachable (process "*") ran without the library"* ]]
  [[ $stderr == *"true (process "*") ran without the library"* ]]
}

@test "reach: what was forked and killed, or has the library without the session, did not run without the library" {
  cat >killed.c <<'EOF'
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    for (int i = 0; i < 300; i++) {
        int child = fork();
        if (!child) {
            int grandchild = fork();
            if (!grandchild)
                for (;;)
                    pause();
            kill(grandchild, SIGKILL);
            raise(SIGKILL);
        }
        waitpid(child, 0, 0);
    }
}
EOF
  gcc -o killed killed.c
  run -0 --separate-stderr "$closetrace" run ./killed
  [[ $stderr != *'without the library'* ]]
  chmod 755 . && cp pair.py "$place" && export PYTHONPATH=$place
  program='from pair import *
client, server = pair(); client.close(); server.close()'
  # Another network namespace, and one of users, in which the command's /proc is closed: neither way leads to it.
  for alone in 'unshare --map-root-user --net' 'env -u CLOSETRACE_SESSION'; do
    # shellcheck disable=SC2086 # words
    run -0 --separate-stderr "$closetrace" run -o trace.json $alone sh -c "ip link set lo up; exec /usr/bin/python3 -c '$program'"
    [[ $stderr != *'without the library'* ]]
    assert_count 2 '.op == "close" and .fin == "sent"'
  done
  # One that had time to speak is named though a signal ended it.
  printf '#include <signal.h>\n#include <unistd.h>\nint main(void) { usleep(1500000); raise(SIGTERM); }\n' >static.c
  gcc -static -o unreachable static.c
  run -0 --separate-stderr "$closetrace" run sh -c './unreachable; :'
  [[ $stderr == *'unreachable (process '*') ran without the library'* ]]
}

@test "rules: one that never fired in any process is named, one that fired in a killed process is not" {
  run -143 --separate-stderr "$closetrace" run -e inject=close:error=EIO:when=99 -e inject=close:delay_exit=1ms:role=client \
    -o trace.json /usr/bin/python3 -c 'from pair import *
child = os.fork()
if child == 0:
    client, server = pair()
    client.close()
    os.kill(os.getpid(), 9)
os.waitpid(child, 0)
client, server = pair()
server.close()
os.kill(os.getpid(), 15)'
  [ "$(grep -c 'never fired' <<<"$stderr")" = 1 ]
  [[ $stderr == *"this rule never fired (it matched "*"): close:error=EIO:when=99"* ]]
}

@test "loss: a ring that nobody empties drops events, says how many, and the program goes on" {
  cat >many.py <<'EOF'
from pair import *
client, server = pair()
open("pid", "w").write(str(os.getpid()))
open("go").read()
for i in range(120000):
    client.send(b"x")
    if i % 1000 == 999:
        server.recv(1000)
client.close()
open("finished", "w").write("x")
EOF
  mkfifo go
  "$closetrace" run -e trace=all -o trace.json /usr/bin/python3 many.py 2>err &
  started+=($!)
  until_true [ -s pid ]
  kill -STOP "${started[0]}"
  let_go
  until_true [ -s finished ]
  kill -CONT "${started[0]}"
  wait "${started[0]}"
  lost=$(sed -n 's/^closetrace: \([0-9]*\) events were lost: .*/\1/p' err)
  [ "$lost" -gt 0 ]
  [ $((lost + $(jq -s 'map(select(.op == "write")) | length' trace.json))) -ge 120000 ]
  jq -s -e 'map(select(.op == "end"))[0].lost > 0' trace.json || [ "$(jq -s 'map(select(.op == "end")) | length' trace.json)" = 0 ]
}

@test "the command is killed: the program does not notice, and goes on telling the file" {
  cat >survivor.py <<'EOF'
from pair import *
client, server = pair()
open("ready", "w").write("x")
open("go").read()
for i in range(60000):
    client.send(b"x") ; server.recv(1)
client.close()
open("finished", "w").write("fine")
EOF
  mkfifo go
  "$closetrace" run -e trace=all -o trace.json /usr/bin/python3 survivor.py &
  started+=($!)
  until_true [ -s ready ]
  kill -KILL "${started[0]}"
  wait "${started[0]}" 2>/dev/null || :
  let_go
  until_true grep -q fine finished
  until_true grep -q '"op":"close".*"role":"client".*"fin":"sent"' trace.json
}

@test "nothing is left behind: no shared memory, no files, no processes, no sockets" {
  find /dev/shm -iname '*closetrace*' | sort >before
  "$closetrace" run -o trace.json /usr/bin/python3 -c 'from pair import *
print(os.environ["CLOSETRACE_SESSION"], flush=True)
client, server = pair()
child = os.fork()
os.kill(os.getpid(), 9)' >session || [ $? = 137 ]
  find /dev/shm -iname '*closetrace*' | sort >after
  cmp before after
  name=$(cut -d: -f3 session)
  [ -n "$name" ]
  run ! grep -q "$name" /proc/net/unix
}

@test "real: make -j and a pipeline of shells come out as without it" {
  printf 'all: a b c d\n%%:\n\t@echo $@ >$@.out\n' >Makefile
  run -0 "$closetrace" run -o trace.json make -s -j4
  [ "$output" = 'closetrace: no TCP socket was seen' ]
  [ "$(cat a.out b.out c.out d.out)" = $'a\nb\nc\nd' ]
  run -0 --separate-stderr "$closetrace" run bash -c 'seq 3 | tac & wait; echo done'
  [ "$output" = $'3\n2\n1\ndone' ]
  [ "$stderr" = 'closetrace: no TCP socket was seen' ]
}

@test "parking: the command holds what a rule keeps, beyond the program's limit of descriptors" {
  cat >parking.py <<'EOF'
import resource
from pair import *
resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
before = sorted(os.listdir("/proc/self/fd"))
peers = []
for i in range(5):
    for j in range(3):
        client, server = pair()
        client.close()
        peers.append(server.detach())
    # Nothing of it is among our descriptors, and the numbers are free.
    held = [fd for fd in os.listdir("/proc/self/fd") if fd not in before and int(fd) not in peers]
    assert len(held) <= 1, held
    for fd in peers:
        other = os.dup(fd); os.close(other)
    for fd in peers:
        socket.socket(fileno=fd).detach()
        os.set_inheritable(fd, False)
    for fd in peers:
        os.close(fd)
    peers.clear()
print("done")
EOF
  run -0 --separate-stderr "$closetrace" run -e 'inject=close:as=HOLD:role=client' -o trace.json /usr/bin/python3 parking.py
  [ "$output" = 'done' ]
  assert_count 15 '.op == "close" and .role == "client" and .fin == "withheld" and .why == "parked" and .verified'
  assert_count 15 '.op == "release" and .comm == "closetrace" and .role == "client" and .verified and .injected == "close:as=HOLD:role=client"'
}

@test "parking: held for its time; else until the peer closes, or the process ends" {
  cat >hold.py <<'EOF'
import time
from pair import *
client, server = pair()
begin = time.monotonic()
client.close()
assert server.recv(1) == b""
print(time.monotonic() - begin > 0.29)
EOF
  run -0 --separate-stderr "$closetrace" run -e 'inject=close:as=HOLD:hold=300ms:role=client' -o trace.json /usr/bin/python3 hold.py
  [ "$output" = True ]
  assert_count 1 '.op == "release" and .fin == "sent" and .verified'
  cat >peer.py <<'EOF'
from pair import *
client, server = pair()
client.close()
server.close()
other, peer = pair()
other.close()
child = os.fork()
if child == 0:
    assert peer.recv(1) == b""   # when our parent has ended
    os._exit(0)
EOF
  run -0 --separate-stderr "$closetrace" run -e 'inject=close:as=HOLD:role=client' -o trace.json /usr/bin/python3 peer.py
  assert_count 1 '.op == "release" and .fin == "sent" and .state_before == "CLOSE_WAIT"'
  assert_count 1 '.op == "release" and .fin == "sent" and .state_before == "ESTABLISHED"'
}

@test "parking: a connection that lingers holds up nobody, and is told of when it is closed" {
  cat >linger.py <<'EOF'
import struct, time
from pair import *
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
listener.bind(("127.0.0.1", 0))
listener.listen()
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3))
client.setblocking(False)
try:
    while True:
        client.send(b"x" * 65536)
except BlockingIOError:
    pass
client.close()
def released():
    return '"op":"release"' in open("trace.json").read()
deadline = time.monotonic() + 60
begin = time.monotonic()
while not released():
    assert time.monotonic() < deadline
    other, peer = pair()
    port = other.getsockname()[1]
    other.close(); peer.close()
    seen = time.monotonic()
    # If the command waited for the close, nothing would come for as long as that.
    while f'"op":"close"' not in "".join(line for line in open("trace.json") if f":{port}\"" in line):
        assert time.monotonic() - seen < 2
        time.sleep(0.01)
print(time.monotonic() - begin > 2.5)
EOF
  run -0 --separate-stderr "$closetrace" run -e 'inject=close:as=HOLD:hold=100ms:when=1:role=client' -o trace.json /usr/bin/python3 linger.py
  [ "$output" = True ]
  assert_count 1 '.op == "release" and .fin == "queued" and .state_after == "FIN_WAIT1" and .verified and .comm == "closetrace"'
}

@test "parking: exit:as=HOLD keeps a connection whole beyond the end of its process" {
  cat >exit.py <<'EOF'
import time
from pair import *
client, server = pair()
child = os.fork()
if child == 0:
    server.close()
    os._exit(0)
client.close()
os.waitpid(child, 0)
begin = time.monotonic()
assert server.recv(1) == b""
print(time.monotonic() - begin > 0.2)
EOF
  run -0 --separate-stderr "$closetrace" run -e 'inject=exit:as=HOLD:hold=300ms:role=client' -o trace.json /usr/bin/python3 exit.py
  [ "$output" = True ]
  assert_count 1 '.op == "exit" and .role == "client" and .fin == "withheld" and .why == "parked" and .injected'
  assert_count 0 '.op == "exit" and .role != "client" and .injected'
  assert_count 1 '.op == "release" and .comm == "closetrace" and .fin == "sent" and .verified'
}

@test "reach: programs that pass by the library are named, in the trace too; listeners and inherited connections are none" {
  cat >raw.c <<'EOC'
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
int main(int argc, char **argv) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    long fd = call(SYS_socket, AF_INET, SOCK_STREAM, 0);
    char byte;
    if (call(SYS_connect, fd, (long)&to, sizeof to) != 0)
        return 1;
    call(SYS_read, fd, (long)&byte, 1); /* until the server has ended it */
    return argc < 2;
}
EOC
  gcc -O1 -o raw raw.c
  # The server ends the connection when the command has seen it.
  cat >server.py <<'EOP'
import os, socket, subprocess, sys, time
listener = socket.create_server(("127.0.0.1", 0))
command = subprocess.Popen([sys.argv[1], "run", "-o", "trace", "./raw", str(listener.getsockname()[1])])
connection, _ = listener.accept()
time.sleep(1)  # the command looks after 0.3 s
connection.close()
sys.exit(command.wait())
EOP
  run -0 --separate-stderr /usr/bin/python3 server.py "$closetrace"
  [[ $stderr == *'raw (process '*') makes its system calls without the library'* ]]
  [ "$(jq -r 'select(.op == "unseen") | .comm' trace)" = raw ]
  "$closetrace" report trace | grep -q '^not seen: raw, process [0-9]*: what it did is not in the trace$'
  # What it inherits it says when it ends; a listener is no connection yet.
  run -0 --separate-stderr "$closetrace" run -o trace /usr/bin/python3 -c '
import os, signal, socket, subprocess, time
l = socket.create_server(("127.0.0.1", 0)); l.set_inheritable(True)
p = subprocess.Popen(["/usr/bin/sleep", "9"], close_fds=False)
time.sleep(0.8)
p.kill(); p.wait()'
  [[ $stderr != *'past the library'* ]]
  run -0 --separate-stderr "$closetrace" run -o trace env -i /usr/bin/true
  [ "$(jq -r 'select(.op == "unseen") | "\(.comm) \(.reach)"' trace)" = "true environment" ]
}
