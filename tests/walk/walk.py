#!/usr/bin/env python3
"""A seeded random walk through the ways to end a TCP connection, and whether closetrace tells the truth about each.

    tests/walk/walk.py [--seed N] [--count N] [--actors N] [--jobs N] [--ops A,B,...] [--no-log] [--verbose] [--keep]

Some actors (tests/programs/walk_actor.c), traced, share TCP connections in a network namespace of the walk's own:
they connect, dup, fork, exec, pass descriptors, write, read, shut down, close and end in every way that there is.
One of them makes one move at a time. After each move four accounts must agree:

  - the model (model.py): what the kernel should have done, every reference counted;
  - the packets: every FIN and RST on lo, with the time at which it was sent (host.py);
  - /proc/*/fd: which descriptor of which actor is which socket;
  - the log: every segment that a call caused is claimed by exactly one event, of the right process, at the right
    time; no event claims one that is not there; references, holders, states, unread bytes are the true ones.

No event is asked for what no call made: a death by SIGKILL or by a signal from elsewhere, the purge of a unix
socket's queue, an RST that answers late data, a system call that does not go through libc. --no-log leaves the log
out: that tests the model against the kernel.

Everything random comes of the seed, which is printed: the same seed and options make the same moves (ports and
process ids differ). At the first disagreement the walk prints all four accounts of that move and ends with status
1. It needs root, or user namespaces; it takes nothing from the machine's own network.
"""

import argparse
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from host import Capture, CONTROL, Host, Log, SO_ATTACH_FILTER, Trouble, bpf, own_network
from model import Call, File, Message, Model, Process, Sock, Unix, URGENT

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXITS = {
    "exit": ("exit",), "_exit": ("_exit",), "_Exit": ("_Exit", "_exit"), "quick_exit": ("quick_exit",),
    "abort": ("abort",), "return": ("return",), "errx": ("errx", "exit"), "raise": ("raise", "SIGTERM"),
    "kill": ("kill", "SIGTERM"), "pthread_exit": ("pthread_exit", "exit", "return"),
    "syscall-exit_group": ("syscall", "exit_group", "_exit"), "exit-threads": ("exit",),
}
APART = 300  # from here on are numbers that are used once
POLLS = ("poll", "ppoll", "select")
HOWS = ("SHUT_RD", "SHUT_WR", "SHUT_RDWR")
CLAIMS = {"sent": "FIN", "reset": "RST"}
# What may be said of copies that went with a queue, or were dropped by a receive.
PURGES = {("sent", "last-reference"), ("queued", "last-reference"), ("already", "after-shutdown"),
          ("queued", "after-shutdown"), ("reset", "unread-data"), ("reset", "linger-zero"), ("reset", "linger2"),
          ("withheld", "references"), ("withheld", "in-flight"), ("withheld", "call-in-progress"),
          ("withheld", "hidden"), ("none", "peer-reset"), ("none", "over"), ("none", "listening"),
          ("none", "not-connected")}
RELEASES = {("sent", "last-reference"), ("already", "after-shutdown"), ("reset", "unread-data"),
            ("reset", "linger-zero"), ("reset", "linger2")}


class Mismatch(Exception):
    """The accounts differ."""


class Want:
    """Events that a move must (least) or may (most) have: by this process, of this op, on this socket."""

    def __init__(self, pid, ops, sock=None, **more):
        self.pid, self.sock = pid, sock
        self.ops = {ops} if isinstance(ops, str) else set(ops)
        self.least = self.most = 1
        self.verdicts = None  # (fin, why) that are true; None: an event without fin
        self.any_verdict = False  # any that claims nothing
        self.calls = self.verified = self.window = None
        self.before = self.after = None  # references: sets of true numbers
        self.doubt = None  # where the log says refs_partial: how many less, how many more it may be
        self.foreign = 0  # copies in flight that another session sent
        self.raw = 0  # descriptors that came by raw system calls: the ledger may not know of so many
        self.holders = None
        self.states = None
        self.unread = None
        self.pending = None
        self.fields = {}  # what else must be there, key -> value
        self.alone = False  # no other session has ever had a part of what this process's session has
        self.exempt = False  # no claim is to be held against the packets
        for key, value in more.items():
            if not hasattr(self, key):
                raise TypeError(key)
            setattr(self, key, value)
        self.events = []

    def takes(self, event):
        return (len(self.events) < self.most and event.get("op") in self.ops
                and (self.pid is None or event.get("pid") == self.pid)
                and (self.sock is None or event.get("socket") == str(self.sock.cookie)))

    def __str__(self):
        parts = [f"{self.least}..{self.most}" if self.least != self.most else str(self.least),
                 f"op {'/'.join(sorted(self.ops))} by {self.pid}"]
        if self.sock:
            parts.append(f"on tcp#{self.sock.id} cookie {self.sock.cookie}")
        if self.verdicts:
            parts.append("fin " + " or ".join(sorted(f"{fin}/{why}" for fin, why in self.verdicts)))
        for name in ("before", "after", "holders", "unread", "pending", "verified", "calls", "fields", "doubt",
                     "foreign", "raw"):
            if getattr(self, name) not in (None, {}, 0, (0, 0)):
                parts.append(f"{name} {getattr(self, name)}")
        return ", ".join(parts)

    def check(self):
        """What is wrong with the events, as texts."""
        wrong = []
        if len(self.events) < self.least:
            return [f"missing: {self} ({len(self.events)} there)"]
        for i, event in enumerate(self.events):
            last = i == len(self.events) - 1
            for text in self.check_one(event, last):
                wrong.append(f"{text}\n    wanted {self}")
        if self.events:
            first, final = self.events[0], self.events[-1]
            wrong += self.numbers("refs_before", self.before, first) + self.numbers("refs_after", self.after, final)
            for one, two in zip(self.events, self.events[1:]):
                if one.get("refs_after") != two.get("refs_before"):
                    wrong.append(f"refs do not go on: {one.get('refs_after')}, then {two.get('refs_before')}: {self}")
        return wrong

    def numbers(self, key, true, event):
        if true is None or event.get(key) in true:
            return []
        if key not in event and "fin" not in event and self.verdicts is None:
            return []
        if self.raw and min(true) - self.raw <= event.get(key, -1) <= max(true):
            return []
        if event.get("refs_partial") and self.doubt:
            low, high = min(true) - self.doubt[0], max(true) + self.doubt[1]
            if low <= event.get(key, -1) <= high:
                return []
        if self.foreign and min(true) - self.foreign == event.get(key):
            return [f"{key} leaves out what another session has in flight without refs_partial\n    wanted {self}"]
        return [f"{key} is {event.get(key)}, not {' or '.join(map(str, sorted(true)))}\n    wanted {self}"]

    @staticmethod
    def cannot_know(event):
        """What a blocked call let go of when it returned is seen by nobody, nor is what another session has sent."""
        if event.get("verified"):
            return False
        if event["op"] == "release":
            return (event.get("fin"), event.get("why")) in RELEASES
        return event.get("refs_partial") and event["op"] in ("exec", "exit")

    @staticmethod
    def claims(event):
        """Whether it says that its call sent a segment, or will have."""
        return event.get("fin") in ("sent", "reset") or \
            event.get("fin") == "queued" and event.get("why") != "after-shutdown"

    def foresees_queue(self, event):
        """exit and exec are told of before they happen: whether the peer has room for what is unsent shows after."""
        why = event.get("why")
        sent = {("sent", why), ("already", why), ("queued", why)}
        return event["op"] in ("exec", "exit") and event.get("fin") in ("queued", "sent", "already") and \
            event.get("unsent") and bool(sent & set(self.verdicts))

    def check_one(self, event, last):
        verdict = (event.get("fin"), event.get("why"))
        if self.any_verdict:
            foreign = self.cannot_know(event) and self.doubt and sum(self.doubt)  # a copy in flight may have held it
            if (self.claims(event) or event.get("pending")) and not foreign:
                yield f"claims a segment: {verdict}"
        elif self.verdicts is None:
            if "fin" in event:
                yield f"has a verdict: {verdict}"
        elif verdict not in self.verdicts and (last or verdict != ("withheld", "references")) and \
                not self.cannot_know(event) and not self.foresees_queue(event) and not (self.foreign and verdict[0] == "withheld"):
            yield f"verdict {verdict[0]}/{verdict[1]}"
        if verdict == ("already", "after-shutdown") and self.sock and self.sock.fin_queued:
            yield "its FIN has not left its queue"
        if self.alone and event.get("refs_partial"):
            yield "refs_partial, and nobody else is there"
        if self.window and not self.window[0] - 1e-5 <= event.get("time", 0) <= self.window[1] + 1e-5:
            yield f"time {event.get('time')} is not within {self.window}"
        if self.calls and event.get("call") not in self.calls:
            yield f"call {event.get('call')}"
        if self.verified is not None and "fin" in event and event.get("verified") is not self.verified:
            late = self.claims(event) and "asked_after" in event  # a stranger may have ended it since
            if event["fin"] != "none" and event.get("why") != "linger2" and not late:  # its RST waits for an answer
                yield f"verified is {event.get('verified')}"
        if self.holders is not None and last and event.get("fin") == "withheld":
            holders = {(holder.get("pid"), holder.get("fd")) for holder in event.get("holders", []) if "fd" in holder}
            known = self.raw == 0 and len(self.holders) <= 16
            if holders - set(self.holders) or (known and holders != set(self.holders)):
                yield f"holders {sorted(holders)}"
        if self.states and "state_before" in event and event["state_before"] not in self.states:
            yield f"state_before {event['state_before']}, not {self.states}"
        if self.states and self.verdicts and "state_before" not in event:
            yield "no state_before"
        if self.unread is not None and event.get("unread", 0) not in self.unread:
            yield f"unread is {event.get('unread')}, not {sorted(self.unread)}"
        if self.verdicts and not self.any_verdict:
            resets, waiting = self.pending or (0, 0)
            foreseen = event.get("refs_partial") and not event.get("verified")  # by one who may not be the last
            if not foreseen and not resets <= event.get("pending", 0) <= waiting:
                yield f"pending is {event.get('pending')}, not {resets} to {waiting}"
        sock = self.sock
        if sock and sock.local and event.get("local") != sock.local and (not sock.over or "local" in event):
            yield f"local is {event.get('local')}, not {sock.local}"
        if sock and sock.remote and event.get("remote") != sock.remote and (not sock.over or "remote" in event):
            yield f"remote is {event.get('remote')}, not {sock.remote}"
        for key, value in self.fields.items():
            if event.get(key) not in (value if isinstance(value, range) else (value,)):
                yield f"{key} is {event.get(key)!r}, not {value!r}"


class Step:
    """One move."""

    def __init__(self, number):
        self.number = number
        self.text = ""
        self.notes = []
        self.wants = []
        self.packets = []
        self.events = []
        self.endings = 0
        self.strangers = False  # events of processes that are no actors, and claim nothing, are fine
        self.woken = False  # a call in progress returned: its thread goes on while the one that made the move does
        self.forgiven = set()  # cookies of sockets of which a prediction may be wrong
        self.failed_exec = None  # the process whose predictions are taken back
        self.before = []
        self.began = time.time()
        self.ended = None


class Walk:
    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        self.model = Model()
        self.processes = []
        self.early = []  # packets that were read before the next move asks for them
        self.step = Step(0)
        self.folder = tempfile.mkdtemp(prefix="walk.")
        self.log = None
        self.standing = {}  # queued FINs that were announced: cookie -> event
        self.steps = self.endings = self.segments = self.strays = 0
        self.tally = {}
        self.verdicts = {}
        self.host = None
        self.alone = not set(options.moves) & {"exec", "exec_fail", "spawn", "child"}  # all one session
        self.record = open(options.record, "w", encoding="ascii") if options.record else None
        self.names = {}  # for the record: process ids, cookies and addresses by the order of their coming
        self.untrue = {}  # with --go-on: what was wrong with the log, how often

    # Setting up

    def start(self):
        own_network()
        try:
            with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as file:
                file.write("1024 65535")
        except OSError:
            pass
        self.capture = Capture()
        self.silent = socket.socket()  # answers no SYN
        self.silent.bind(("127.0.0.1", 0))
        argument, memory = bpf([(0x06, 0, 0, 0)])
        self.silent.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, argument)
        del memory
        self.silent.listen()
        environment = {key: value for key, value in os.environ.items()
                       if key != "LD_PRELOAD" and not key.startswith("CLOSETRACE_")}
        launcher = []
        path = os.path.join(self.folder, "log")
        if not self.options.no_log:
            if self.options.run:
                launcher = [*self.options.run.split(), "run", "-o", path, "--"]
            else:
                environment.update(LD_PRELOAD=self.options.library, CLOSETRACE_OUTPUT=path, CLOSETRACE_FORMAT="json")
            self.log = Log(path)
        self.host = Host(self.folder, self.options.actor, environment, launcher, lambda text: self.note(text))
        self.step.began = time.time()

    def note(self, text):
        self.step.notes.append(text)
        if self.options.verbose:
            print("      ", text)

    def end(self):
        if self.host:
            self.host.end()
        if self.options.keep:
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    # Choosing

    def chance(self, probability):
        return self.rng.random() < probability

    def pick(self, items):
        return items[self.rng.randrange(len(items))] if items else None

    def descriptors(self, test):
        """(process, fd, file) of every descriptor that the test likes."""
        return [(process, fd, file) for process in self.processes for fd, file in sorted(process.fds.items())
                if test(file)]

    def seen(self, variants):
        """With --no-raw none that makes system calls past libc."""
        return [name for name in variants if not (self.options.no_raw and name.startswith("raw"))]

    def pick_descriptor(self, test):
        """The socket first, so that none with many descriptors is favoured; then one of them."""
        found = self.descriptors(test)
        if not found:
            return None
        files = list({file.id: file for _, _, file in found}.values())
        file = self.pick(files)
        return self.pick([item for item in found if item[2] is file])

    def socks(self):
        return list({file.id: file for _, _, file in self.descriptors(lambda file: file.kind == "tcp")}.values())

    @staticmethod
    def is_tcp(file):
        return file.kind == "tcp"

    @staticmethod
    def is_connected(file):
        return file.kind == "tcp" and file.connected

    def where(self, plain=True):
        """In which context a call is made."""
        roll = self.rng.random()
        if roll < 0.12:
            return "thread"
        return "signal" if plain and roll < 0.2 else "main"

    def window(self, answer=None):
        if answer and "t0" in answer:
            return (answer["t0"] / 1e9, answer["t1"] / 1e9)
        return (self.step.began, None)

    # Doing

    def do(self, process, name, *words, context="main", fd=None):
        actor = process.actor
        return actor.answer(actor.send(context, name, *words, fd=fd))

    def expect(self, true, text):
        if not true:
            raise Mismatch(text)

    def want(self, pid, ops, sock=None, via=None, **more):
        """Wants events; via: the (process, fd) of the call, which the library may not know to be a socket."""
        if via and via[1] in via[0].unseen:
            more["least"] = 0
        if sock and "doubt" not in more:
            more["doubt"] = (sock.flights, sock.doubtful)
            process = next((process for process in self.processes if process.pid == pid), None)
            more["foreign"] = self.foreign(process, sock) if process and sock.flights else 0
        if sock:
            more["raw"] = self.raw_descriptors(sock, pid)
        more["alone"] = self.alone
        want = Want(pid, ops, sock, **more)
        self.step.wants.append(want)
        return want

    def raw_descriptors(self, sock, pid):
        """How many descriptors of the socket the ledger that the process has a part in may not know of: those that no
        hook saw come, and copies that may have been sent from them, as many as there ever were at a time, since the
        ledger may go on without them; and what programs have that got it by such descriptors alone."""
        now = sum(process.fds.get(fd) is sock for process in self.processes for fd in process.unseen)
        now += sock.flights if now else 0
        sock.raw = max(now, sock.raw)
        sessions = {process.session for process in self.processes if process.pid == pid}
        beyond = 0 if sessions & sock.beyond else sum(
            file is sock for process in self.processes if process.session in sock.beyond
            for file in process.fds.values())
        return 0 if self.options.exact else sock.raw + beyond

    def goes_beyond(self, process, fds, session):
        """These numbers of the process are left open across an exec, and that is the session of what comes then."""
        for sock in {process.fds[fd].id: process.fds[fd] for fd in fds if process.fds[fd].kind == "tcp"}.values():
            if process.session in sock.beyond or all(fd in process.unseen for fd in fds if process.fds[fd] is sock):
                sock.beyond.add(session)

    def soften(self, sock):
        """Its segments of this move need not be claimed."""
        for segment in self.model.segments:
            if segment.sock is sock and segment.claim == "must":
                segment.claim = "may"
                sock.fin_announced = False

    def as_known(self, process, sock, verdicts, blind=False):
        """Of a socket in state CLOSE the kernel does not tell how it came to that: a process that has not seen it
        connected cannot know that it ever was, nor one that did not shut it down that it was."""
        if sock.listened:
            return verdicts
        if not sock.connected:
            return verdicts | ({("already", "after-shutdown"), ("none", "peer-reset"), ("none", "over")} if sock.disconnected else set())
        if blind or process.index not in sock.known:
            return verdicts | {("already", "after-shutdown"), ("none", "peer-reset"), ("none", "over"), ("none", "not-connected")}
        if process.index not in sock.shut_known:
            return verdicts | {("already", "after-shutdown"), ("none", "peer-reset"), ("none", "over")}
        return verdicts

    def ending(self):
        self.step.endings += 1

    def arrive(self, process, fd, sock, answer, cloexec=False):
        """A new TCP socket at the number that must have been the lowest."""
        self.expect(answer["fd"] == process.lowest() == fd, f"fd {answer['fd']}, not {process.lowest()}")
        self.expect("inode" in answer and "cookie" in answer, "no inode, no cookie")
        sock.inode, sock.cookie = answer["inode"], answer["cookie"]
        process.install(fd, sock, cloexec)

    def in_flight(self):
        """The messages that are under way."""
        ends = [file for process in self.processes for file in process.fds.values() if file.kind == "unix"]
        queues = {end.id: end.queue for end in ends}.values()
        return list({id(message): message for queue in queues for message in queue}.values())

    def foreign(self, process, sock):
        """How many copies in flight another session of the library sent, which this one cannot count."""
        return sum(file is sock for message in self.in_flight() if message.session != process.session
                   for file in message)

    def release(self, process, fds, op, calls=None, claim="must", answer=None, verified=True, least=1, fields=None,
                exempt=False, others=()):
        """References end: the descriptors fds of a process, and others (calls in progress). Wants the events."""
        files = list({process.fds[fd].id: process.fds[fd] for fd in fds}.values())
        socks = [file for file in files if file.kind == "tcp"]
        before = {sock.id: (sock.refs, sock.flights, sock.states(), self.known_unread(sock),
                            sum(process.fds[fd] is sock for fd in fds), self.model.withheld(sock)) for sock in socks}
        numbers = {process.fds[fd].id: fd for fd in fds}
        unseen_closes = {process.fds[fd].id for fd in fds if op == "close" and fd in process.unseen}
        over = {sock.id for sock in socks if sock.over}
        blind = {sock.id for sock in socks if all(fd in process.unseen for fd in fds if process.fds[fd] is sock)}
        doubts = {sock.id: (sock.flights, sock.doubtful) for sock in socks}
        foreign = {sock.id: self.foreign(process, sock) if sock.flights else 0 for sock in socks}
        for sock in socks:
            self.raw_descriptors(sock, process.pid)  # as many as there are before the call
        drops = [*others, *((process, fd) for fd in fds)]
        predicted = {sock.id: self.model.predicted(sock) for sock in socks}
        flying = {sock.id: (sock, sock.flights) for message in self.in_flight() for sock in message}
        outcomes = self.model.drop(drops, claim, process.pid)
        for sock, flights in flying.values():
            if sock.flights < flights:
                self.want(process.pid, "release", sock, least=0, verdicts=PURGES)
        for sock in socks:
            refs, flights, states, unread, count, held_before = before[sock.id]
            pending = None
            after = {sock.refs}
            if sock.id in outcomes:
                verdicts, pending = outcomes[sock.id].verdicts, outcomes[sock.id].pending
            else:
                verdicts = self.model.withheld(sock)
                if sock.over:  # what ended it may be this very call's doing
                    verdicts = verdicts | {item for item in held_before if op != "close" or item[0] != "withheld"}
                    if op != "close" and "withheld" in {fin for fin, _ in held_before}:
                        verdicts = verdicts | self.model.held_by(sock)
            if sock.flights != flights:  # a queue was purged by the same call
                after.add(refs - count)
                verdicts = verdicts | {("withheld", "in-flight")}
                claim_here = "may"
            else:
                claim_here = claim
            more = dict(fields or {})
            if count == 1 and op == "close":
                more["fd"] = numbers[sock.id]
            sock.raw_close = sock.raw_close or sock.id in unseen_closes
            if sock.id in blind or not least:
                self.soften(sock)
            for call in sock.calls:  # a thread of another session is nobody's to tell, nor is it told
                if sock.id in blind or not least or call.process.session != process.session:
                    call.blind = True
            if op != "close" and sum(doubts[sock.id]) and sock.id in outcomes:  # it may count what is gone
                self.soften(sock)
                verdicts = verdicts | {("withheld", "in-flight")}
                pending = pending and (0, pending[1])
            if sock.calls and sock.raw_close and not sock.refs:
                # On which number the thread called nobody knows: where copies of anything are in flight, or one of its
                # own may have gone with a queue, it is taken for such a one.
                verdicts = verdicts | {("withheld", "hidden")}
                if self.in_flight() or sock.doubtful:
                    verdicts = verdicts | {("withheld", "in-flight")}
            if sock.calls and sock.id not in outcomes and not sock.refs:
                # a thread that is just waking is in no call for a moment: then it may be taken for a copy in flight
                doubts[sock.id] = (doubts[sock.id][0], doubts[sock.id][1] + 1)
            if sock.calls and all(call.process.session != process.session for call in sock.calls):
                # whose thread it is, and in which call, cannot be told in another session
                verdicts = verdicts | {("withheld", why) for why in ("hidden", "in-flight", "call-in-progress")
                                       if ("withheld", "references") not in verdicts}
                if op != "close":  # a prediction: the kernel was not asked
                    verdicts = verdicts | predicted[sock.id]
                    self.step.forgiven.add(str(sock.cookie))
            if op != "close" and sock.calls and not sock.refs and all(
                    call.taken or call.lost or call.process.session != process.session for call in sock.calls):
                # a thread on a number that is, or was, another connection's by now may be inside a call on that: only
                # the kernel could tell, and it is asked after a close alone
                verdicts = verdicts | predicted[sock.id]
                self.step.forgiven.add(str(sock.cookie))
                for call in sock.calls:
                    call.blind = True
            if op != "close" and sock.id in outcomes and sock.id not in over and not predicted[sock.id] <= verdicts:
                # its peer goes in the same call: which of them the kernel ends first is no part of the prediction
                verdicts = verdicts | predicted[sock.id]
                self.step.forgiven.add(str(sock.cookie))
                self.soften(sock)
            if op != "close" and sock.id not in outcomes and 0 < sock.refs <= self.raw_descriptors(sock, process.pid):
                # the ledger knows of none of these, and nobody can ask the kernel afterwards
                verdicts = verdicts | predicted[sock.id]
                pending = (0, len(sock.queue)) if sock.listening else pending
                self.step.forgiven.add(str(sock.cookie))
            if sock.id in over:
                verdicts = self.as_known(process, sock, verdicts, sock.id in blind)
            self.want(process.pid, op, sock, verdicts=verdicts, calls=calls, before={refs}, after=after,
                      holders=sock.holders(), verified=verified, states=states | ({"CLOSE"} if exempt else set()),
                      unread=unread, pending=pending, window=self.window(answer), fields=more,
                      doubt=doubts[sock.id], foreign=foreign[sock.id],
                      least=least if claim_here != "none" and sock.id not in blind else 0,
                      most=count if claim_here != "none" else 0)
        return outcomes

    def known_unread(self, sock):
        if not sock.connected or sock.cut or (sock.peer and sock.peer.unsent):
            return None
        if sock.over and URGENT in sock.rx:  # the kernel counts up to an urgent byte, and diag knows it no more
            return {sock.unread, max(1, sum(sock.rx[:sock.rx.index(URGENT)]))}
        return {sock.unread}

    def settle(self):
        """Calls in progress that can return now do so, and may have been the last reference."""
        again = True
        while again:
            again = False
            for process in list(self.processes):
                for call in list(process.calls):
                    sock = call.sock
                    if not sock.readable:
                        continue
                    again = True
                    eof = sock.fin_received and not sock.rx
                    held = sock.refs > 0
                    states = None
                    if call.kind not in POLLS:
                        sock.consume(call.n)
                    process.actor.woken(call.ident)
                    self.step.woken = True
                    count = len(self.model.segments)
                    outcomes = self.model.drop([call], "must", process.pid)
                    if call.kind not in POLLS:
                        # after one's own SHUT_RD the peer's FIN may come while the call returns
                        first = (eof or sock.shut_rd) and not sock.eof_seen
                        sock.eof_seen = sock.eof_seen or first
                        self.want(process.pid, {"eof", "reset"}, sock, least=0, most=1 if first or sock.reset else 0)
                    if held:
                        self.want(process.pid, "release", sock, least=0, any_verdict=True)
                    else:
                        sends = len(self.model.segments) > count
                        if call.blind:
                            self.soften(sock)
                        self.want(process.pid, "release", sock, least=1 if sends and not call.blind else 0,
                                  states=states,
                                  verdicts=outcomes[sock.id].verdicts, before={0}, after={0},
                                  window=(self.step.began, None))

    # The moves: each returns False where there is nothing to make it with

    def op_listen(self):
        if len([sock for sock in self.socks() if sock.listening]) >= 4:
            return False
        process = self.pick(self.processes)
        family = self.pick(("v4", "v6", "dual"))
        cloexec = self.chance(0.2)
        answer = self.do(process, "listen", family, 16, int(cloexec))
        self.expect(answer["ret"] == 0, f"listen: {answer}")
        sock = Sock("listener")
        self.arrive(process, process.lowest(), sock, answer, cloexec)
        sock.family, sock.local = family, answer["local"]
        sock.port = int(sock.local.rsplit(":", 1)[1])
        sock.listening = sock.listened = True
        return True

    def op_connect(self):
        listeners = [sock for sock in self.socks() if sock.listening and len(sock.queue) < 8]
        listener = self.pick(listeners)
        if not listener:
            return self.op_listen()
        process = self.pick(self.processes)
        family = self.pick({"v4": ("v4", "mapped"), "v6": ("v6",), "dual": ("v4", "v6", "mapped")}[listener.family])
        cloexec = self.chance(0.3)
        sock, server = Sock("client"), Sock("server")
        answer = self.do(process, "connect", family, listener.port, int(cloexec), 0, context=self.where(False))
        self.expect(answer["ret"] == 0, f"connect: {answer}")
        self.arrive(process, process.lowest(), sock, answer, cloexec)
        sock.local, sock.remote = answer["local"], answer["remote"]
        self.model.connect(sock, server)
        listener.queue.append(server)
        sock.known.add(process.index)
        self.want(process.pid, "connect", sock, before=None, after={1}, window=self.window(answer),
                  fields={"role": "client", "fd": answer["fd"]})
        if self.chance(0.8):  # most are accepted at once
            holder = self.pick([item for item in self.descriptors(lambda file: file is listener)])
            self.accept(holder[0], holder[1], listener)
        return True

    def op_accept(self):
        found = self.pick_descriptor(lambda file: self.is_tcp(file) and file.listening and file.queue)
        if not found:
            return False
        self.accept(*found)
        return True

    def accept(self, process, fd, listener):
        variant = self.pick(("accept", "accept-null", "accept4", "accept4-cloexec"))
        sock = listener.queue.pop(0)
        answer = self.do(process, "accept", variant, fd, context=self.where(False))
        self.expect(answer["ret"] >= 0, f"accept: {answer}")
        self.expect(answer.get("remote", sock.remote) == sock.remote, "accepted another one")
        blind = fd in process.unseen
        self.arrive(process, process.lowest(), sock, answer, variant == "accept4-cloexec")
        if blind:
            process.unseen.add(answer["fd"])
        if not sock.over:
            sock.known.add(process.index)
        self.want(process.pid, "accept", sock, via=(process, fd), after={1}, window=self.window(answer),
                  fields={"role": "server"})

    def op_socket(self):
        process = self.pick(self.processes)
        if self.chance(0.4):
            sock = Sock("client")
            answer = self.do(process, "connect", "v4", self.silent.getsockname()[1], 0, 1)
            sock.syn_sent = True
            self.expect(answer["ret"] == -1, f"connect to nobody: {answer}")
            sock.local = None
            self.arrive(process, process.lowest(), sock, answer)
            self.want(process.pid, "connect", sock, least=0)
            return True
        sock = Sock("unknown")
        cloexec = self.chance(0.3)
        self.arrive(process, process.lowest(), sock,
                    self.do(process, "socket", self.pick(("v4", "v6")), int(cloexec)), cloexec)
        return True

    def op_null(self):
        process = self.pick(self.processes)
        if len([file for file in process.fds.values() if file.name == "null"]) > 4:
            return False
        answer = self.do(process, "null")
        self.expect(answer["ret"] == process.lowest(), f"open: {answer}")
        file = File("other")
        file.name = "null"
        process.install(answer["ret"], file)
        return True

    def op_epoll(self):
        found = self.pick_descriptor(self.is_connected)
        if not found:
            return False
        process, fd, _ = found
        sets = [number for number, file in sorted(process.fds.items()) if file.name == "epoll"]
        if sets and self.chance(0.7):
            self.do(process, "epoll", self.pick(sets), fd)
            return True
        answer = self.do(process, "epoll", -1, fd)
        self.expect(answer["fd"] == process.lowest(), f"epoll_create1: {answer}")
        file = File("other")
        file.name = "epoll"
        process.install(answer["fd"], file)
        return True

    def target(self, process, fd):
        """A number for dup2(): free, taken by anything, a TCP socket's."""
        roll = self.rng.random()
        if roll < 0.4:
            return process.lowest(self.rng.randrange(3, 60))
        taken = [number for number, file in sorted(process.fds.items()) if number not in (2, fd) and number < APART
                 and (roll < 0.5 or file.kind == "tcp")]
        return self.pick(taken) if taken else process.lowest(self.rng.randrange(3, 60))

    def op_dup(self):
        found = self.pick_descriptor(self.is_tcp)
        if not found or len(found[0].fds) > 40:
            return False
        process, fd, sock = found
        variant = self.pick(self.seen(("dup", "dup2", "dup2", "dup2", "dup3", "dup3-cloexec", "F_DUPFD",
                                       "F_DUPFD_CLOEXEC", "syscall-dup", "syscall-dup3", "raw-dup")))
        cloexec = variant in ("dup3-cloexec", "F_DUPFD_CLOEXEC")
        context = self.where(variant in ("dup", "dup2", "dup3"))
        window_answer = None
        if variant in ("dup", "syscall-dup", "raw-dup"):
            new = process.lowest()
            answer = self.do(process, "dup", variant, fd, context=context)
        elif variant.startswith("F_"):
            least = self.rng.randrange(60)
            new = process.lowest(least)
            answer = self.do(process, "dup", variant, fd, least, context=context)
        else:
            new = fd if self.chance(0.08) else self.target(process, fd)
            answer = self.do(process, "dup", variant, fd, new, context=context)
            if new == fd:
                self.expect(answer["ret"] == (fd if variant == "dup2" else -1), f"{variant} to itself: {answer}")
                self.want(process.pid, {"dup", "close"}, sock, least=0, any_verdict=True, before={sock.refs},
                          after={sock.refs})
                return True
        self.expect(answer["ret"] == new, f"{variant}: {answer}, not {new}")
        window_answer = answer
        refs = sock.refs
        calls = {"F_DUPFD": ("fcntl", "fcntl64"), "F_DUPFD_CLOEXEC": ("fcntl", "fcntl64"), "dup3-cloexec": ("dup3",),
                 "syscall-dup": ("syscall", "dup"), "syscall-dup3": ("syscall", "dup3")}.get(variant, (variant,))
        if new in process.fds:
            over = process.fds[new]
            self.ending()
            if over is sock:  # a reference goes, the same comes
                blind = fd in process.unseen
                process.cloexec.discard(new)
                process.unseen.discard(new)
                if cloexec:
                    process.cloexec.add(new)
                if blind:
                    process.unseen.add(new)
                self.want(process.pid, "close", sock, least=0, any_verdict=True, before={refs}, after={refs - 1, refs})
                self.want(process.pid, "dup", sock, least=0, before={refs - 1, refs}, after={refs})
                return True
            self.release(process, [new], "close", calls=calls, answer=answer)
            refs = sock.refs  # what stood on the number may have been a unix socket, with copies in its queue
        process.install(new, sock, cloexec)
        raw = variant == "raw-dup"
        if raw or fd in process.unseen:
            process.unseen.add(new)
            sock.known.discard(process.index)
        self.want(process.pid, "dup", sock, via=(process, fd), least=0 if raw else 1, before={refs}, after={refs + 1},
                  calls=None if raw else calls,
                  window=self.window(window_answer), fields={"fd": fd, "ret": new})
        return True

    def op_cloexec(self):
        found = self.pick_descriptor(lambda file: file.kind in ("tcp", "unix"))
        if not found:
            return False
        process, fd, _ = found
        on = self.chance(0.5)
        self.do(process, "cloexec", fd, int(on), context=self.where())
        process.cloexec.discard(fd)
        if on:
            process.cloexec.add(fd)
        return True

    def op_linger(self):
        found = self.pick_descriptor(self.is_connected)
        if not found:
            return False
        process, fd, sock = found
        on, seconds = self.pick(((1, 0), (1, 0), (1, 2), (0, 0), (0, 5)))
        if sock.unsent:
            on, seconds = self.pick(((1, 0), (0, 0)))
        self.do(process, "linger", fd, on, seconds)
        sock.linger = seconds if on else None
        return True

    def op_linger2(self):
        found = self.pick_descriptor(lambda file: self.is_connected(file) and not file.unsent and not file.peer.calls)
        if not found:
            return False
        process, fd, sock = found
        value = self.pick((-1, 0, 5))
        self.do(process, "linger2", fd, value)
        sock.linger2 = value < 0
        return True

    def op_write(self):
        found = self.pick_descriptor(lambda file: self.is_connected(file) and not file.unsent)
        if not found:
            return False
        process, fd, sock = found
        urgent = self.chance(0.07) and not sock.oob_used and not sock.peer.calls
        n = 1 if urgent else self.rng.randrange(1, 60)
        variant = "oob" if urgent else self.pick(("write", "send", "send-nosignal", "sendto", "writev", "sendmsg",
                                                  "syscall-write"))
        answer = self.do(process, "write", variant, fd, n, context=self.where(False))
        refused = sock.shut_wr or sock.over
        self.expect((answer["ret"] < 0) == refused, f"write: {answer}")
        if refused:
            names = {32: "EPIPE", 104: "ECONNRESET"}
            self.expect(answer["errno"] in names, f"write: {answer}")
            self.want(process.pid, {"write", "reset"}, sock, via=(process, fd), window=self.window(answer),
                      least=int(answer["errno"] == 32 or not sock.disconnected),  # its own RST is no news
                      fields={"errno": names[answer["errno"]], "fd": fd}, any_verdict=True)
            return True
        self.expect(answer["ret"] == n, f"write: {answer}")
        if urgent:
            sock.oob_used = True
        self.model.deliver(sock, URGENT if urgent else n)
        return True

    def op_read(self):
        found = self.pick_descriptor(lambda file: self.is_connected(file) and not file.calls and not file.peer.unsent
                                     and not file.cut)
        if not found:
            return False
        process, fd, sock = found
        sure = (sock.rx and sock.rx[0] != URGENT) or sock.over or sock.fin_received or sock.shut_rd
        variant = self.pick(("recv", "recvfrom", "recvmsg", "peek", "oob", *(("read", "readv") if sure else ())))
        n = self.pick((0, 1, 5, 200))
        if n == 0 and variant in ("peek", "readv", "oob"):
            n = 3
        answer = self.do(process, "read", variant, fd, n, context=self.where(False))
        if variant == "oob":
            self.read_result(process, fd, sock, answer, optional=True)
        elif variant == "peek":
            self.read_result(process, fd, sock, answer, optional=True)
        elif n == 0:
            self.read_result(process, fd, sock, answer, optional=sock.over, nothing=not sock.over)
        else:
            taken = sock.consume(n)
            self.expect(taken == max(answer["ret"], 0), f"read: {answer}, not {taken}")
            if taken == 0:
                self.read_result(process, fd, sock, answer)
        return True

    def read_result(self, process, fd, sock, answer, optional=False, nothing=False):
        if nothing:
            return
        if answer["ret"] == 0 and sock.fin_received:
            first = not sock.eof_seen and not optional
            sock.eof_seen = True  # or may have been
            self.want(process.pid, "eof", sock, via=(process, fd), least=int(first), window=self.window(answer),
                      fields={"fd": fd})
        elif answer["ret"] < 0 and answer["errno"] in (32, 104):
            self.want(process.pid, {"reset", "read"}, sock, via=(process, fd),
                      least=int(not optional and not sock.disconnected), any_verdict=True,
                      window=self.window(answer), fields={"fd": fd})
        elif sock.over:
            self.want(process.pid, {"eof", "reset"}, sock, least=0)

    def op_drain(self):
        found = self.pick_descriptor(lambda file: self.is_connected(file) and not file.calls and file.rx)
        if not found:
            return False
        self.drain(*found)
        return True

    def drain(self, process, fd, sock):
        peer = sock.peer
        unread = sock.unread
        slow = peer.unsent
        perhaps_fin = peer.fin_queued
        if perhaps_fin:
            self.model.emit(peer, "FIN", "queued", None)
            self.model.queued_fin_left(peer)
        answer = self.do(process, "drain", fd, 400 if slow else 0)
        urgent = sock.rx.count(URGENT)
        self.expect(answer["total"] in (unread - urgent, unread) or (sock.cut and answer["total"] < unread),
                    f"drain: {answer}, not {unread}")
        sock.rx = []
        peer.unsent = False
        self.read_result(process, fd, sock, answer)

    def op_fill(self):
        found = self.pick_descriptor(lambda file: self.is_connected(file) and not file.unsent and not file.shut_wr
                                     and not file.over and file.linger in (None, 0) and not file.linger2
                                     and file.peer.fds and not file.peer.calls and not file.peer.over
                                     and not file.peer.shut_rd)
        if not found or any(sock.unsent for sock in self.socks()):
            return False
        process, fd, sock = found
        answer = self.do(process, "fill", fd)
        self.expect(answer["ret"] > 0 and answer["unsent"] > 0, f"fill: {answer}")
        sock.unsent = True
        sock.filled_at = self.steps
        sock.peer.receive(answer["ret"])
        return True

    def op_block(self):
        found = self.pick_descriptor(lambda file: self.is_connected(file) and not file.calls and not file.readable
                                     and not file.peer.unsent and not file.peer.linger2)
        if not found:
            return False
        process, fd, sock = found
        # the late acknowledgement of a FIN wakes poll() and select(), which then find their number closed
        kind = self.pick(("recv", "read", "readv", "recvmsg", *(() if sock.shut_wr else POLLS)))
        n = self.rng.randrange(1, 4)
        if kind in POLLS:  # they look the number up again when they are woken: it must be one that is not used again
            fd = self.move_away(process, fd, sock)
        ident = process.actor.send("main", "block", kind, fd, n)
        answer = process.actor.answer(ident)
        call = Call(ident, process, kind, sock, fd, n, answer["tid"])
        process.actor.blocked(call.tid, fd, kind)
        sock.calls.append(call)
        process.calls.append(call)
        return True

    def move_away(self, process, fd, sock):
        """Duplicates to a number that nothing else comes to, and mostly closes the first one."""
        least = APART
        while least in process.fds or any(call.fd == least for call in process.calls):
            least += 1
        answer = self.do(process, "dup", "F_DUPFD", fd, least)
        self.expect(answer["ret"] == least, f"F_DUPFD: {answer}")
        self.want(process.pid, "dup", sock, via=(process, fd), before={sock.refs}, after={sock.refs + 1},
                  window=self.window(answer),
                  fields={"fd": fd, "ret": least})
        blind = fd in process.unseen
        process.install(least, sock)
        if blind:
            process.unseen.add(least)
        if self.chance(0.7):
            answer = self.do(process, "close", "close", fd)
            self.release(process, [fd], "close", calls=("close",), answer=answer)
        return least

    def op_wake(self):
        """Data for a call in progress."""
        found = self.pick_descriptor(lambda file: self.is_connected(file) and file.peer.calls and not file.shut_wr
                                     and not file.over and not file.unsent)
        if not found:
            return False
        process, fd, sock = found
        n = self.rng.randrange(1, 4)
        answer = self.do(process, "write", "send", fd, n)
        self.expect(answer["ret"] == n, f"write: {answer}")
        self.model.deliver(sock, n)
        return True

    def closing(self, sock):
        """Whether close() would wait here longer than the walk likes to."""
        return not (sock.linger and sock.unsent)

    def op_close(self):
        found = self.pick_descriptor(lambda file: self.is_tcp(file) and self.closing(file))
        if not found:
            return False
        process, fd, sock = found
        variant = self.pick(self.seen(("close",) * 6 + ("syscall", "raw", "dup2-file", "dup3-file",
                                                        "syscall-dup3-file", "fclose", "freopen", "close_range",
                                                        "syscall-close_range")))
        words = (fd,) if "range" in variant else ()
        plain = variant in ("close", "syscall", "dup2-file", "dup3-file")
        answer = self.do(process, "close", variant, fd, *words, context=self.where(plain))
        self.expect(answer["ret"] == (fd if "dup" in variant else 0), f"{variant}: {answer}")
        self.ending()
        calls = {"syscall": ("syscall", "close"), "raw": None, "dup2-file": ("dup2",), "dup3-file": ("dup3",),
                 "syscall-dup3-file": ("syscall", "dup3"), "syscall-close_range": ("syscall",
                                                                                   "close_range")}.get(variant,
                                                                                                       (variant,))
        raw = variant == "raw"
        sock.raw_close = sock.raw_close or raw
        self.release(process, [fd], "close", calls=calls, answer=answer, claim="may" if raw else "must", least=0
                     if raw else 1)
        return True

    def op_close_data(self):
        """Bytes that leave with the FIN."""
        found = self.pick_descriptor(lambda file: self.is_connected(file) and not file.shut_wr and not file.over
                                     and not file.unsent and not file.peer.calls and not file.peer.released
                                     and file.refs == 1
                                     and not file.calls and not file.rx and not (file.peer.shut_rd
                                                                                 and file.peer.shut_wr)
                                     and file.linger is None and not file.linger2)
        if not found:
            return False
        process, fd, sock = found
        variant = self.pick(("fclose-data", "more"))
        n = self.rng.randrange(1, 40)
        answer = self.do(process, "close", variant, fd, n)
        self.model.deliver(sock, n)
        self.ending()
        self.release(process, [fd], "close", calls=("fclose" if variant == "fclose-data" else "close",), answer=answer)
        return True

    def sweep(self, process, first, last):
        fds = [fd for fd in sorted(process.fds) if first <= fd <= last]
        socks = self.going([process.fds[fd] for fd in fds])
        if any(fd in process.unseen for fd in fds):
            return []  # the library closes what it knows before the rest
        return fds if self.orderly(socks) else []

    @staticmethod
    def going(files):
        """The TCP sockets that may end with these: what waits in a listener's queue and what is in a unix socket's go
        with it."""
        found = list(files)
        for file in found:
            if file.kind == "unix":
                found += [passed for message in file.queue for passed in message if passed not in found]
            elif file.kind == "tcp":
                found += file.queue
        return [file for file in found if file.kind == "tcp"]

    def orderly(self, socks):
        """Whether these can be closed at once: none waits long, and none has its RST leave only with the answer to its
        FIN (TCP_LINGER2), nor a thread waiting for its peer's, while that peer goes as well: whether that answer, or
        the thread, comes before the rest has gone only timing decides."""
        return all(self.closing(sock) and not ((sock.linger2 or sock.calls) and sock.peer in socks) for sock in socks)

    def swept(self, process, fds, calls, answer):
        """The kernel ends what a sweep closed all at once, last first; so does the library, number by number."""
        for some in [[fd] for fd in sorted(fds, reverse=True)] if self.log else [fds]:
            self.release(process, some, "close", calls=calls, answer=answer)

    def op_close_range(self):
        found = self.pick_descriptor(self.is_tcp)
        if not found:
            return False
        process, fd, _ = found
        first = max(3, fd - self.rng.randrange(3))
        last = fd + self.rng.randrange(6)
        fds = self.sweep(process, first, last)
        if not fds:
            return False
        variant = self.pick(("close_range", "close_range", "close_range-unshare", "close_range-cloexec",
                             "syscall-close_range"))
        if variant == "close_range-unshare" and process.calls:
            variant = "close_range"
        answer = self.do(process, "close", variant, first, last)
        self.expect(answer["ret"] == 0, f"{variant}: {answer}")
        if variant == "close_range-cloexec":
            process.cloexec.update(fds)
            return True
        self.ending()
        self.swept(process, fds, ("close_range", "syscall"), answer)
        return True

    def op_closefrom(self):
        found = self.pick_descriptor(self.is_tcp)
        if not found:
            return False
        process, fd, _ = found
        first = max(3, fd - self.rng.randrange(3))
        fds = self.sweep(process, first, CONTROL)
        if not fds:
            return False
        variant = self.pick(("closefrom", "close_range-all"))
        answer = self.do(process, "close", variant, first)
        self.ending()
        self.swept(process, fds, (variant.split("-")[0],), answer)
        return True

    def op_shutdown(self):
        found = self.pick_descriptor(self.is_tcp)
        if not found:
            return False
        process, fd, sock = found
        how = self.pick((0, 1, 1, 1, 2, 2))
        if sock.peer and sock.peer.unsent and (how != 1 or sock.shut_rd):
            return False  # what the peer still has to send might be answered by an RST, some time
        if how == 1 and any(call.kind in POLLS for call in sock.calls):
            return False  # see op_block
        variant = self.pick(("shutdown", "shutdown", "shutdown", "syscall"))
        states, refs, unread = sock.states(), sock.refs, self.known_unread(sock)
        answer = self.do(process, "shutdown", variant, fd, how, context=self.where())
        self.ending()
        if how != 0 and not sock.over and not sock.shut_wr:
            sock.shut_known.add(process.index)
        over = sock.over
        verdicts, works, pending = self.model.shutdown(sock, how, "must", process.pid)
        if over:
            verdicts = self.as_known(process, sock, verdicts)
        if works is None:
            works = answer["ret"] == 0
            states = {"CLOSING", "LAST_ACK"} if works else states
        if fd in process.unseen:
            self.soften(sock)
        self.expect(answer["ret"] == (0 if works else -1), f"shutdown: {answer}, should {'not ' if works else ''}fail")
        self.want(process.pid, "shutdown", sock, via=(process, fd), verdicts=verdicts, states=states, before={refs},
                  after={refs}, unread=unread,
                  pending=pending, window=self.window(answer), verified=True if works and sock.connected else None,
                  fields={"how": HOWS[how], "fd": fd, **({} if works else {"errno": "ENOTCONN"})},
                  calls=("shutdown",) if variant == "shutdown" else ("syscall", "shutdown"))
        return True

    def op_unspec(self):
        found = self.pick_descriptor(lambda file: self.is_tcp(file) and not file.calls and not file.unsent)
        if not found:
            return False
        process, fd, sock = found
        states, refs, over = sock.states(), sock.refs, sock.over
        answer = self.do(process, "unspec", fd, context=self.where(False))
        self.expect(answer["ret"] == 0, f"connect to AF_UNSPEC: {answer}")
        self.ending()
        verdicts, pending = self.model.disconnect(sock, "must", process.pid)
        claims = pending or verdicts == {("reset", "disconnect")}
        if over and not sock.listened:
            verdicts = verdicts | {("already", "after-shutdown"), ("none", "peer-reset"), ("none", "over"), ("none", "not-connected")}
        if fd in process.unseen:
            self.soften(sock)
        self.want(process.pid, {"connect", "shutdown", "close"}, sock, via=(process, fd), verdicts=verdicts,
                  states=states, before={refs},
                  after={refs}, pending=pending, least=int(bool(claims)), window=self.window(answer))
        return True

    # Processes

    def new_process(self, actor):
        process = Process(actor.pid)
        process.actor = actor
        process.session = process.index
        return process

    def op_start(self):
        if len(self.processes) >= self.options.actors:
            return False
        process = self.new_process(self.host.start())
        process.session = 0  # the spawner's
        for fd in range(3):
            file = File("other")
            file.name = "null" if fd < 2 else "stderr"
            process.install(fd, file)
        self.processes.append(process)
        return True

    def inherit(self, parent, actor, execs=False):
        child = self.new_process(actor)
        for fd, file in sorted(parent.fds.items()):
            child.install(fd, file, fd in parent.cloexec)
            if file.kind == "tcp" and not execs:
                for indexes in (file.known, file.shut_known):
                    if parent.index in indexes:
                        indexes.add(child.index)
        if not execs:
            child.unseen = set(parent.unseen)
            child.session = parent.session
        return child

    def want_fork(self, process, child, answer, calls, execs=False, closed=(), sure=True):
        most = len(process.socks())
        least = len({file.id for fd, file in process.fds.items() if file.kind == "tcp" and fd not in process.unseen
                     and not (execs and fd in process.cloexec) and fd not in closed})
        self.want(process.pid, "fork", least=int(least > 0 and sure), window=self.window(answer), calls=calls,
                  fields={"child": child, "shared": range(least, most + 1)})

    def op_fork(self):
        if len(self.processes) >= self.options.actors:
            return False
        process = self.pick(self.processes)
        variant = self.pick(("fork", "fork", "_Fork", "syscall"))
        answer = self.do(process, "fork", variant)
        self.expect(answer["ret"] > 0, f"fork: {answer}")
        self.want_fork(process, answer["ret"], answer, None if variant == "syscall" else (variant,),
                       sure=variant != "syscall")
        self.processes.append(self.inherit(process, self.host.actor(answer["ret"])))
        return True

    def op_spawn(self):
        if len(self.processes) >= self.options.actors:
            return False
        process = self.pick(self.processes)
        variant = self.pick(("vfork", "fork", "posix_spawn", "posix_spawnp"))
        actions = []
        if variant.startswith("posix"):
            fds = [fd for fd, file in sorted(process.fds.items()) if file.kind == "tcp"]
            for _ in range(self.rng.randrange(4) if fds else 0):
                fd = self.pick(fds)
                if any(fd == other[1] for other in actions if other[0] == "c"):
                    continue
                actions.append(("d", fd, self.rng.randrange(3, 60)) if self.chance(0.5) else ("c", fd))
        closed = set()
        usable = []
        for action in actions:  # none on what an earlier one has closed
            if action[1] not in closed:
                usable.append(action)
            if action[0] == "c":
                closed.add(action[1])
            else:
                closed.discard(action[2])
        answer = self.do(process, "spawn", variant,
                         *(f"{action[0]}{':'.join(map(str, action[1:]))}" for action in usable))
        self.expect(answer["ret"] > 0, f"{variant}: {answer}")
        pid = answer["ret"]
        self.want_fork(process, pid, answer, (variant,), execs=variant.startswith("posix"),
                       closed=[number for action in usable for number in action[1:]])
        child = self.inherit(process, self.host.actor(pid), execs=True)
        self.goes_beyond(process, [fd for fd in process.fds if fd not in process.cloexec], child.session)
        for action in usable:
            if action[0] == "c":
                if action[1] in child.fds:
                    child.forget(action[1])
            else:
                file = child.fds[action[1]]
                if action[2] in child.fds:
                    child.forget(action[2])
                child.install(action[2], file)
        marked = [fd for fd in sorted(child.fds) if fd in child.cloexec]
        if variant == "fork":
            child.unseen = set(process.unseen)  # until the exec
            self.processes.append(child)
            self.release(child, marked, "exec", calls=("execv",), verified=False)
            self.processes.remove(child)
            child.unseen = set()
        else:
            for sock in child.socks():
                self.want(pid, "exec", sock, least=0, most=9, any_verdict=True)
            self.model.drop([(child, fd) for fd in marked], "none", pid)
        self.processes.append(child)
        return True

    def op_child(self):
        found = self.pick_descriptor(self.is_tcp)
        if not found:
            return False
        process, fd, _ = found
        variant = self.pick(("vfork", "vfork-close", "vfork-exec", "fork-close", "system", "popen"))
        if variant in ("system", "popen") and process.calls:
            # libc blocks SIGCHLD meanwhile; it then goes to the thread in the call, which ends as if interrupted
            variant = "vfork"
        answer = self.do(process, "child", variant, fd)
        self.expect(answer["ret"] >= 0 and answer["status"] == 0, f"child: {answer}")
        calls = (variant.split("-")[0],)
        if variant in ("system", "popen"):
            self.want(process.pid, "fork", least=0, calls=calls)
        else:
            self.want_fork(process, answer["ret"], answer, calls)
        self.step.strangers = True
        return True

    def calm(self, process):
        """Whether the order in which the kernel ends the sockets of a dying process is known, and nobody waits."""
        socks = self.going([*process.fds.values(), *(call.sock for call in process.calls)])
        if not self.orderly(socks):
            return False
        return not process.calls or not any(sock.peer in socks for sock in socks if sock.peer)

    def op_exec(self):
        process = self.pick(self.processes)
        if not self.calm(process):
            return False
        if process.calls and self.chance(0.8):
            return False
        variant = self.pick(("execv", "execve", "execvp", "execvpe", "execl", "execlp", "execle", "execveat", "syscall",
                             "fexecve"))
        context = self.where(False)
        answer = self.do(process, "exec", variant, context=context)
        self.expect(answer.get("resumed") == 1, f"{variant}: {answer}")
        self.ending()
        self.release_all(process, [fd for fd in sorted(process.fds) if fd in process.cloexec], "exec",
                         ("syscall", "execve") if variant == "syscall" else (variant,))
        self.goes_beyond(process, process.fds, -self.steps)
        process.unseen = set()
        process.session = -self.steps
        for sock in process.socks():
            self.want(process.pid, "exec", sock, least=0, most=9)
            sock.known.discard(process.index)
            sock.shut_known.discard(process.index)
        return True

    def release_all(self, process, fds, op, calls, claim="must", least=1):
        """The end of a process or of its program: its calls in progress end as well."""
        stuck = [call.sock for call in process.calls if not call.sock.refs]
        for sock in {sock.id: sock for sock in stuck}.values():
            self.want(process.pid, {op, "release"}, sock, least=0,
                      verdicts=self.model.predicted(sock) or self.model.ended(sock))
        held = [call for call in process.calls if call.sock not in stuck]
        self.model.drop([call for call in process.calls if call.sock in stuck], "may" if claim == "must" else claim,
                        process.pid)
        self.release(process, fds, op, calls=calls, claim=claim, verified=False, least=least, others=held)

    def op_exec_fail(self):
        process = self.pick(self.processes)
        variant = self.pick(("execv", "execve", "execvp", "execvpe", "execl", "execle", "execveat", "syscall",
                             "fexecve"))
        answer = self.do(process, "exec", "fail-" + variant)
        self.expect(answer["ret"] == -1, f"{variant}: {answer}")
        marked = {file.id: file for fd, file in sorted(process.fds.items()) if fd in process.cloexec
                  and file.kind == "tcp" and fd not in process.unseen}
        count = len(marked)
        self.want(process.pid, "exec", least=int(count > 0), most=9, fields={"ret": -1},
                  window=self.window(answer)).any_verdict = True
        self.step.failed_exec = process.pid
        return True

    def op_exit(self):
        if len(self.processes) < 2:
            return False
        process = self.pick(self.processes)
        if not self.calm(process):
            return False
        if process.calls and self.chance(0.5):
            return False
        variant = self.pick((*EXITS, "atexit-close", "exit-flush", "SIGKILL", "SIGTERM", "crash"))
        self.leave(process, variant)
        return True

    def leave(self, process, variant):
        actor = process.actor
        self.ending()
        context = "main"
        if variant in ("exit", "_exit", "quick_exit", "abort", "syscall-exit_group") and not process.calls:
            context = self.where(variant == "_exit")
        if variant == "pthread_exit" and process.calls:
            variant = "_exit"
        fds = sorted(process.fds)
        claim, least, calls = "must", 1, EXITS.get(variant)
        first = None
        if variant in ("SIGKILL", "SIGTERM"):
            actor.kill(9 if variant == "SIGKILL" else 15)
            claim, least = ("none", 0) if variant == "SIGKILL" else ("may", 0)
        elif variant == "crash":
            actor.send("main", "exit", variant)
            claim, least = "may", 0
        elif variant == "atexit-close":
            calls = ("exit",)
            tcp = [fd for fd, file in sorted(process.fds.items()) if file.kind == "tcp"]
            first = self.pick(tcp) if tcp and not process.calls else None
            actor.send("main", "exit", variant if first is not None else "exit", *((first,)
                                                                                   if first is not None else ()))
        elif variant == "exit-flush":
            calls = ("exit",)
            good = [fd for fd, file in sorted(process.fds.items()) if self.is_connected(file) and not file.over
                    and not file.shut_wr and not file.unsent and not file.peer.released and not file.peer.calls
                    and not (file.peer.shut_rd and file.peer.shut_wr) and file.peer not in process.socks()]
            if good and not process.calls:
                fd = self.pick(good)
                sock = process.fds[fd]
                n = self.rng.randrange(1, 40)
                actor.send("main", "exit", variant, fd, n)
                self.model.deliver(sock, n)
            else:
                actor.send("main", "exit", "exit")
        else:
            actor.send(context, "exit", variant)
        if variant == "pthread_exit":
            # libc counts its threads wrong in the child of a _Fork() or a raw clone: the last one then ends by a
            # system call of libc's own, and nothing that exit() would run is run
            claim, least = "may", 0
        if not actor.ended():
            raise Mismatch(f"process {process.pid} does not end:\n{actor.describe()}")
        if first is not None:
            self.release(process, [first], "close", calls=("close",))
            fds.remove(first)
        self.release_all(process, fds, "exit", calls, claim, least)
        self.processes.remove(process)
        actor.forget()

    # unix sockets

    def op_channel(self):
        if len({file.id for _, _, file in self.descriptors(lambda file: file.kind == "unix")}) >= 6:
            return False
        kind = self.pick((socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM))
        pair = socket.socketpair(socket.AF_UNIX, kind)
        ends = []
        for sock in pair:
            process = self.pick(self.processes)
            answer = self.do(process, "takefd", fd=sock.fileno())
            self.expect(answer["ret"] == process.lowest(), f"recvmsg: {answer}")
            end = Unix(answer["inode"])
            process.install(answer["ret"], end)
            ends.append(end)
            sock.close()
        ends[0].peer, ends[1].peer = ends[1], ends[0]
        return True

    def op_send_fd(self):
        found = self.pick_descriptor(lambda file: file.kind == "unix" and not file.peer.dead
                                     and len(file.peer.queue) < 4)
        if not found:
            return False
        process, number, end = found
        fds = [fd for fd, file in sorted(process.fds.items()) if file.kind == "tcp"]
        if not fds:
            return False
        passed = [self.pick(fds) for _ in range(self.pick((1, 1, 2, 3)))]
        variant = self.pick(("sendmsg", "sendmsg", "sendmmsg"))
        answer = self.do(process, "sendfd", variant, number, *passed)
        self.expect(answer["ret"] == 1, f"{variant}: {answer}")
        files = [process.fds[fd] for fd in passed]
        for sock in {file.id: file for file in files}.values():
            count = sum(file is sock for file in files)
            seen = any(process.fds[fd] is sock and fd not in process.unseen for fd in passed)
            self.want(process.pid, "send_fd", sock, least=int(seen), most=count, before={sock.refs},
                      after={sock.refs + count}, calls=(variant,),
                      window=self.window(answer))
        for sock in files:
            sock.flights += 1
        for want in self.step.wants:
            want.raw = self.raw_descriptors(want.sock, process.pid)  # some of the copies may be of descriptors that came unseen
        end.peer.queue.append(Message(files, process.session))
        return True

    def op_recv_fd(self):
        found = self.pick_descriptor(lambda file: file.kind == "unix" and file.queue)
        if not found:
            return False
        process, number, end = found
        variant = self.pick(("recvmsg", "recvmsg", "recvmmsg", "cloexec", "peek", "cut", "read"))
        message = end.queue[0] if variant == "peek" else end.queue.pop(0)
        answer = self.do(process, "recvfd", variant, number)
        if answer["ret"] == -1 and answer["errno"] == 104:  # the other end left with something unread: said once
            answer = self.do(process, "recvfd", variant, number)
        self.expect(answer["ret"] == 1, f"{variant}: {answer}")
        got = [int(fd) for fd in answer.get("fds", "").split(",") if fd]
        count = {"cut": 1, "read": 0}.get(variant, len(message))
        self.expect(len(got) == count, f"{variant}: {answer}")
        before = {sock.id: sock.refs for sock in message}
        for fd, sock in zip(got, message):
            self.expect(fd == process.lowest(), f"{variant}: fd {fd}, not {process.lowest()}")
            process.install(fd, sock, variant == "cloexec")
            sock.known.discard(process.index)  # what the library knows, it knows by descriptor
        dropped = []
        if variant != "peek":
            for sock in message:
                sock.doubtful += message.session != process.session  # the sender's session may count it still
            for sock in message[count:]:
                sock.doubtful += message.session == process.session
            for sock in message[:count]:
                sock.flights -= 1
            dropped = message[count:]
            self.model.drop(dropped[::-1], "may", process.pid)
        for sock in {sock.id: sock for sock in message}.values():
            arrived = sum(file is sock for file in message[:count])
            after = {before[sock.id], sock.refs} | ({before[sock.id] + arrived} if variant == "peek" else set())
            if variant != "peek" and not dropped:
                after = {before[sock.id]}
            self.want(process.pid, "recv_fd", sock, least=int(arrived > 0), most=arrived, before=None, after=after,
                      window=self.window(answer))
            self.want(process.pid, "release", sock, least=0, verdicts=PURGES)
        return True

    # After a move

    def collect(self):
        """The packets of this move: all that must come, waited for, and whatever else is there."""
        step, expected = self.step, self.model.segments
        step.packets += self.early + self.capture.read()
        self.early = []
        end = time.monotonic() + 3
        while True:
            there = {(packet.src, packet.dst, packet.kind) for packet in step.packets}
            if all((segment.src, segment.dst, segment.kind) in there for segment in expected if segment.sure):
                return
            if time.monotonic() > end:
                return
            step.packets += self.capture.read(0.05)

    def check_packets(self):
        step, wrong = self.step, []
        left = list(self.model.segments)
        self.matched = []
        for packet in step.packets:
            for segment in left:
                if (segment.src, segment.dst, segment.kind) == (packet.src, packet.dst, packet.kind):
                    left.remove(segment)
                    self.matched.append((packet, segment))
                    if segment.sock.fin_queued and segment.kind == "FIN":
                        self.model.queued_fin_left(segment.sock)
                    break
            else:
                sock = self.model.ends.get((packet.src, packet.dst))
                if sock and packet.kind == "RST" and sock.fin_sent and sock.fin_received and sock.peer.over:
                    self.strays += 1  # the peer, in TIME_WAIT, now and then acknowledges a FIN twice
                elif sock and packet.kind == "RST" and sock.reset == "peer" and sock.released and any(
                        (other.src, other.dst, other.kind) == (packet.dst, packet.src, "RST")
                        and other.time <= packet.time for other in step.packets):
                    self.strays += 1  # a delayed acknowledgement of the peer's has crossed its RST, and found nobody
                elif sock and sock.fin_queued and packet.kind == "FIN":
                    self.model.queued_fin_left(sock)
                    self.model.emit(sock, "FIN", "queued", None)
                    self.matched.append((packet, self.model.segments[-1]))
                else:
                    wrong.append(f"nobody expected {packet.kind} {packet.src} > {packet.dst}: {sock}")
        for segment in left:
            if segment.sure:
                wrong.append(f"never seen: {segment}")
        return wrong

    def check_proc(self):
        wrong = []
        for process in self.processes:
            links = process.actor.fds()
            for fd, file in process.fds.items():
                link = links.pop(fd, None)
                if link is None:
                    wrong.append(f"process {process.pid}: no fd {fd} ({file.name}#{file.id})")
                elif file.kind in ("tcp", "unix") and link != f"socket:[{file.inode}]":
                    wrong.append(f"process {process.pid}: fd {fd} is {link}, not {file.inode} ({file.name}#{file.id})")
            links.pop(CONTROL, None)
            if len(links) > 2 or any(fd < CONTROL for fd in links):
                wrong.append(f"process {process.pid}: more than it should have: {links}")
        return wrong

    def check_log(self):
        step = self.step
        end = time.monotonic() + (2 if self.options.run else 0.3)
        first = 0
        while True:
            fresh = self.log.read()
            step.events += [event for event in fresh if event.get("op") not in ("start", "end", "rule", "finding")]
            for event in fresh:
                if event.get("op") == "end" and event.get("lost"):
                    raise Mismatch(f"events were lost: {event}")
            for event in step.events[first:]:
                event["_want"] = next((want for want in step.wants if want.takes(event) and self.fits(want, event)),
                                      None)
                if event["_want"]:
                    event["_want"].events.append(event)
            first = len(step.events)
            if all(len(want.events) >= want.least for want in step.wants) or time.monotonic() > end:
                break
            time.sleep(0.002)
        return self.check_wants() + self.check_claims()

    def fits(self, want, event):
        """Fork events of one process in one move, and takings back, are told apart by what they say."""
        for key in ("child", "ret"):
            if want.sock is None and key in want.fields and event.get(key) != want.fields[key]:
                return False
        return True

    def check_wants(self):
        wrong = []
        actors = {process.pid for process in self.processes}
        for want in self.step.wants:
            if want.window and want.window[1] is None:
                want.window = (want.window[0], self.step.ended)
            if self.step.woken:
                want.verified = None
            wrong += want.check()
        for event in self.step.events:
            claims = Want.claims(event) or event.get("pending")
            if event["_want"] is None:
                if self.step.strangers and event.get("pid") not in actors and not claims:
                    continue
                if event.get("pid") == self.step.failed_exec and event.get("op") == "exec":
                    continue
                wrong.append(f"unexpected event: {self.show(event)}")
            if "fin" in event:
                key = f"{event['op']}: {event['fin']}/{event.get('why')}"
                self.verdicts[key] = self.verdicts.get(key, 0) + 1
        return wrong

    def check_claims(self):
        """Straight from the packets to the events, without the wants."""
        step, wrong = self.step, []
        claims = []
        for event in step.events:
            if event.get("op") == "exec" and event.get("pid") == step.failed_exec:
                continue
            if event.get("fin") in CLAIMS:
                claims.append((event, CLAIMS[event["fin"]]))
            elif event.get("fin") == "queued":
                self.standing[event.get("socket")] = event
                if Want.claims(event):
                    claims.append((event, "QUEUED"))
        for packet, segment in self.matched:
            mine = [(event, kind) for event, kind in claims if event.get("local") == packet.src
                    and event.get("remote") == packet.dst and (kind == packet.kind or (kind == "QUEUED"
                                                                                       and packet.kind == "FIN"))]
            for claim in mine:
                claims.remove(claim)
            text = f"{packet.kind} {packet.src} > {packet.dst} at {packet.time:.6f}"
            wrong += [f"{text}: had left its queue before {self.show(event)}" for event in step.events
                      if event.get("fin") == "queued" and event.get("socket") == str(segment.sock.cookie)
                      and packet.time < event["time"] - 2e-5]
            cookie = str(segment.sock.cookie)
            if segment.claim == "listener":
                mine = []
            elif segment.claim == "none" and mine:
                wrong.append(f"{text}: no call made it, yet it is claimed: {[self.show(event) for event, _ in mine]}")
            elif segment.claim == "queued":
                if cookie not in self.standing and segment.sock.fin_announced:
                    wrong.append(f"{text}: left its queue, and nobody had said that it would")
                mine = []
            elif segment.claim == "must" and not mine and self.is_wiped_out(packet, segment):
                pass
            elif segment.claim == "must" and len(mine) != 1 or len(mine) > 1:
                wrong.append(f"{text}: claimed {len(mine)} times: {[self.show(event) for event, _ in mine]}")
            for event, kind in mine:
                if segment.pid and event.get("pid") != segment.pid:
                    wrong.append(f"{text}: claimed by process {event.get('pid')}, made by {segment.pid}")
                if event.get("op") == "release":
                    continue
                if kind == "QUEUED":
                    continue
                late = packet.time - event.get("time", 0)
                longest = event.get("duration", 0) + 0.002 if event["op"] in ("close", "shutdown", "connect") else 30
                if event.get("why") == "linger2":
                    longest += 1
                if not -2e-5 <= late <= longest:
                    wrong.append(f"{text}: {late:.6f} s after its event's time, which lasted {event.get('duration')}: "
                                 f"{self.show(event)}")
        for event, kind in claims:
            if event.get("socket") in step.forgiven or Want.cannot_know(event):
                continue
            if kind != "QUEUED" and not (event.get("op") == "release" and str(event.get("socket")) in self.standing):
                wrong.append(f"claims a {kind} that never left: {self.show(event)}")
        return wrong

    def is_wiped_out(self, packet, segment):
        """Whether a thread that let go of its connection could not know that this FIN was its doing: an RST straight
        after it (the answer to a second acknowledgement of TIME_WAIT's) has wiped out the peer's end, by which the
        library tells a FIN from an RST. Then it must have said that it cannot be sure."""
        said = [event for event in self.step.events if event.get("op") == "release" and Want.cannot_know(event)
                and event.get("socket") == str(segment.sock.cookie)]
        self.early += self.capture.read()
        return said and any((other.src, other.dst, other.kind) == (packet.src, packet.dst, "RST")
                            and other.time >= packet.time for other in self.step.packets + self.early)

    @staticmethod
    def show(event):
        return " ".join(f"{key}={value}" for key, value in event.items() if key not in ("_want", "caller"))

    # Walking

    MOVES = {
        "connect": 22, "accept": 6, "listen": 2, "socket": 2, "null": 1, "epoll": 1, "dup": 9, "cloexec": 3,
        "linger": 3, "linger2": 1, "write": 9, "read": 6, "drain": 5, "fill": 0.4, "block": 4, "wake": 2,
        "close": 26, "close_data": 3, "close_range": 3, "closefrom": 1, "shutdown": 12, "unspec": 1.5,
        "start": 3, "fork": 3, "spawn": 2, "child": 2, "exec": 2.5, "exec_fail": 1, "exit": 4,
        "channel": 2, "send_fd": 6, "recv_fd": 6,
    }
    MAKERS = {"connect", "dup", "fork", "spawn", "send_fd", "accept"}

    def one(self):
        """One move, and the accounts held against each other."""
        self.steps += 1
        self.model.segments = []
        self.step = step = Step(self.steps)
        step.before = self.picture()
        names = self.options.moves
        crowded = len(self.descriptors(self.is_tcp)) > self.options.crowd
        old = [sock for sock in self.socks() if sock.peer and sock.peer.unsent and sock.connected and not sock.calls
               and self.steps - sock.peer.filled_at > 12]
        if old:
            step.text = "drain"
            self.drain(*self.pick_descriptor(lambda file: file is old[0]))
        else:
            while True:
                name = self.rng.choices(names, [self.MOVES[name] * (0.1 if crowded and name in self.MAKERS else 1)
                                                for name in names])[0]
                step.text = name
                if getattr(self, "op_" + name)():
                    break
        self.verify()
        self.tally[step.text] = self.tally.get(step.text, 0) + 1

    def verify(self):
        step = self.step
        self.settle()
        self.collect()
        wrong = self.check_packets()
        self.settle()  # a queued FIN may have left
        step.ended = time.time()
        wrong += self.check_proc()
        if self.log:
            untrue = self.check_log()
            if self.options.go_on and not wrong:
                self.note_untrue(untrue)
            else:
                wrong += untrue
        if wrong:
            raise Mismatch("\n  ".join(wrong))
        if self.record:
            self.record_events()
        self.endings += step.endings
        self.segments += len(step.packets)
        if self.options.verbose:
            print(f"{step.number}: {step.text}" + "".join(f"\n        {packet}" for packet in step.packets)
                  + "".join(f"\n        {self.show(event)}" for event in step.events))

    # What differs from one walk to the other of the same seed: names, times, the order in which holders are found, and
    # what an acknowledgement changes that comes a little later.
    UNSTEADY = {"time", "duration", "caller", "tid", "state_after", "unacked", "unsent", "sent", "received", "idle",
                "peer_state"}
    SAME = {"FIN_WAIT2": "FIN_WAIT1", "TIME_WAIT": "CLOSE", "LAST_ACK": "CLOSE", "CLOSING": "CLOSE"}

    def steady(self, value, kind):
        """The name's number, by the order of coming."""
        return self.names.setdefault((kind, value), f"{kind}{len(self.names)}")

    def record_events(self):
        """The events of this move as they should be in every walk of this seed."""
        for process in self.processes:
            self.steady(process.pid, "process")
        lines = []
        for event in sorted(self.step.events, key=lambda event: event["tid"] != event["pid"]):  # threads last
            kept = {key: value for key, value in event.items() if key not in self.UNSTEADY and key != "_want"}
            for key, kind in (("pid", "process"), ("child", "process"), ("socket", "socket")):
                if key in kept:
                    kept[key] = self.steady(kept[key], kind)
            for key in {"local", "remote"} & kept.keys():  # the walk has held them against the model's
                kept[key] = "address"
            if "state_before" in kept:
                kept["state_before"] = self.SAME.get(kept["state_before"], kept["state_before"])
                if kept["state_before"] == "CLOSE":  # how it came to that the kernel does not say
                    kept["fin"], kept["why"] = "over", "over"
            if kept["op"] == "fork" and kept.get("ret", 0) > 0:
                kept["ret"] = kept["child"]
            for holder in kept.get("holders", []):
                holder["pid"] = self.steady(holder["pid"], "process")
                holder.pop("tid", None)
            kept.get("holders", []).sort(key=lambda holder: (holder["pid"], holder.get("fd", -1)))
            lines.append(json.dumps(kept, sort_keys=True))
        self.record.write(f"move {self.step.number}: {self.step.text}\n" + "".join(f"  {line}\n" for line in lines))

    def note_untrue(self, untrue):
        """What is wrong with the log, each kind of it reported once."""
        for text in untrue:
            kind = re.sub(r"\d+|\[[^]]*\]", "N", text.split("\n")[0].split(": time=")[0])
            kind = f"{self.step.text}: {kind}"
            if kind not in self.untrue:
                self.report(text)
            self.untrue[kind] = self.untrue.get(kind, 0) + 1

    def picture(self):
        return [str(process) for process in self.processes] + [f"  {file}" for file in self.all_files()]

    def all_files(self):
        files = {}
        for process in self.processes:
            for _, file in sorted(process.fds.items()):
                files.setdefault(file.id, file)
            for call in process.calls:
                files.setdefault(call.sock.id, call.sock)
        for file in list(files.values()):
            for message in getattr(file, "queue", []) if file.kind == "unix" else []:
                for sock in message:
                    files.setdefault(sock.id, sock)
        return [files[key] for key in sorted(files) if files[key].kind == "tcp"]

    def report(self, error):
        step = self.step
        log = self.log.read() if self.log else []
        print(f"\nMISMATCH: seed {self.options.seed}, move {step.number} ({step.text}), "
              f"actors {self.options.actors}\n  {error}")
        sections = (
            ("what was said", step.notes), ("before", step.before), ("after", self.picture()),
            ("expected segments", self.model.segments), ("packets", step.packets), ("wanted events", step.wants),
            ("events", [self.show(event) for event in step.events]), ("events after that",
                                                                      [self.show(event) for event in log]),
        )
        for title, lines in sections:
            print(f"{title}:")
            for line in lines:
                print(f"    {line}")
        print(f"stderr: {self.host.stderr() if self.host else ''}")
        print(f"again: {self.options.again}")

    def finish(self):
        """Everybody goes, in the ways that there are."""
        ways = [*EXITS, "SIGKILL"]
        while self.processes:
            self.steps += 1
            self.model.segments = []
            self.step = Step(self.steps)
            self.step.before = self.picture()
            self.step.text = "the end"
            candidates = [process for process in self.processes if self.calm(process)]
            process = self.pick(candidates) if candidates else self.processes[0]
            self.leave(process, self.pick(ways) if candidates else "SIGKILL")
            if not candidates:
                return  # in an order that nobody knows
            self.verify()

    def run(self):
        began = time.monotonic()
        try:
            self.start()
            self.one_by_name("start")
            while self.endings < self.options.count:
                self.one()
            self.finish()
        except (Mismatch, Trouble) as error:
            self.report(error)
            return 1
        finally:
            self.end()
        took = time.monotonic() - began
        if self.untrue:
            print("\nWRONG in the log, by kind:")
            for kind, count in sorted(self.untrue.items()):
                print(f"  {count:6} {kind}")
            return 1
        print(f"seed {self.options.seed}: {self.endings} endings, {self.steps} moves, {self.segments} FIN and RST, "
              f"{self.log.lines if self.log else 0} log lines agree; {took:.1f} s")
        if self.options.tally:
            for name, count in sorted({**self.tally, **self.verdicts}.items()):
                print(f"  {count:6} {name}")
        return 0

    def one_by_name(self, name):
        self.step = Step(0)
        self.step.text = name
        getattr(self, "op_" + name)()
        self.verify()


def arguments():
    parser = argparse.ArgumentParser(description="Random walk through the ways to end a TCP connection.")
    parser.add_argument("--seed", type=int, help="of everything random (default: a new one, printed)")
    parser.add_argument("--count", type=int, default=2000, help="how many calls that end something (2000)")
    parser.add_argument("--actors", type=int, default=6, help="how many processes at most (6)")
    parser.add_argument("--crowd", type=int, default=60, help="above so many TCP descriptors fewer are made (60)")
    parser.add_argument("--jobs", type=int, default=1, help="walks at once, with seeds that follow each other (1)")
    parser.add_argument("--ops", help=f"only these moves (of {','.join(Walk.MOVES)})")
    parser.add_argument("--not-ops", help="all moves but these")
    parser.add_argument("--no-raw", action="store_true", help="no system calls past libc")
    parser.add_argument("--no-log", action="store_true", help="without closetrace: the model against the kernel")
    parser.add_argument("--library", default=os.path.join(TOP, "libclosetrace.so"))
    parser.add_argument("--exact", action="store_true",
                        help="the library has no ledger: its counts are right after raw system calls too")
    parser.add_argument("--run", metavar="CLOSETRACE", help="start the actors with this `closetrace` command's run")
    parser.add_argument("--actor", default=os.path.join(TOP, "build/tests/programs/walk_actor"))
    parser.add_argument("--record", metavar="FILE", help="write the log there as every walk of this seed should have it")
    parser.add_argument("--go-on", action="store_true", help="report each kind of mistake in the log once, and go on")
    parser.add_argument("--tally", action="store_true", help="show how often each move and verdict came")
    parser.add_argument("--verbose", action="store_true", help="show each move")
    parser.add_argument("--keep", action="store_true", help="keep the folder with log and stderr")
    options = parser.parse_args()
    options.library, options.actor = os.path.abspath(options.library), os.path.abspath(options.actor)
    options.moves = options.ops.split(",") if options.ops else list(Walk.MOVES)
    if options.not_ops:
        options.moves = [move for move in options.moves if move not in options.not_ops.split(",")]
    unknown = set(options.moves) - set(Walk.MOVES)
    if unknown:
        parser.error(f"no such move: {', '.join(sorted(unknown))}")
    for path in [options.actor] + ([] if options.no_log or options.run else [options.library]):
        if not os.path.exists(path):
            parser.error(f"{path} is not there: build it first")
    return options


def several(options):
    """Walks at once, each a process of its own."""
    rest = [word for word in sys.argv[1:]]
    walks = []
    for i in range(options.jobs):
        command = [sys.executable, __file__, *rest, "--jobs", "1", "--seed", str(options.seed + i)]
        walks.append(subprocess.Popen(command))
    return max([walk.wait() for walk in walks])


def main():
    options = arguments()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 31)
    if options.jobs > 1:
        return several(options)
    again = [word for word in sys.argv if not word.startswith("--seed=")]
    if "--seed" in again:
        del again[again.index("--seed"):again.index("--seed") + 2]
    options.again = " ".join([*again, "--seed", str(options.seed)])
    print(f"walk: seed {options.seed}", flush=True)
    return Walk(options).run()


if __name__ == "__main__":
    sys.exit(main())
