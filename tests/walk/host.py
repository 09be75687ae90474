"""The walk's hold on the machine: network namespace, packets, actors and their control channels, the log."""

import array
import ctypes
import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import time
from collections import namedtuple

CONTROL = 500  # the actor's number for its channel
PATIENCE = 15  # seconds that anything expected may take

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SO_TIMESTAMPNS = 35
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
PACKET_OUTGOING = 4


class Trouble(Exception):
    """Something did not happen, or not as it should."""


def own_network():
    """Moves this process into a network namespace of its own, in which lo is up."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWNET) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            raise Trouble(f"unshare: {os.strerror(ctypes.get_errno())}")
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = bytearray(struct.pack("16sh22x", b"lo", 0))
        fcntl.ioctl(sock, 0x8913, request)  # SIOCGIFFLAGS
        flags = struct.unpack_from("h", request, 16)[0]
        struct.pack_into("h", request, 16, flags | 1)
        fcntl.ioctl(sock, 0x8914, request)  # SIOCSIFFLAGS


def bpf(program):
    """A classic filter as an argument of SO_ATTACH_FILTER; the second value keeps its memory alive."""
    code = b"".join(struct.pack("HBBI", *line) for line in program)
    memory = ctypes.create_string_buffer(code)
    return struct.pack("HxxxxxxP", len(program), ctypes.addressof(memory)), memory


# Sent on lo, TCP without IP options, FIN or RST: (code, if true, if false, operand), jumps relative to the next line.
FIN_OR_RST = [
    (0x20, 0, 0, 0xFFFFF004),  # 0: A = the packet's type
    (0x15, 0, 12, PACKET_OUTGOING),
    (0x30, 0, 0, 0),
    (0x74, 0, 0, 4),  # A = the IP version
    (0x15, 0, 4, 4),  # 4: version 4?
    (0x30, 0, 0, 9),
    (0x15, 0, 7, 6),  # TCP?
    (0x30, 0, 0, 33),  # A = the flags
    (0x05, 0, 0, 4),
    (0x15, 0, 4, 6),  # 9: version 6?
    (0x30, 0, 0, 6),
    (0x15, 0, 2, 6),  # TCP?
    (0x30, 0, 0, 53),  # A = the flags
    (0x45, 1, 0, 5),  # 13: FIN or RST?
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 128),
]

Packet = namedtuple("Packet", "time src dst kind seq")


class Capture:
    """Every FIN and RST on lo, each once, when it is sent."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        argument, memory = bpf(FIN_OR_RST)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, argument)
        del memory
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        except PermissionError:  # in a user namespace: as much as anybody may have
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.bind(("lo", 3))  # ETH_P_ALL
        self.sock.setblocking(False)
        self.seen = set()

    def settle(self):
        """All that was sent is delivered, and what that brings about, too: a busy machine leaves it to threads of its own
        (ksoftirqd), a queue a processor, in which a datagram of ours stands behind it."""
        allowed = os.sched_getaffinity(0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
            echo.bind(("127.0.0.1", 0))
            echo.settimeout(10)
            for processor in allowed:
                os.sched_setaffinity(0, {processor})
                for _ in range(4):  # what comes of a packet that was waiting waits behind the datagram
                    echo.sendto(b"-", echo.getsockname())
                    echo.recv(1)
        os.sched_setaffinity(0, allowed)

    def read(self, wait=0.0):
        """What has come; waits that long for the first."""
        packets = []
        if wait and not select.select([self.sock], [], [], wait)[0]:
            return packets
        while True:
            try:
                data, ancillary, _, _ = self.sock.recvmsg(256, 128)
            except BlockingIOError:
                return packets
            when = time.time()
            for _, kind, value in ancillary:
                if kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("qq", value[:16])
                    when = seconds + nanoseconds / 1e9
            if data[0] >> 4 == 4:
                offset = 20
                src, dst = (socket.inet_ntop(socket.AF_INET, data[i:i + 4]) for i in (12, 16))
            else:
                offset = 40
                src, dst = ("[" + socket.inet_ntop(socket.AF_INET6, data[i:i + 16]) + "]" for i in (8, 24))
            sport, dport, seq = struct.unpack_from("!HHI", data, offset)
            flags = data[offset + 13]
            packet = Packet(when, f"{src}:{sport}", f"{dst}:{dport}", "RST" if flags & 4 else "FIN", seq)
            if packet[1:] in self.seen:  # a retransmission
                continue
            self.seen.add(packet[1:])
            packets.append(packet)


class Log:
    """The JSON lines that have been written since the last time."""

    def __init__(self, path):
        self.path = path
        self.rest = b""
        self.lines = 0
        self.torn = []  # process ids: SIGKILL came while they wrote a line, of which a part is there, before the next one
        with open(path, "ab"):
            pass
        self.file = open(path, "rb")

    def read(self):
        data = self.rest + self.file.read()
        *lines, self.rest = data.split(b"\n")
        events = []
        for line in lines:
            self.lines += 1
            next_one = line.find(b'{"time":', 1)
            if next_one > 0:
                self.torn += [int(pid) for pid in re.findall(rb'"pid":([0-9]+)', line[:next_one])[:1]]
                line = line[next_one:]
            try:
                event = json.loads(line)
            except ValueError as error:
                raise Trouble(f"{self.path}:{self.lines}: no JSON: {error}: {line[:300]!r}") from error
            events.append(event)
        return events


class Channel:
    """One actor's end of the control channel."""

    def __init__(self, sock):
        self.sock = sock
        self.answers = {}
        self.woken = {}
        self.closed = False

    def pump(self, wait):
        """Reads one packet. False: nothing came."""
        if not select.select([self.sock], [], [], wait)[0]:
            return False
        try:
            data = self.sock.recv(8192)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return False
        kind, ident, *rest = data.decode().split()
        if kind == "A":
            values = dict(item.split("=", 1) for item in rest)
            self.answers[ident] = {key: int(value) if value.lstrip("-").isdigit() and key != "fds" else value
                                   for key, value in values.items()}
        else:
            self.woken[ident] = [int(value) for value in rest]
        return True


class Actor:
    """A traced process."""

    def __init__(self, host, pid, channel):
        self.host, self.pid, self.channel = host, pid, channel
        self.pidfd = os.pidfd_open(pid)

    def send(self, context, name, *words, fd=None):
        """Gives a command, returns its number."""
        host = self.host
        host.commands += 1
        ident = str(host.commands)
        text = " ".join([ident, context, name, *map(str, words)])
        host.note(f"-> {self.pid}: {text}")
        ancillary = []
        if fd is not None:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        self.channel.sock.sendmsg([text.encode()], ancillary)
        return ident

    def answer(self, ident):
        end = time.monotonic() + PATIENCE
        while ident not in self.channel.answers:
            if self.channel.closed:  # a sweep closed it: the actor makes another one
                answers, woken = self.channel.answers, self.channel.woken
                self.channel.sock.close()
                self.channel = self.host.hello(self.pid).channel_of(self.pid)
                self.channel.answers.update(answers)
                self.channel.woken.update(woken)
                continue
            if not self.channel.pump(min(0.5, PATIENCE)) and not self.channel.closed:
                if self.ended(0):
                    raise Trouble(f"process {self.pid} died in command {ident}")
                if time.monotonic() > end:
                    raise Trouble(f"process {self.pid} does not answer command {ident}:\n{self.describe()}")
        answer = self.channel.answers.pop(ident)
        self.host.note(f"<- {self.pid}: {answer}")
        if "unknown" in answer:
            raise Trouble(f"the actor knows no {answer['unknown']}")
        return answer

    def last_answer(self, ident):
        """Of a process that has been killed: what it had answered until then, or None."""
        while ident not in self.channel.answers and not self.channel.closed:
            if not self.channel.pump(PATIENCE) and not self.channel.closed:
                raise Trouble(f"process {self.pid} was killed, and its channel is open:\n{self.describe()}")
        return self.channel.answers.pop(ident, None)

    def woken(self, ident):
        """What a thread's call returned."""
        end = time.monotonic() + PATIENCE
        while ident not in self.channel.woken:
            if not self.channel.pump(0.5) and (self.channel.closed or time.monotonic() > end):
                raise Trouble(f"the call {ident} in process {self.pid} does not return:\n{self.describe()}")
        value = self.channel.woken.pop(ident)
        self.host.note(f"<- {self.pid}: call {ident} returned {value}")
        return value

    def ended(self, wait=PATIENCE):
        """Whether the process, all of its threads and files, has gone."""
        return bool(select.select([self.pidfd], [], [], wait)[0])

    def kill(self, number):
        signal.pidfd_send_signal(self.pidfd, number)

    def blocked(self, tid, fd, kind):
        """Waits until that thread is inside its call."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with open(f"/proc/{self.pid}/task/{tid}/syscall", encoding="ascii") as file:
                    words = file.read().split()
            except OSError:
                words = ["gone"]
            if words[0] not in ("running", "gone", "202", "98"):
                if kind in ("poll", "ppoll", "select") or (len(words) > 1 and int(words[1], 16) == fd):
                    return
            if time.monotonic() > end:
                raise Trouble(f"thread {tid} of {self.pid} does not block: {words}")
            time.sleep(0.0002)

    def fds(self):
        """What /proc shows: fd -> link."""
        folder = f"/proc/{self.pid}/fd"
        links = {}
        for name in os.listdir(folder):
            try:
                links[int(name)] = os.readlink(f"{folder}/{name}")
            except FileNotFoundError:
                pass
        return links

    def describe(self):
        text = []
        try:
            for tid in sorted(os.listdir(f"/proc/{self.pid}/task"), key=int):
                for name in ("syscall", "stack"):
                    with open(f"/proc/{self.pid}/task/{tid}/{name}", encoding="ascii") as file:
                        text.append(f"  {tid} {name}: {file.read().strip()[:600]}")
        except OSError as error:
            text.append(str(error))
        return "\n".join(text)

    def forget(self):
        self.channel.sock.close()
        os.close(self.pidfd)
        os.close(self.host.pids.pop(self.pid))


class Host:
    """Starts actors, keeps their channels, ends them all."""

    def __init__(self, folder, actor, environment, launcher, note):
        self.folder, self.note = folder, note
        self.commands = 0
        self.waiting = {}  # hellos that nobody has asked for: pid -> channel
        self.pids = {}  # every process that has said hello: pid -> pidfd
        path = os.path.join(folder, "control")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen(64)
        errors = open(os.path.join(folder, "stderr"), "ab")
        with errors:
            self.process = subprocess.Popen([*launcher, actor, path, "spawner"], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=errors, env=environment, close_fds=True)
        pid = None if launcher else self.process.pid
        self.spawner = self.actor(pid)

    def hello(self, pid):
        """Waits until process `pid` (None: any) has said hello."""
        end = time.monotonic() + PATIENCE
        while pid not in self.waiting and not (pid is None and self.waiting):
            if not select.select([self.listener], [], [], 0.5)[0]:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise Trouble(f"process {pid} does not say hello; stderr: {self.stderr()}")
                continue
            sock, _ = self.listener.accept()
            data = sock.recv(256).decode().split()
            self.note(f"<- {' '.join(data)}")
            self.waiting[int(data[1])] = Channel(sock)
            if int(data[1]) not in self.pids:
                self.pids[int(data[1])] = os.pidfd_open(int(data[1]))
        return self

    def channel_of(self, pid):
        return self.waiting.pop(pid)

    def actor(self, pid):
        self.hello(pid)
        if pid is None:
            pid = next(iter(self.waiting))
        return Actor(self, pid, self.channel_of(pid))

    def start(self):
        """A fresh actor."""
        ident = self.spawner.send("main", "start")
        return self.actor(self.spawner.answer(ident)["ret"])

    def stderr(self):
        with open(os.path.join(self.folder, "stderr"), encoding="utf-8", errors="replace") as file:
            return file.read()[-2000:]

    def end(self):
        """Ends whatever is left, by its descriptor: no number can have been reused."""
        for pidfd in self.pids.values():
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.close(pidfd)
        self.pids = {}
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.listener.close()
