"""The scenes: NAME, what happens. The second of a pair is the same where it is right."""

import os
import signal
import socket
import ssl
import subprocess
import time

import programs
from programs import GET
from scenery import answers_at_eof, answers_http, ask, backend, connect, has_enough, open_tunnel, read_all, until, uploads

BACK = b"127.0.0.1:8081"
FORWARD = b"GET http://127.0.0.1:8081/ HTTP/1.0\r\n\r\n"


def before_backend(start, serve, client):
    """A relay or proxy on port 8080 before a backend on 8081."""

    def scene(stage):
        backend(8081, serve)
        start(stage)
        client()

    return scene


def asks(request, port=8080, **more):
    return lambda: ask(port, request, **more)


def server(start, client, **more):
    def scene(stage):
        start(stage, **more)
        client()

    return scene


def tunnels(half_closes=True, request=b"request"):
    def client():
        with open_tunnel(8080, BACK) as tunnel:
            tunnel.sendall(request)
            time.sleep(0.1)
            if half_closes:
                tunnel.shutdown(socket.SHUT_WR)
            read_all(tunnel)

    return client


def goes_away():
    client = connect(8080)
    client.sendall(GET)
    time.sleep(0.1)
    client.close()
    time.sleep(0.8)


def sends_late_byte(sends=True):
    """It reads the most, waits until the server has closed, and sends a byte then."""

    def client():
        with connect(8080, takes=4096) as reader:
            reader.sendall(b"GET /big HTTP/1.0\r\n\r\n")
            length = 0
            while length < 2600000:
                length += len(reader.recv(65536))
            time.sleep(1)
            if sends:
                reader.sendall(b"x")
                time.sleep(0.1)
            read_all(reader)

    return client


def sends_stray_bytes():
    with connect(8080, takes=4096) as reader:
        reader.sendall(b"GET /big HTTP/1.0\r\n\r\n")
        reader.recv(100)
        reader.sendall(b"ab")
        read_all(reader, 0.0002)


def publishes_to_one_who_does_not_read():
    with connect(6379, takes=4096) as reader, connect(6379) as writer:
        writer.sendall(b'CONFIG SET client-output-buffer-limit "pubsub 100000 0 0"\r\n')
        writer.recv(100)
        reader.sendall(b"SUBSCRIBE c\r\n")
        reader.recv(100)
        for _ in range(60):
            writer.sendall(b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$100000\r\n" + bytes(100000) + b"\r\n")
            writer.recv(100)
        read_all(reader)


def asks_for_much(pause):
    def client():
        with connect(6379, takes=4096) as reader:
            reader.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000\r\n" + bytes(500000) + b"\r\n")
            reader.recv(100)
            reader.sendall(b"GET k\r\n" * 5 + b"QUIT\r\n")
            read_all(reader, pause)

    return client


def speaks_tls(half_closes):
    def client():
        context = ssl._create_unverified_context()
        with context.wrap_socket(connect(8080)) as tunnel:
            tunnel.sendall(GET)
            time.sleep(0.1)
            if half_closes:
                tunnel.shutdown(socket.SHUT_WR)
            try:
                read_all(tunnel)
            except OSError:
                pass

    return client



PYTHON_CLIENT = """
import http.client, time
client = http.client.HTTPConnection('127.0.0.1', 8081)
client.request('GET', '/')
client.getresponse().read()
time.sleep(0.6)
try:
    client.request(%s)
    client.getresponse().read()
except OSError:
    pass
"""
FORGETS = """
import socket, time
listener = socket.create_server(('127.0.0.1', 8080))
connection, _ = listener.accept()
while connection.recv(100):
    connection.sendall(b'answer')
time.sleep(%s)
"""
HELD = """
import socket, subprocess, time
listener = socket.create_server(('127.0.0.1', 8080))
listener.set_inheritable(True)
helper = subprocess.Popen(['sleep', '2'], close_fds=%s)
connection, _ = listener.accept()
connection.sendall(b'answer')
connection.close()
listener.close()
time.sleep(0.3)
try:
    socket.create_server(('127.0.0.1', 8080))
except OSError:
    pass
helper.wait()
"""


def python_server(program, client=lambda: ask(8080, b"request", half_closes=True)):
    def scene(stage):
        stage.serve(8080, "/usr/bin/python3", stage.write("server.py", program))
        client()
        stage.traced.wait(30)

    return scene


def client_of(serve, start):
    def scene(stage):
        backend(8081, serve)
        start(stage)

    return scene


UPLOADS = """
import sys
sys.path.insert(0, %r)
import scenery
scenery.uploads(%s)
"""


def with_its_client(start, client):
    """The upload's end is traced too: only that tells of an RST that answered its late bytes."""

    def scene(stage):
        backend(8081, has_enough)
        here = os.path.dirname(os.path.abspath(__file__))
        program = stage.write("client.py", UPLOADS % (here, client))
        stage.after = ["/usr/bin/python3", program]
        start(stage)
        stage.traced.wait(30)

    return scene


def talks(*command, says=b"request\n"):
    return lambda stage: stage.talk(*command, says=says)


def findings_py(name):
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "programs/findings.py")
    return lambda stage: stage.talk("/usr/bin/python3", path, name)


def reloads(start, pid_file, word, times=2):
    def scene(stage):
        start(stage)
        for _ in range(times):
            ask(8080, GET)
            with open(f"{stage.folder}/{pid_file}") as file:
                os.kill(int(file.read()), word)
            time.sleep(1.5)
        ask(8080, GET)

    return scene


def rsyncs(stage):
    programs.rsync(stage)
    for module in ("module", "none"):
        subprocess.run(["rsync", "-a", f"rsync://127.0.0.1:8730/{module}/", f"{stage.folder}/copy"], capture_output=True)


def nginx_to_backend(more=""):
    return lambda stage: programs.nginx(stage, f"{more} proxy_pass http://127.0.0.1:8081;")


def stream(half_close):
    return lambda stage: programs.nginx_stream(stage, half_close)


def haproxy(mode, more=""):
    return lambda stage: programs.haproxy(stage, mode, more)


def socat(patience):
    return lambda stage: programs.socat(stage, patience)


def node(program):
    return lambda stage: programs.node(stage, program)


def apache(more):
    return lambda stage: programs.apache(stage, more)


def service(start, command, seconds=0):
    def scene(stage):
        start(stage, command)
        ask(8080, b"")
        time.sleep(seconds)

    return scene


HALF = asks(GET, half_closes=True)
WHOLE = asks(GET)
STREAM_HALF = asks(b"request", half_closes=True)
FORWARDED = asks(FORWARD, half_closes=True)

SCENES = {
    # Half-closes, by relays and proxies
    "nginx-http-half-close": before_backend(nginx_to_backend(), answers_http(), HALF),
    "nginx-http-ignores-it": before_backend(nginx_to_backend("proxy_ignore_client_abort on;"), answers_http(), HALF),
    "nginx-http": before_backend(nginx_to_backend(), answers_http(), WHOLE),
    "nginx-http-client-gone": before_backend(nginx_to_backend(), answers_http(), goes_away),
    "nginx-stream-half-close": before_backend(stream("off"), answers_at_eof(), STREAM_HALF),
    "nginx-stream-passes-it-on": before_backend(stream("on"), answers_at_eof(), STREAM_HALF),
    "nginx-stream-slow": before_backend(stream("on"), answers_at_eof(11), STREAM_HALF),
    "nginx-stream-upload": before_backend(stream("on"), has_enough, lambda: uploads(connect(8080))),
    "tinyproxy-connect-half-close": before_backend(programs.tinyproxy, answers_at_eof(), tunnels()),
    "tinyproxy-connect": before_backend(programs.tinyproxy, answers_http(), tunnels(False, GET)),
    "tinyproxy-forward": before_backend(programs.tinyproxy, answers_http(), FORWARDED),
    "tinyproxy-upload-cut": with_its_client(programs.tinyproxy, 'scenery.open_tunnel(8080, b"127.0.0.1:8081")'),
    "nginx-stream-upload-cut": with_its_client(stream("off"), "scenery.connect(8080)"),
    "squid-upload-cut": with_its_client(programs.squid, 'scenery.open_tunnel(8080, b"127.0.0.1:8081")'),
    "nginx-stream-upload-both": with_its_client(stream("on"), "scenery.connect(8080)"),
    "squid-connect-half-close": before_backend(programs.squid, answers_at_eof(), tunnels()),
    "squid-connect": before_backend(programs.squid, answers_http(), tunnels(False, GET)),
    "squid-forward-half-close": before_backend(programs.squid, answers_http(), FORWARDED),
    "squid-forward": before_backend(programs.squid, answers_http(), asks(FORWARD)),
    "apache-connect": before_backend(apache("ProxyRequests On\nAllowCONNECT 8081\n"), answers_at_eof(), tunnels()),
    "apache-proxy": before_backend(apache("ProxyPass / http://127.0.0.1:8081/\n"), answers_http(), HALF),
    "socat-half-close": before_backend(socat(0.5), answers_at_eof(2), STREAM_HALF),
    "socat": before_backend(socat(5), answers_at_eof(1), STREAM_HALF),
    "socat-slow": before_backend(socat(15), answers_at_eof(11), STREAM_HALF),
    "haproxy-tcp": before_backend(haproxy("tcp"), answers_at_eof(), STREAM_HALF),
    "haproxy-tcp-slow": before_backend(haproxy("tcp"), answers_at_eof(11), STREAM_HALF),
    "haproxy-tcp-upload": before_backend(haproxy("tcp"), has_enough, lambda: uploads(connect(8080))),
    "haproxy-http": before_backend(haproxy("http"), answers_http(), HALF),
    "haproxy-http-times-out": before_backend(haproxy("http", "timeout server 500ms"), answers_http(2), WHOLE),
    "stunnel": before_backend(programs.stunnel, answers_http(), speaks_tls(False)),
    "stunnel-half-close": before_backend(programs.stunnel, answers_http(), speaks_tls(True)),
    "node-pipe-half-close": before_backend(node(programs.NODE_PIPE % ("false", "false")), answers_at_eof(), STREAM_HALF),
    "node-pipe": before_backend(node(programs.NODE_PIPE % ("true", "true")), answers_at_eof(), STREAM_HALF),
    # and by servers
    "node-http-half-close": server(node(programs.NODE_HTTP % "false"), HALF),
    "node-http-allows-it": server(node(programs.NODE_HTTP % "true"), HALF),
    "node-http": server(node(programs.NODE_HTTP % "false"), WHOLE),
    "puma-half-close": server(programs.puma, HALF),
    "puma": server(programs.puma, WHOLE),
    "redis-blocked-half-close": server(programs.redis, asks(b"BLPOP a 2\r\n", 6379, half_closes=True)),
    "redis-half-close": server(programs.redis, asks(b"SET a b\r\nGET a\r\n", 6379, half_closes=True)),
    "memcached-noreply": server(programs.memcached, asks(b"set a 0 0 1 noreply\r\nb\r\n", 11211, half_closes=True)),
    "memcached": server(programs.memcached, asks(b"set a 0 0 1\r\nb\r\n", 11211, half_closes=True)),
    "apache-half-close": server(apache(""), HALF),
    "lighttpd-half-close": server(programs.lighttpd, HALF),
    # Answers
    "python-http-late-byte": server(programs.python_http, sends_late_byte()),
    "python-http-slow-reader": server(programs.python_http, sends_late_byte(False)),
    "python-http-stray-bytes": server(programs.python_http, sends_stray_bytes),
    "apache-stray-bytes": server(apache(""), sends_stray_bytes),
    "redis-output-limit": server(programs.redis, publishes_to_one_who_does_not_read),
    "redis-much": server(programs.redis, asks_for_much(0.001)),
    "redis-quit": server(programs.redis, asks(b"SET a b\r\nGET a\r\nQUIT\r\n", 6379)),
    # Clients
    "python-client-get-late": client_of(answers_http(0, True), lambda stage: programs.python(stage, PYTHON_CLIENT % "'GET', '/'")),
    "python-client-post-late": client_of(answers_http(0, True), lambda stage: programs.python(stage, PYTHON_CLIENT % "'POST', '/', 'x'")),
    "python-client": client_of(answers_http(0, True, 2), lambda stage: programs.python(stage, PYTHON_CLIENT.replace("0.6", "0.1") % "'GET', '/'")),
    "curl-keep-alive": client_of(answers_http(0, True), talks("curl", "-s", "http://127.0.0.1:8081/", "http://127.0.0.1:8081/")),
    "curl-gives-up": client_of(answers_http(3), talks("curl", "-sm1", "http://127.0.0.1:8081/")),
    "wget": client_of(answers_http(), talks("wget", "-qO-", "http://127.0.0.1:8081/")),
    "nc-N": client_of(answers_at_eof(), talks("nc.openbsd", "-N", "127.0.0.1", "8081")),
    "nc-busybox": client_of(answers_at_eof(), talks("busybox", "nc", "127.0.0.1", "8081")),
    "ncat": client_of(answers_at_eof(), talks("ncat", "127.0.0.1", "8081")),
    "socat-client-gives-up": client_of(answers_at_eof(1), talks("socat", "-t0.1", "-", "TCP:127.0.0.1:8081")),
    "socat-client": client_of(answers_at_eof(0.1), talks("socat", "-t2", "-", "TCP:127.0.0.1:8081")),
    # Descriptors
    "tcpsvd-background": service(programs.tcpsvd, "echo started; sleep 2.5 &"),
    "tcpsvd-background-elsewhere": service(programs.tcpsvd, "echo started; sleep 2.5 >/dev/null 2>&1 &", 3),
    "tcpserver-background": service(programs.tcpserver, "echo started; sleep 2.5 &"),
    "tcpserver": service(programs.tcpserver, "echo started"),
    "python-port-held": python_server(HELD % "False", asks(b"")),
    "python-port-not-held": python_server(HELD % "True", asks(b"")),
    "python-close-wait": python_server(FORGETS % 10.5),
    "python-closes": python_server(FORGETS % 0.5),
    "rsync": rsyncs,
    "nginx-reload": reloads(lambda stage: programs.nginx(stage, "return 200 hello;", 2), "pid", signal.SIGHUP),
    "apache-graceful": reloads(apache(""), "pid", signal.SIGUSR1),
}
SCENES.update({f"python-{name.replace('_', '-')}": findings_py(name) for name in (
    "withheld_by_child", "forking_server", "handing_over", "twice", "sweep_up", "reused", "in_use", "woken_first",
    "write_after_own_fin", "write_again_and_again", "short_write", "offered_again", "unread_answer", "read_answer",
    "relay_cuts", "relay_waits", "robbed", "not_robbed", "shared_writers", "writer_and_reader", "queue", "empty_queue",
    "sink_with_a_store", "port_of_workers", "next_request_is_late")})
