#!/usr/bin/env bats
# docs/recipes: what is shown there does what it says, as far as this machine can run it.

# shellcheck disable=SC2154 # bats sets status, output

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
CLOSETRACE=${CLOSETRACE:-$ROOT/closetrace}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  mkdir bin
  ln -s "$CLOSETRACE" bin/closetrace
  PATH=$PWD/bin:$PATH
}

# blocks LANGUAGE FILE: the code in it, a file each: block.1 ...
blocks() {
  rm -f block.*
  awk -v begin="\`\`\`$1" '$0 == begin { inside = 1; count++; next } /^```$/ { inside = 0 } inside { print > "block." count }' \
    "$ROOT/docs/recipes/$2"
  [ -s block.1 ]
}

# A reset with bytes lost, a FIN withheld for a moment, one that is right.
trace() {
  cat >program.py <<'PYTHON'
import os, socket

def pair(listener):
    client = socket.create_connection(listener.getsockname())
    return client, listener.accept()[0]

with socket.create_server(("127.0.0.1", 0)) as listener:
    client, server = pair(listener)
    client.sendall(b"unread")
    server.setblocking(False)
    try:
        while server.send(bytes(100000)):
            pass
    except BlockingIOError:
        pass
    server.close()
    client.close()
    client, server = pair(listener)
    copy = server.dup()
    server.close()
    copy.close()
    client.close()
PYTHON
  "$CLOSETRACE" run -o trace --messages=said python3 program.py
}

@test "recipes: each jq line answers, on a real trace" {
  trace
  blocks sh jq.md
  for block in block.*; do
    cp trace closetrace.trace
    bash -euo pipefail "$block" >out || { cat "$block" && return 1; }
    [ -s out ] && ! grep -qx '\[\]' out || { cat "$block" out && return 1; }
  done
  [ "$(find . -name 'block.*' | wc -l)" = 6 ]
}

@test "recipes: findings as annotations" {
  trace
  mv trace closetrace.trace
  blocks sh github-actions.md
  bash -euo pipefail block.1 >out
  grep -qE '^::error title=closetrace reset-on-close::python3; 127\.0\.0\.1:' out || { cat out && return 1; }
}

@test "recipes: the drop-ins for systemd are right" {
  command -v systemd-analyze >/dev/null || skip "there is no systemd-analyze"
  blocks ini systemd.md
  for block in 1 2; do
    mkdir -p "demo$block.service.d"
    printf '[Service]\nExecStart=/bin/true\n' >"demo$block.service"
    sed "s|/usr/local/bin/closetrace|$CLOSETRACE|; s|/usr/sbin/nginx.*|/bin/true|" "block.$block" >"demo$block.service.d/closetrace.conf"
  done
  run -0 systemd-analyze verify ./demo1.service ./demo2.service
  [ "$output" = "" ]
  # A word that there is not is seen.
  echo 'NotifyAcces=all' >>demo2.service.d/closetrace.conf
  run systemd-analyze verify ./demo2.service
  [[ $output == *NotifyAcces* ]]
}

@test "recipes: the Python stack of every close" {
  mkdir folder
  sed -n '/^    # sitecustomize.py/,/^$/ s/^    //p' "$ROOT/docs/recipes/python-stacks.md" >folder/sitecustomize.py
  trace
  cat >closes.py <<'PYTHON'
import socket
def finish(connection):
    connection.close()
with socket.create_server(("127.0.0.1", 0)) as listener:
    client = socket.create_connection(listener.getsockname())
    finish(listener.accept()[0])
    client.close()
PYTHON
  PYTHONPATH=$PWD/folder "$CLOSETRACE" run -o trace --messages=said -e inject=close:signal=SIGUSR1:role=server python3 closes.py 2>err
  grep -q 'line 3 in finish' err || { cat err && return 1; }
  [ "$(grep -c 'most recent call first' err)" = 1 ]
  [ "$("$CLOSETRACE" grep -c trace 'injected=*' role=server)" = 1 ]
}

# bats test_tags=root
@test "recipes: process 1 with a read-only root" {
  trace
  # shellcheck disable=SC2016 # the inner shell's
  run unshare -n -m -p --fork --mount-proc bash -c 'mount --make-rprivate / && mount -o remount,ro,bind / || exit 77
    ip link set lo up; exec "$0" run --format=json --messages=/dev/stdout -- python3 program.py' "$CLOSETRACE"
  [ "$status" != 77 ] || skip "the root cannot be mounted read-only here"
  [ "$status" = 0 ] || { echo "$output" && return 1; }
  [[ $output == *'"fin":"reset"'*'closetrace: 2 connections'* ]]
}
