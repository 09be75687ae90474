"""What the scenes of a recording are made with: the traced program, clients and backends that are not traced."""

import os
import signal
import socket
import subprocess
import threading
import time


class Stage:
    def __init__(self, folder, tracer):
        self.folder, self.tracer, self.traced = folder, tracer, None
        self.after = []  # a client that is traced with the server, which ends behind it
        os.chdir(folder)

    def write(self, name, text):
        path = f"{self.folder}/{name}"
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, 0o644)
        return path

    def start(self, *command, **more):
        """The program that the scene is about, traced."""
        if self.after:
            both = 'n=$1; shift; "${@:n+1}" & until ss -Hltn "sport = :8080" | grep -q .; do sleep 0.1; done; "${@:1:n}"; kill $!'
            command = ["bash", "-c", both, "bash", str(len(self.after)), *self.after, *command]
        self.traced = subprocess.Popen(
            [*self.tracer, *command], stdin=more.pop("stdin", subprocess.DEVNULL), stderr=subprocess.DEVNULL, **more
        )

    def serve(self, port, *command):
        self.start(*command, stdout=subprocess.DEVNULL)
        until(lambda: listens(port), f"{command[0]} does not listen")

    def talk(self, *command, says=b"request\n", patience=10):
        """A client that is traced: what it reads from its standard input, it sends."""
        self.start(*command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.traced.communicate(says, timeout=patience)

    def end(self, word=signal.SIGTERM):
        if self.traced.poll() is None:
            time.sleep(0.2)
            self.traced.send_signal(word)
            self.traced.wait(20)


def until(met, otherwise):
    for _ in range(600):
        if met():
            return
        time.sleep(0.05)
    raise SystemExit(otherwise)


def listens(port):
    return subprocess.run(["ss", "-Hltn", f"sport = :{port}"], capture_output=True, check=True).stdout


def connect(port, takes=None):
    client = socket.socket()
    if takes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes)
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    return client


def read_all(connection, pause=0):
    length = 0
    try:
        while got := connection.recv(65536):
            length += len(got)
            time.sleep(pause)
    except ConnectionResetError:
        pass
    return length


def ask(port, request, half_closes=False, takes=None, pause=0):
    """A request, and its answer to the end."""
    with connect(port, takes) as client:
        client.sendall(request)
        if half_closes:
            client.shutdown(socket.SHUT_WR)
        return read_all(client, pause)


def open_tunnel(port, target):
    client = connect(port)
    client.sendall(b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, target))
    while b"\r\n\r\n" not in client.recv(1000):
        pass
    return client


def backend(port, serve):
    """A server that is not traced: serve(connection), for each in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", port), backlog=50)

    def guarded(connection):
        with connection:
            try:
                serve(connection)
            except OSError:
                pass

    def accept():
        while True:
            threading.Thread(target=guarded, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def read_request(connection):
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(65536) or b"\r\n\r\n"


def answers_http(pause=0.5, keeps=False, after=0):
    """One request, then the end."""

    def serve(connection):
        read_request(connection)
        time.sleep(pause)
        word = b"keep-alive" if keeps else b"close"
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: %s\r\nContent-Length: 5\r\n\r\nhello" % word)
        time.sleep(after)

    return serve


def answers_at_eof(pause=0.3):
    """It has read all before it answers, as a program that sorts."""

    def serve(connection):
        read_all(connection)
        time.sleep(pause)
        connection.sendall(b"answer")

    return serve


def has_enough(connection):
    """It says all that it has to say, and goes on reading."""
    connection.recv(100)
    connection.sendall(b"enough")
    connection.shutdown(socket.SHUT_WR)
    read_all(connection)


def uploads(client):
    try:
        for _ in range(60):
            client.sendall(bytes(10000))
            time.sleep(0.01)
        client.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    read_all(client)
    client.close()
