"""Connections that stand, for closetrace now: standing.py SCENE. Says "ready NAME=PORT...", and waits for the end of its input."""

import array
import os
import socket
import subprocess
import sys
import threading
import time


def listen(backlog=8):
    return socket.create_server(("127.0.0.1", 0), backlog=backlog)


def pair(listener):
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    return client, server


def port(listener):
    return listener.getsockname()[1]


KEPT = []


def keep(*things):
    KEPT.extend(things)


def child(work):
    pid = os.fork()
    if pid == 0:
        work()
        sys.stdin.read()
        os._exit(0)
    return pid


def sleeper(*inherited):
    """A program that an exec leaves a socket open in."""
    for one in inherited:
        one.set_inheritable(True)
    KEPT.append(subprocess.Popen(["sleep", "60"], close_fds=False))


def close_wait():
    """leaked: read to its end and not closed; deaf: the end was never looked at, nor what came before it."""
    listener = listen()
    for _ in range(3):
        client, server = pair(listener)
        client.close()
        assert server.recv(10) == b""
        keep(server)
    deaf = listen()
    client, server = pair(deaf)
    client.sendall(b"12345")
    client.close()
    keep(listener, deaf, server)
    return {"leaked": port(listener), "deaf": port(deaf)}


def queue():
    """Nobody accepts: one client has given up, and the queue of another listener is full."""
    listener = listen()
    client = socket.create_connection(listener.getsockname())
    client.close()
    full = listen(0)
    keep(listener, full, socket.create_connection(full.getsockname()))
    return {"queue": port(listener), "full": port(full)}


def stranger():
    """What a server had is left to a program that knows nothing of it: a connection, one that has ended, a listener."""
    listener = listen()
    client, server = pair(listener)
    gone, ended = pair(listener)
    gone.close()
    port_held = listen()
    sleeper(server, ended, port_held)
    server.close()
    ended.close()
    waiting = socket.create_connection(port_held.getsockname())
    held = port(port_held)
    port_held.close()
    # The server goes on with its work.
    threading.Thread(target=listener.accept, daemon=True).start()
    keep(client, waiting, listener)
    return {"stranger": port(listener), "held": held}


def relay():
    """A half-close that was passed on: the relay waits for its backend, and does right."""
    front, back = listen(), listen()

    def passes_on():
        server, _ = front.accept()
        upstream = socket.create_connection(back.getsockname())
        assert server.recv(10) == b""
        upstream.shutdown(socket.SHUT_WR)
        keep(server, upstream)

    child(passes_on)

    def answers_late():
        server, _ = back.accept()
        assert server.recv(10) == b""
        keep(server)
        os.write(1, b"")

    child(answers_late)
    client = socket.create_connection(front.getsockname())
    client.shutdown(socket.SHUT_WR)
    keep(client, front, back)
    return {"front": port(front), "back": port(back)}


def shared():
    """unread: a close would reset; two: a child has it too; thread: nobody has it but a call."""
    unread, two, thread = listen(), listen(), listen()
    client, server = pair(two)
    keep(client, server)
    child(lambda: None)
    client, server = pair(unread)
    client.sendall(b"x" * 312)
    keep(client, server)
    client, server = pair(thread)
    threading.Thread(target=server.recv, args=(10,), daemon=True).start()
    time.sleep(0.2)
    os.close(server.fileno())
    keep(client, server, unread, two, thread)
    return {"unread": port(unread), "two": port(two), "thread": port(thread)}


def flight():
    """Nobody has it but a unix socket's queue."""
    listener = listen()
    client, server = pair(listener)
    ends = socket.socketpair()
    ends[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [server.fileno()]))])
    server.close()
    keep(client, *ends, listener)
    return {"flight": port(listener)}


def orphan():
    """Closed with a megabyte that the client does not take."""
    listener = listen()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    client.connect(listener.getsockname())
    server, _ = listener.accept()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4000000)
    server.setblocking(False)
    server.send(b"x" * 1000000)
    server.close()
    keep(client, listener)
    return {"orphan": port(listener)}


def changes():
    """On each line of its input something changes."""
    listener = listen()
    keep(listener)
    print(f"ready changes={port(listener)}", flush=True)
    sys.stdin.readline()
    client, server = pair(listener)
    sys.stdin.readline()
    client.close()
    sys.stdin.readline()
    server.close()
    client, server = pair(listener)
    client.sendall(b"hi")
    sys.stdin.readline()
    server.close()
    client.close()
    sys.stdin.read()
    return {}


if __name__ == "__main__":
    ports = {}
    for scene in sys.argv[1:]:
        ports.update(globals()[scene]())
    print("ready", *(f"{name}={number}" for name, number in ports.items()), flush=True)
    sys.stdin.read()
    for process in KEPT:
        if isinstance(process, subprocess.Popen):
            process.kill()
