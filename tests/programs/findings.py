"""Programs that have a finding, and such as look like them and have not: findings.py SCENE."""

import array
import os
import select
import signal
import socket
import sys
import threading
import time


def pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    return client, server


def talk(client, server):
    client.sendall(b"request")
    assert server.recv(100) == b"request"
    server.sendall(b"answer")
    assert client.recv(100) == b"answer"


def child_of(work):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return child


def waits_for_eof(client):
    assert client.recv(1) == b""


def withheld_by_child():
    client, server = pair()
    talk(client, server)
    child = child_of(lambda: time.sleep(1.3))
    server.close()
    waits_for_eof(client)
    os.waitpid(child, 0)


def withheld_across_exec():
    client, server = pair()
    talk(client, server)
    server.set_inheritable(True)
    child = child_of(lambda: os.execlp("sleep", "sleep", "1.3"))
    server.close()
    waits_for_eof(client)
    os.waitpid(child, 0)


def withheld_by_stranger():
    """By a program that never loads the library: only the peer knows when the FIN came."""
    client, server = pair()
    talk(client, server)
    server.set_inheritable(True)
    child = child_of(lambda: os.execvpe("sleep", ["sleep", "1.6"], {}))
    while open(f"/proc/{child}/comm").read() != "sleep\n":
        time.sleep(0.01)
    server.close()
    waits_for_eof(client)
    os.waitpid(child, 0)


def withheld_not_long():
    client, server = pair()
    talk(client, server)
    child = child_of(lambda: time.sleep(0.2))
    server.close()
    waits_for_eof(client)
    os.waitpid(child, 0)


def forking_server():
    """Accepts, forks, closes its copy; the child works slowly, and waits long before it closes."""
    client, server = pair()

    def work():
        client.close()
        assert server.recv(100) == b"request"
        server.sendall(b"first")
        time.sleep(1.2)
        server.sendall(b"second")
        time.sleep(1.2)
        server.close()

    child = child_of(work)
    server.close()
    client.sendall(b"request")
    while client.recv(100):
        pass
    client.close()
    os.waitpid(child, 0)


def handing_over():
    """Looks at the first bytes, then sends the descriptor to a worker, which takes its time."""
    client, server = pair()
    ours, theirs = socket.socketpair()

    def work():
        client.close()
        server.close()
        _, rights, _, _ = theirs.recvmsg(1, 100)
        connection = socket.socket(fileno=array.array("i", rights[0][2])[0])
        time.sleep(1.3)
        connection.sendall(b"answer")
        connection.close()

    child = child_of(work)
    client.sendall(b"request")
    server.recv(100)
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [server.fileno()]))])
    server.close()
    while client.recv(100):
        pass
    client.close()
    os.waitpid(child, 0)


def reset(amount):
    client, server = pair()
    client.sendall(b"abc")
    select.select([server], [], [])
    server.recv(1)
    server.setblocking(False)
    try:
        while amount:
            server.send(b"x" * 65536)
    except BlockingIOError:
        pass
    server.close()
    try:
        while client.recv(1000000):
            pass
    except ConnectionResetError:
        pass


def closed_after_reading_all():
    client, server = pair()
    client.sendall(b"abc")
    assert server.recv(3) == b"abc"
    server.sendall(b"answer")
    server.close()
    assert client.recv(100) == b"answer"
    waits_for_eof(client)


def asked(server_does, client_does):
    """One server, a client that gets an answer, then the one that it is about."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        connection.recv(100)
        connection.sendall(b"answer")
        connection.close()
        connection, _ = listener.accept()
        while connection.recv(100):
            pass
        server_does(connection)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(b"request")
        client.recv(100)
        waits_for_eof(client)
    client = socket.create_connection(listener.getsockname())
    client.sendall(b"request")
    client_does(client)
    thread.join()
    client.close()


def half_closes(client):
    client.shutdown(socket.SHUT_WR)
    client.recv(100)


def abort():
    asked(lambda connection: None, half_closes)


def abort_by_shutdown():
    asked(lambda connection: connection.shutdown(socket.SHUT_RDWR), half_closes)


def abort_after_greeting():
    def serve(server):
        server.sendall(b"220 hello")
        while server.recv(100):
            pass
        server.close()

    client, server = pair()
    thread = threading.Thread(target=serve, args=(server,))
    thread.start()
    assert client.recv(100) == b"220 hello"
    client.sendall(b"request")
    half_closes(client)
    thread.join()
    client.close()


def abort_eof_unread():
    client, server = pair()
    client.sendall(b"request")
    assert server.recv(100) == b"request"
    client.shutdown(socket.SHUT_WR)
    poll = select.poll()
    poll.register(server, select.POLLRDHUP)
    poll.poll()
    server.close()
    waits_for_eof(client)


def abort_by_exit():
    client, server = pair()
    client.sendall(b"request")

    def serves():
        client.close()
        while server.recv(100):
            pass

    child = child_of(serves)
    server.close()
    half_closes(client)
    os.waitpid(child, 0)
    client.close()


def answered_through_a_duplicate():
    """As under inetd: the request is read from one descriptor, the answer written to another."""
    client, server = pair()
    client.sendall(b"request")
    client.shutdown(socket.SHUT_WR)
    answers = server.dup()
    while server.recv(100):
        pass
    answers.sendall(b"answer")
    answers.close()
    server.close()
    assert client.recv(100) == b"answer"


def half_close_answered():
    asked(lambda connection: connection.sendall(b"answer"), half_closes)


def aborted_by_client():
    asked(lambda connection: None, lambda client: client.close())


def sink():
    """Never answers anybody, and need not: the client sends all and waits until all was read."""
    client, server = pair()
    client.sendall(b"data")
    client.shutdown(socket.SHUT_WR)
    while server.recv(100):
        pass
    server.close()
    waits_for_eof(client)


def twice(numbers):
    _, server = pair()
    fd = server.detach()
    os.close(fd)
    for number in numbers(fd):
        try:
            os.close(number)
        except OSError:
            pass


def reused():
    _, server = pair()
    fd = server.detach()
    os.close(fd)
    again = -1
    while again != fd:
        again = os.open("/dev/null", os.O_RDONLY)
    os.close(again)


def in_use(wakes):
    client, server = pair()
    fd = server.fileno()
    began = threading.Event()

    def reads():
        began.set()
        try:
            server.recv(1)
        except OSError:
            pass

    thread = threading.Thread(target=reads)
    thread.start()
    began.wait()
    while "S" not in open(f"/proc/self/task/{thread.native_id}/stat").read().rpartition(")")[2].split()[0]:
        time.sleep(0.01)
    time.sleep(0.1)
    if wakes:
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    os.close(fd)
    server.detach()
    client.close()
    thread.join()


def write_after_own_fin():
    _, server = pair()
    server.shutdown(socket.SHUT_WR)
    try:
        server.send(b"x")
    except BrokenPipeError:
        pass


def is_reset(server):
    poll = select.poll()
    poll.register(server, 0)
    poll.poll()


def write_after_rst(fatal):
    """The peer is gone, which the first write finds out and the second is told."""
    client, server = pair()
    if fatal:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    client.close()
    server.send(b"x")
    is_reset(server)
    try:
        server.send(b"x")
    except BrokenPipeError:
        pass
    server.close()


def write_again_and_again():
    client, server = pair()
    client.close()
    server.send(b"x")
    is_reset(server)
    for _ in range(3):
        try:
            server.send(b"x")
        except BrokenPipeError:
            pass


def queue(accepts):
    listener = socket.create_server(("127.0.0.1", 0))
    waiting = [socket.create_connection(listener.getsockname()) for _ in range(3)]
    accepted = [listener.accept()[0] for _ in range(3 if accepts else 1)]
    listener.close()
    for connection in accepted + waiting:
        connection.close()


def slow_pair():
    """A client that takes little at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
    return client, server


def read_all(connection):
    while connection.recv(65536):
        pass


def short_write(offered_again):
    client, server = slow_pair()
    client.sendall(b"request")
    server.recv(100)
    server.setblocking(False)
    data = bytes(10000000)
    taken = server.send(data)
    assert taken < len(data)
    reader = threading.Thread(target=read_all, args=(client,))
    if offered_again:
        reader.start()
        server.setblocking(True)
        server.sendall(data[taken:])
    server.close()
    if not offered_again:
        reader.start()
    reader.join()
    client.close()


def unread_answer(reads):
    client, server = pair()
    client.sendall(b"request")
    client.shutdown(socket.SHUT_WR)
    while server.recv(100):
        pass
    server.sendall(b"answer")
    server.close()
    while client.recv(100, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b"answer":
        time.sleep(0.01)
    while "07" not in states(client):
        time.sleep(0.01)
    if reads:
        read_all(client)
    client.close()


def states(client):
    """Of the client's end, as TCP_INFO has it: 07 is CLOSE."""
    return "%02d" % client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def relay(drains):
    """The backend has said all it had to say; the client is still sending."""
    with socket.create_server(("127.0.0.1", 0)) as front, socket.create_server(("127.0.0.1", 0)) as back:
        client = socket.create_connection(front.getsockname())
        accepted, _ = front.accept()
        made = socket.create_connection(back.getsockname())
        backend, _ = back.accept()
    client.sendall(b"upload")
    made.sendall(accepted.recv(100))
    backend.recv(100)
    backend.sendall(b"enough")
    backend.close()
    accepted.sendall(made.recv(100))
    assert made.recv(100) == b""
    client.recv(100)
    if drains:
        client.close()
        assert accepted.recv(100) == b""
    else:
        client.sendall(b"more")
        accepted.recv(1, socket.MSG_PEEK)
    made.close()
    accepted.close()
    client.close()


def request_after_fin(looks, again):
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    talk(client, server)
    server.close()
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    poll.poll()
    time.sleep(0.05)
    if not looks:
        client.sendall(b"request")
        is_reset(client)
    client.recv(100)
    client.close()
    if again:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        talk(client, server)
        server.close()
        waits_for_eof(client)
        client.close()


def request_refused():
    """Two writes into a connection that is over: the first is answered by an RST, the second is refused."""
    client, server = pair()
    talk(client, server)
    server.close()
    poll = select.poll()
    poll.register(client, select.POLLRDHUP)
    poll.poll()
    time.sleep(0.05)
    client.sendall(b"head")
    is_reset(client)
    try:
        client.sendall(b"body")
    except BrokenPipeError:
        pass
    client.close()


def next_request_is_late():
    """A proxy that makes requests of its own ends its client's connection, and the next request is there already."""
    with socket.create_server(("127.0.0.1", 0)) as front, socket.create_server(("127.0.0.1", 0)) as back:
        client = socket.create_connection(front.getsockname())
        accepted, _ = front.accept()
        made = socket.create_connection(back.getsockname())
        backend, _ = back.accept()
    client.sendall(b"request")
    assert accepted.recv(100) == b"request"
    made.sendall(b"forwarded: request")
    backend.recv(100)
    backend.sendall(b"answer")
    backend.close()
    accepted.sendall(made.recv(100))
    assert made.recv(100) == b""
    client.recv(100)
    client.sendall(b"request")
    accepted.recv(1, socket.MSG_PEEK)
    made.close()
    accepted.close()
    client.close()


def sink_with_a_store():
    """Its client sends and waits until all was read; what it stores in a database goes nowhere else."""
    with socket.create_server(("127.0.0.1", 0)) as front, socket.create_server(("127.0.0.1", 0)) as back:
        client = socket.create_connection(front.getsockname())
        accepted, _ = front.accept()
        made = socket.create_connection(back.getsockname())
        database, _ = back.accept()
    client.sendall(b"data")
    client.shutdown(socket.SHUT_WR)
    read_all(accepted)
    for question, answer in ((b"store data", b"stored"), (b"farewell", b"")):
        made.sendall(question)
        database.recv(100)
        database.sendall(answer)
        made.recv(len(answer))
    accepted.close()
    made.close()
    read_all(client)


def port(holder, comes_again, accepts=True):
    """A server ends while another has its listener: a helper that it started, or a worker."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    child = os.fork()
    if child == 0:
        holder(listener)
        os._exit(0)
    if accepts:
        client = socket.create_connection(address)
        listener.accept()[0].close()
        client.close()
    while holder is helps and open(f"/proc/{child}/comm").read() != "sleep\n":
        time.sleep(0.01)
    listener.close()
    if comes_again:
        try:
            socket.create_server(address)
        except OSError:
            pass
    os.waitpid(child, 0)


def helps(listener):
    listener.set_inheritable(True)
    os.execlp("sleep", "sleep", "1.3")


def works(listener):
    time.sleep(1.3)


def robbed(owner_closes_once):
    """One thread closes a number twice; another has got it in between."""
    listener = socket.create_server(("127.0.0.1", 0))
    clients = [socket.create_connection(listener.getsockname()) for _ in range(2)]
    number = listener.accept()[0].detach()
    steps = [threading.Event() for _ in range(3)]

    def first():
        os.close(number)
        steps[0].set()
        steps[1].wait()
        if not owner_closes_once:
            os.close(number)
        steps[2].set()

    def second():
        steps[0].wait()
        connection, _ = listener.accept()
        assert connection.fileno() == number
        connection.detach()
        steps[1].set()
        steps[2].wait()
        try:
            os.close(number)
        except OSError:
            pass
        os.close(os.dup(0))

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()


def share(child_does, parent_does):
    client, server = pair()

    def child_works():
        server.close()
        child_does(client)
        client.close()

    client.sendall(b"login")
    child = child_of(child_works)
    os.waitpid(child, 0)
    parent_does(client, server)
    client.close()
    read_all(server)
    server.close()


def answered(client, server):
    server.sendall(b"answer")
    assert client.recv(100) == b"answer"


def gives_up_in_the_middle():
    """It had enough of the answer."""
    client, server = pair()
    client.sendall(b"request")
    client.shutdown(socket.SHUT_WR)
    read_all(server)
    server.sendall(b"answer")
    assert client.recv(100) == b"answer"
    client.close()
    server.close()


def gives_up_by_shutdown():
    client, server = pair()
    client.sendall(b"request")
    client.shutdown(socket.SHUT_WR)
    read_all(server)
    client.shutdown(socket.SHUT_RDWR)
    client.close()
    server.close()


def gives_up(answers):
    client, server = pair()
    client.sendall(b"request")
    client.shutdown(socket.SHUT_WR)
    read_all(server)
    if answers:
        server.sendall(b"answer")
        client.recv(100)
        server.close()
        waits_for_eof(client)
    client.close()
    server.close()


def late_byte(sends):
    client, server = slow_pair()
    client.sendall(b"request")
    server.recv(100)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4000000)
    server.setblocking(False)
    server.send(bytes(1000000))
    server.close()
    if sends:
        client.sendall(b"x")
    try:
        read_all(client)
    except ConnectionResetError:
        pass
    client.close()


SCENES = {
    "short_write": lambda: short_write(False),
    "offered_again": lambda: short_write(True),
    "unread_answer": lambda: unread_answer(False),
    "read_answer": lambda: unread_answer(True),
    "relay_cuts": lambda: relay(False),
    "relay_waits": lambda: relay(True),
    "request_after_fin": lambda: request_after_fin(False, False),
    "request_done_again": lambda: request_after_fin(False, True),
    "looks_before": lambda: request_after_fin(True, True),
    "robbed": lambda: robbed(False),
    "not_robbed": lambda: robbed(True),
    "shared_writers": lambda: share(lambda c: c.sendall(b"one"), lambda c, s: c.sendall(b"two")),
    "writer_and_reader": lambda: share(lambda c: c.sendall(b"one"), answered),
    "gives_up": lambda: gives_up(False),
    "gives_up_in_the_middle": gives_up_in_the_middle,
    "gives_up_by_shutdown": gives_up_by_shutdown,
    "request_refused": request_refused,
    "next_request_is_late": next_request_is_late,
    "sink_with_a_store": sink_with_a_store,
    "port_held": lambda: port(helps, True),
    "port_held_by_copy": lambda: port(works, False),
    "port_of_workers": lambda: port(works, False, accepts=False),
    "is_answered": lambda: gives_up(True),
    "late_byte": lambda: late_byte(True),
    "no_late_byte": lambda: late_byte(False),
    "withheld_by_child": withheld_by_child,
    "withheld_across_exec": withheld_across_exec,
    "withheld_by_stranger": withheld_by_stranger,
    "withheld_not_long": withheld_not_long,
    "forking_server": forking_server,
    "handing_over": handing_over,
    "reset_with_data": lambda: reset(True),
    "reset_without_data": lambda: reset(False),
    "closed_after_reading_all": closed_after_reading_all,
    "abort": abort,
    "abort_by_shutdown": abort_by_shutdown,
    "abort_after_greeting": abort_after_greeting,
    "abort_eof_unread": abort_eof_unread,
    "abort_by_exit": abort_by_exit,
    "answered_through_a_duplicate": answered_through_a_duplicate,
    "half_close_answered": half_close_answered,
    "aborted_by_client": aborted_by_client,
    "sink": sink,
    "twice": lambda: twice(lambda fd: [fd]),
    "sweep_up": lambda: twice(lambda fd: range(fd, 30)),
    "sweep_down": lambda: twice(lambda fd: range(30, fd - 1, -1)),
    "reused": reused,
    "in_use": lambda: in_use(False),
    "woken_first": lambda: in_use(True),
    "write_after_own_fin": write_after_own_fin,
    "killed_by_sigpipe": lambda: write_after_rst(True),
    "write_after_rst": lambda: write_after_rst(False),
    "write_again_and_again": write_again_and_again,
    "queue": lambda: queue(False),
    "empty_queue": lambda: queue(True),
}

SCENES[sys.argv[1]]()
