#!/usr/bin/env python3
"""A walk on which all go at once: what closetrace says when many processes end the same connections at one moment.

    tests/walk/throng.py [--seed N] [--count N] [--actors N] [--jobs N] [--library LIB] [--no-log] [--tally] [--verbose]

Up to eight actors (tests/programs/walk_actor.c), traced, share connections in a network namespace of their own. In
each round every actor gets some calls to make and makes them while the others make theirs: connect, accept, dup,
write, read, shut down, close, fork, exit. Now and then SIGKILL hits one of them wherever it happens to be. When all
have answered, the round is judged. In which order things happened nobody knows: each call has an interval, and what
is held against the log must be true of every order that the intervals leave open:

  - each FIN and RST on lo is claimed by exactly one event, of a process whose call was going on when it left and ends
    the stream (or that let go at the same moment as an exit which sent it); by none only where SIGKILL or an answer to
    late data may have sent it;
  - no event claims one that is not there; what is verified is never wrong, and it is verified where nobody interfered;
  - each count of references lies within what the intervals allow, and is exact and not marked as a lower bound where
    they allow one number; holders are the true ones there.

The calls come of the seed, their order in time does not.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from host import Capture, Host, Log, Trouble, own_network
from model import Process

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLACK = 5e-5  # two clocks, read one after the other
ENDS = {"close", "shutdown", "exit"}
CLAIMS = {"sent": "FIN", "queued": "FIN", "reset": "RST"}


class End:
    """One end of a connection, or a listener. Between two rounds all of this is certain."""

    def __init__(self, answer, listener=False):
        self.cookie, self.local, self.remote = str(answer["cookie"]), answer["local"], answer.get("remote")
        self.listener, self.peer = listener, None
        self.fin = self.over = self.released = self.shut_rd = False
        self.linger = False
        self.rx = 0  # bytes that are unread
        self.unsure = False  # somebody was killed in a call that wrote or read some

    def __str__(self):
        return f"{self.local}->{self.remote} cookie {self.cookie}"


class Act:
    """One call: what it does to whose descriptors, and between which moments."""

    def __init__(self, actor, name, words, end=None, fd=None, gone=None, come=(), note=None):
        self.actor, self.name, self.words, self.end, self.fd = actor, name, words, end, fd
        self.gone, self.come, self.note = gone, come, note  # End that loses a reference, Ends that get one
        self.begin, self.until, self.answer, self.ident = 0.0, float("inf"), None, None

    def overlaps(self, begin, until):
        return self.begin <= until + SLACK and self.until >= begin - SLACK

    def __str__(self):
        return (f"{self.actor.pid}: {self.name} {' '.join(map(str, self.words))} on {self.end} "
                f"[{self.begin:.6f}, {self.until:.6f}] {self.answer}")


class Throng:
    def __init__(self, options):
        self.options, self.rng = options, random.Random(options.seed)
        self.folder = tempfile.mkdtemp(prefix="throng.")
        self.host = self.log = None
        self.actors, self.ends = [], {}  # ends: (local, remote) -> End
        self.rounds = self.endings = self.segments = self.kills = 0
        self.tally = {}
        self.acts, self.deaths, self.notes = [], {}, []
        self.killed = set()  # of the deaths, those by SIGKILL

    def start(self):
        own_network()
        for name, value in (("ip_local_port_range", "1024 65535"), ("tcp_fin_timeout", "3600")):
            with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:
                file.write(value)
        self.capture = Capture()
        environment = {key: value for key, value in os.environ.items()
                       if key != "LD_PRELOAD" and not key.startswith("CLOSETRACE_")}
        if not self.options.no_log:
            path = os.path.join(self.folder, "log")
            environment.update(LD_PRELOAD=self.options.library, CLOSETRACE_OUTPUT=path, CLOSETRACE_FORMAT="json")
            self.log = Log(path)
        self.host = Host(self.folder, self.options.actor, environment, [], self.notes.append)

    # Who acts

    def enlist(self, actor, parent=None):
        process = Process(actor.pid)
        process.actor, process.listener = actor, None
        process.fds = dict(parent.fds) if parent else {fd: None for fd in range(3)}
        process.start = {}  # its descriptors when the round began
        process.base = {}  # and how many of them an End had
        self.actors.append(process)
        return process

    def call(self, process, name, *words, **more):
        """Queues a call; it is made with all others of the round."""
        act = Act(process, name, words, **more)
        self.acts.append(act)
        return act

    # What they do. Each changes the actor's own table, which nobody else does.

    def tcp(self, process, test=lambda end: True):
        return [(fd, end) for fd, end in sorted(process.fds.items()) if isinstance(end, End) and test(end)]

    def pick(self, items):
        return items[self.rng.randrange(len(items))] if items else None

    def do_pair(self, process):
        if not process.listener or len(process.fds) > 30:
            return
        port = int(process.listener.local.rsplit(":", 1)[1])
        for name, words in (("connect", ("v4", port, 0, 0)), ("accept", ("accept4", process.listener_fd))):
            fd = process.lowest()
            process.fds[fd] = self.call(process, name, *words, fd=fd)

    def do_dup(self, process):
        found = self.pick(self.tcp(process))
        if not found or len(process.fds) > 30:
            return
        fd, end = found
        variant = self.pick(("dup", "F_DUPFD", "dup2", "dup2-over", "syscall-dup"))
        gone = None
        if variant == "dup2-over":  # another end's number
            others = self.tcp(process, lambda other: other is not end and not other.listener)
            if not others:
                return
            new, gone = self.pick(others)
            self.call(process, "dup", "dup2", fd, new, end=end, fd=new, gone=gone, come=(end,))
        else:
            new = process.lowest() if variant in ("dup", "syscall-dup") else process.lowest(self.rng.randrange(5, 60))
            self.call(process, "dup", variant, fd, *(() if variant in ("dup", "syscall-dup") else (new,)), end=end,
                      fd=new, come=(end,))
        process.fds[new] = end

    def do_close(self, process, found=None):
        found = found or self.pick(self.tcp(process, lambda end: end is not process.listener))
        if not found:
            return
        fd, end = found
        variant = self.pick(("close", "close", "close", "syscall", "fclose", "dup2-file", "close_range"))
        words = (fd,) if variant == "close_range" else ()
        self.call(process, "close", variant, fd, *words, end=end, fd=fd, gone=end)
        del process.fds[fd]

    def do_shutdown(self, process, found=None):
        found = found or self.pick(self.tcp(process, lambda end: not end.listener))
        if found:
            self.call(process, "shutdown", "shutdown", found[0], self.pick((1, 1, 1, 2)), end=found[1], fd=found[0])

    def do_write(self, process):
        found = self.pick(self.tcp(process, lambda end: not end.listener))
        if found:
            self.call(process, "write", self.pick(("write", "send", "writev")), found[0], self.rng.randrange(1, 60),
                      end=found[1], fd=found[0])

    def do_drain(self, process):
        found = self.pick(self.tcp(process, lambda end: not end.listener))
        if found:
            self.call(process, "drain", found[0], 0, end=found[1], fd=found[0])

    def do_linger(self, process):
        found = self.pick(self.tcp(process, lambda end: not end.listener))
        if found:
            self.call(process, "linger", found[0], 1, 0, end=found[1], fd=found[0])

    def do_fork(self, process):
        room = self.options.actors - len(self.actors) - sum(act.name == "fork" for act in self.acts)
        if room > 0:
            ends = tuple(end for _, end in self.tcp(process))
            self.call(process, "fork", self.pick(("fork", "fork", "_Fork")), come=ends, note=dict(process.fds))

    def do_exit(self, process):
        """The last that it does."""
        self.call(process, "exit", self.pick(("exit", "_exit", "return", "syscall-exit_group", "abort")))
        process.fds = {}

    WEIGHTS = {"pair": 10, "dup": 12, "close": 26, "shutdown": 5, "write": 8, "drain": 6, "linger": 1, "fork": 4}

    def plan_rush(self):
        """Mostly, all who share a connection begin with the same: they close it, or shut it down."""
        sharers = {}
        for process in self.actors:
            for fd, end in self.tcp(process, lambda end: end is not process.listener):
                sharers.setdefault(end, []).append((process, fd))
        shared = [end for end, found in sharers.items() if len({process for process, _ in found}) > 1]
        if not shared or self.rng.random() < 0.3:
            return
        end = self.pick(shared)
        how = self.do_shutdown if not end.listener and self.rng.random() < 0.25 else self.do_close
        for process, fd in sharers[end]:
            how(process, (fd, end))

    def plan(self):
        """Everybody's calls of this round; who is killed. New connections have ends from the next round on."""
        names = list(self.WEIGHTS)
        self.plan_rush()
        victim = self.pick(self.actors) if len(self.actors) > 2 and self.rng.random() < 0.3 else None
        for process in self.actors:
            if not process.listener:
                fd = process.lowest()
                process.fds[fd] = self.call(process, "listen", "v4", 16, 0, fd=fd)
                continue
            for _ in range(self.rng.randrange(1, 5)):
                name = self.rng.choices(names, list(self.WEIGHTS.values()))[0]
                if process is not victim or name in ("dup", "close", "shutdown", "write", "drain"):
                    getattr(self, "do_" + name)(process)
            if process is not victim and len(self.actors) > 2 and self.rng.random() < 0.04:
                self.do_exit(process)
        return victim

    # The round

    def round(self):
        self.rounds += 1
        self.acts, self.deaths, self.notes[:] = [], {}, []
        self.killed = set()
        while len(self.actors) < max(2, self.options.actors - 2):
            self.enlist(self.host.start())
        for process in self.actors:
            process.start = dict(process.fds)
            process.base = self.counts(process.fds)
        victim = self.plan()
        self.before = {end: (end.fin, end.over, end.rx, end.linger, end.shut_rd) for end in self.ends.values()}
        self.perform(victim)
        self.capture_all()
        wrong = self.judge()
        self.carry_on()
        return wrong

    @staticmethod
    def counts(fds):
        counts = {}
        for end in fds.values():
            if isinstance(end, End):
                counts[end] = counts.get(end, 0) + 1
        return counts

    def perform(self, victim):
        order = list(self.acts)
        pause = self.rng.random() * 0.0015
        began = time.time()
        for act in order:
            act.begin = began
            act.ident = act.actor.actor.send("main", act.name, *act.words)
        if victim:
            end = time.monotonic() + pause
            while time.monotonic() < end:
                pass
            self.deaths[victim] = (time.time(), None)
            self.killed = {victim}
            victim.actor.kill(9)
            self.kills += 1
            self.endings += 1
        for act in order:
            if act.name == "exit":
                self.await_death(act.actor, act)
            else:
                self.await_answer(act, act.actor is victim)
        if victim:
            self.await_death(victim)

    def await_death(self, process, act=None):
        if not process.actor.ended():
            raise Trouble(f"process {process.pid} does not end:\n{process.actor.describe()}")
        began = self.deaths.get(process, (act.begin if act else 0, None))[0]
        mine = [other for other in self.acts if other.actor is process and other is not act]
        if act:
            act.begin = began = max([began, *(other.until for other in mine)])
            act.until = time.time()
            self.endings += 1
        self.deaths[process] = (began, time.time())

    def await_answer(self, act, killed):
        act.answer = act.actor.actor.last_answer(act.ident) if killed else act.actor.actor.answer(act.ident)
        if act.answer is None:  # it may have happened or not, after those that were answered
            act.begin = max([act.begin, *(other.until for other in self.acts if other.actor is act.actor and other.answer)])
            return
        if "t0" in act.answer:
            act.begin, act.until = act.answer["t0"] / 1e9, act.answer["t1"] / 1e9
        else:
            act.until = time.time()
        self.endings += act.name in ("close", "shutdown") or act.gone is not None

    def capture_all(self):
        self.capture.settle()
        self.packets = self.capture.read()
        self.events = []
        if self.log:
            self.events = [event for event in self.log.read() if event["op"] not in ("start", "end")]
            for pid in self.log.torn:
                if pid not in [process.pid for process in self.deaths]:
                    raise Trouble(f"a line of process {pid} is cut off, which was not killed")
            self.log.torn.clear()

    # How it stands afterwards

    def known(self, act):
        """New ends, from what the calls answered."""
        if act.name not in ("connect", "accept", "listen") or not act.answer:
            return
        end = End(act.answer, act.name == "listen")
        act.end, act.come = end, (end,)
        for process in self.actors:
            for fd, there in process.fds.items():
                if there is act:
                    process.fds[fd] = end
        for other in self.acts:  # a child that was forked later in the round has it as well
            for fd in [fd for fd, there in (other.note or {}).items() if there is act]:
                other.note[fd] = end
                other.come += (end,)
        if act.name == "listen":
            act.actor.listener, act.actor.listener_fd = end, act.fd
            return
        self.ends[(end.local, end.remote)] = end
        self.before[end] = (False, False, 0, False, False)
        other = self.ends.get((end.remote, end.local))
        if other:
            end.peer, other.peer = other, end

    def carry_on(self):
        for act in self.acts:
            if act.name == "fork" and act.answer:
                child = self.enlist(self.host.actor(act.answer["ret"]))
                child.fds = dict(act.note)
        for process in self.deaths:
            self.actors.remove(process)
            process.actor.forget()
        held = {end for process in self.actors for end in process.fds.values() if isinstance(end, End)}
        for end in list(self.ends.values()):
            end.released = end not in held
            if end.released and (end.peer is None or end.peer.released or end.over):
                if end.peer is None or end.peer.released:
                    del self.ends[(end.local, end.remote)]

    # Counting: per actor an exact sequence, among actors only intervals

    def timeline(self, process, end):
        """(begin, until, how many afterwards) of each change that a process makes to its references to the end."""
        count = process.base.get(end, 0)
        line = [(0, 0, count)]
        for act in self.acts:
            if act.actor is not process or act.name == "fork":
                continue
            change = sum(come is end for come in act.come) - (act.gone is end)
            if change:
                count += change
                line.append((act.begin, act.until, count))
        if process in self.deaths:
            line.append((*self.deaths[process], 0))
        return line

    def forked(self, end, begin, until):
        """References of children made in this round."""
        low = high = 0
        for act in self.acts:
            if act.name == "fork":
                count = sum(come is end for come in act.come)
                low += count if act.until < begin - SLACK else 0
                high += count if act.begin <= until + SLACK else 0
        return low, high

    def others(self, process, end, begin, until):
        """Between how many references all others may have had to the end in that time."""
        low, high = self.forked(end, begin, until)
        for other in self.actors:
            if other is process:
                continue
            values = []
            for start, stop, count in self.timeline(other, end):
                if stop < begin - SLACK:
                    values = [count]
                elif start <= until + SLACK:
                    values.append(count)
            low += min(values, default=0)
            high += max(values, default=0)
        return low, high

    def own(self, act):
        """How many the actor itself had after the call."""
        count = act.actor.base.get(act.end, 0)
        for other in self.acts:
            if other.actor is act.actor and other.name != "fork":
                count += sum(come is act.end for come in other.come) - (other.gone is act.end)
            if other is act:
                break
        return count

    # Judging

    def judge(self):
        for act in self.acts:
            self.known(act)
        wrong = self.judge_wire()
        if self.log:
            wrong += self.judge_events() + self.judge_claims()
        self.advance()
        self.segments += len(self.packets)
        return wrong

    def sent_by(self, end, kind=None):
        return [packet for packet in self.packets if (packet.src, packet.dst) == (end.local, end.remote)
                and kind in (None, packet.kind)]

    def on(self, end, *names):
        return [act for act in self.acts if act.end is end and act.name in names]

    def drops(self, end):
        """(begin, until, Process) of every call and death that took a reference to the end."""
        drops = [(act.begin, act.until, act.actor) for act in self.acts if act.gone is end]
        drops += [(*times, process) for process, times in self.deaths.items()
                  if max(count for _, _, count in self.timeline(process, end)) > 0]
        return drops

    def left(self, end):
        """References when the round is over."""
        count = sum(process.fds.get(fd) is end for process in self.actors if process not in self.deaths
                    for fd in process.fds)
        return count + sum(sum(come is end for come in act.come) for act in self.acts if act.name == "fork")

    def judge_wire(self):
        """The packets against the calls: the kernel, and this account of it."""
        wrong = []
        known = set()
        for end in list(self.ends.values()):
            known.update(self.sent_by(end))
            if end.peer is None:
                continue
            fin, over, rx, linger, _ = self.before[end]
            fins, resets = self.sent_by(end, "FIN"), self.sent_by(end, "RST")
            shut = [act for act in self.on(end, "shutdown")]
            gone = self.left(end) == 0 and bool(self.drops(end))
            peer_reset = self.sent_by(end.peer, "RST")
            wrote = self.on(end.peer, "write")
            closed = (fin or fins) and (end.peer.fin or self.sent_by(end.peer, "FIN"))  # by both, in good order
            sure = gone and not (over or peer_reset or closed or end.unsure) and (rx and not self.on(end, "drain")
                                                                                 or linger)
            if over and (fins or resets and not closed):
                wrong.append(f"a segment after the end: {fins + resets} of {end}")
            if fins and not (gone or shut):
                wrong.append(f"nobody ended {end}: {fins}")
            if (gone or any(act.answer and act.answer["ret"] == 0 for act in shut)) and not (fin or over or fins or
                                                                                            resets or peer_reset):
                wrong.append(f"ended, and nothing left: {end}")
            if sure and not resets:
                wrong.append(f"no RST, though {rx} bytes were unread or linger was 0: {end}")
            possible = gone and (rx or end.unsure or wrote or linger or self.on(end, "linger"))
            if resets and not possible and not wrote and not closed:
                wrong.append(f"nothing asked for an RST: {end} {resets}")
        return wrong + [f"a segment of nobody's: {packet}" for packet in self.packets if packet not in known]

    def judge_events(self):
        """Each event against the call that made it."""
        wrong, left = [], {}
        for event in self.events:
            left.setdefault(event["pid"], []).append(event)
        for act in self.acts:
            wants = [("close", act.gone)] if act.gone else []
            wants += [("dup", act.end)] if act.name == "dup" else []
            wants += [(act.name, act.end)] if act.name in ("shutdown", "connect", "accept") else []
            for op, end in wants:
                event = next((event for event in left.get(act.actor.pid, []) if event["op"] == op
                              and event.get("socket") == end.cookie), None)
                if event is None:
                    if act.answer:  # and was not killed in it
                        wrong.append(f"no {op} event: {act}")
                    continue
                left[act.actor.pid].remove(event)
                event["_act"] = act
                wrong += [f"{text}\n    {self.show(event)}\n    {act}" for text in self.judge_event(event, act, end)]
        for events in left.values():
            for event in events:
                if event["op"] == "exit":
                    wrong += self.judge_exit(event)
                elif event["op"] not in ("fork", "eof", "reset", "read", "write"):
                    wrong.append(f"nobody did this: {self.show(event)}")
        for event in self.events:
            if "fin" in event:
                key = f"{event['op']}: {event['fin']}/{event['why']}" + ("" if event["verified"] else " (unverified)")
                self.tally[key] = self.tally.get(key, 0) + 1
        return wrong

    def disturbed(self, act, end, begin, until):
        """Whether somebody else did something to the connection meanwhile."""
        ends = [end] + ([end.peer] if end.peer else [])
        for other in self.acts:
            if other.actor is not act.actor and other.overlaps(begin, until) and (
                    other.end in ends or other.gone in ends or any(come in ends for come in other.come)):
                return True
        return any(process is not act.actor and times[0] <= until + SLACK and times[1] >= begin - SLACK and
                   any(max(count for _, _, count in self.timeline(process, one)) for one in ends)
                   for process, times in self.deaths.items())

    def judge_event(self, event, act, end):
        if act.answer and "t0" in act.answer and not act.begin - SLACK <= event["time"] <= act.until + SLACK:
            yield "not in the time of its call"
        begin, until = act.begin, act.until
        if act.actor in self.deaths and not act.answer:
            until = self.deaths[act.actor][1]
        disturbed = self.disturbed(act, end, begin, until)
        yield from self.judge_references(event, act, end, begin, until, disturbed)
        if "fin" not in event or end.listener:
            return
        low, high = self.others(act.actor, end, begin, until)
        mine = self.own_of(act, end)
        if event["fin"] == "withheld":
            if mine + high == 0:
                yield "withheld, and nobody has it"
            if event["why"] != "references":
                yield "withheld by what is not there"
        elif event["fin"] in CLAIMS and event["op"] == "close" and mine + low > 0:
            yield "claims to be the last, and is not"
        elif event["fin"] == "already" and not (self.before[end][0] or self.sent_by(end, "FIN")):
            yield "its FIN had not left"
        if not disturbed and event["fin"] != "none" and not event["verified"]:
            yield "not verified, though nobody interfered"

    def own_of(self, act, end):
        kept, act.end = act.end, end
        count = self.own(act)
        act.end = kept
        return count

    def judge_references(self, event, act, end, begin, until, disturbed):
        if "refs_after" not in event:
            if event["op"] not in ("connect", "accept"):
                yield "no refs"
            return
        low, high = self.others(act.actor, end, begin, until)
        mine = self.own_of(act, end)
        if event["op"] == "dup" and act.gone is end:
            return
        if not mine + low <= event["refs_after"] <= mine + high:
            if not (event.get("refs_partial") and disturbed):
                yield f"refs_after is {event['refs_after']}, not {mine + low} to {mine + high}"
        elif event.get("refs_partial") and low == high and not disturbed:
            yield "refs_partial, though nobody interfered"
        change = {"close": -1, "dup": 1, "shutdown": 0}.get(event["op"])
        if change is not None and event["refs_after"] - event["refs_before"] != change:
            yield "refs_before and refs_after do not go together"
        if event.get("fin") == "withheld" and not disturbed:
            holders = sorted((holder.get("pid"), holder.get("fd")) for holder in event["holders"])
            true = sorted((process.pid, fd) for process, fd in self.holders(act, end, begin))
            if len(true) <= 16 and holders != true:
                yield f"holders are {true}"

    def holders(self, act, end, when):
        """Where nobody interfered: the others' as they stood, the actor's own after its call."""
        for process in self.actors:
            table = dict(process.start)
            for other in self.acts:
                mine = other.actor is process
                if not mine or (process is not act.actor and other.begin > when):
                    continue
                if other.gone is not None:
                    table.pop(other.fd, None)
                if other.name in ("dup", "connect", "accept"):
                    table[other.fd] = other.end
                if other is act:
                    break
            if process in self.deaths and self.deaths[process][1] < when:
                continue
            yield from ((process, fd) for fd, there in table.items() if there is end)
        for other in self.acts:
            if other.name == "fork" and other.until < when:
                child = type("Child", (), {"pid": other.answer["ret"]})
                yield from ((child, fd) for fd, there in other.note.items() if there is end)

    def judge_exit(self, event):
        process = next((process for process in self.deaths if process.pid == event["pid"]), None)
        end = next((end for end in self.ends.values() if end.cookie == event.get("socket")), None)
        if not process:
            return [f"nobody left: {self.show(event)}"]
        if end is None or end.listener:
            return []
        low, high = self.others(process, end, *self.deaths[process])
        wrong = []
        if not low <= event["refs_after"] <= high and not event.get("refs_partial"):
            wrong.append(f"refs_after is not {low} to {high}: {self.show(event)}")
        if event["verified"]:
            wrong.append(f"foreseen, and verified: {self.show(event)}")
        if event["fin"] == "withheld" and high == 0 or event["fin"] in CLAIMS and low > 0:
            wrong.append(f"{low} to {high} others have it: {self.show(event)}")
        return wrong

    def judge_claims(self):
        """Packets against events, each way."""
        wrong, claims = [], [event for event in self.events if event.get("fin") in CLAIMS]
        for packet in self.packets:
            end = self.ends.get((packet.src, packet.dst))
            if end is None:
                continue
            mine = [event for event in claims if event["socket"] == end.cookie and CLAIMS[event["fin"]] == packet.kind]
            for event in mine:
                claims.remove(event)
                late = packet.time - event["time"]
                act = event.get("_act")  # the program's view of the call ends after the library's look at what came of it
                longest = (act.until if act and act.answer else packet.time) - event["time"] + SLACK
                longest = max([longest, *(until - event["time"] + SLACK for until in self.exits_during(event, act, end))])
                if not -SLACK <= late <= longest:
                    wrong.append(f"{packet}: not within the call that claims it: {late:.6f} {self.show(event)}")
            if len(mine) > 1:
                wrong.append(f"{packet}: claimed by {len(mine)}:\n    " + "\n    ".join(map(self.show, mine)))
            if not mine and not self.may_be_unclaimed(packet, end):
                wrong.append(f"{packet}: claimed by nobody\n    " + "\n    ".join(
                    self.show(event) for event in self.events if event.get("socket") == end.cookie))
        for event in claims:
            end = next((end for end in self.ends.values() if end.cookie == event["socket"]), None)
            if end is None or not self.raced(end) or event["verified"] and not self.reset_under_way(event, end):
                wrong.append(f"claims what never left: {self.show(event)}")
        return wrong

    def exits_during(self, event, act, end):
        """When those were gone that were about to end when the call let go: it may have claimed what their end sent."""
        until = act.until if act and act.answer else event["time"]
        return [times[1] for process, times in self.deaths.items() if process not in self.killed and
                times[0] <= until + SLACK and max(count for _, _, count in self.timeline(process, end)) > 0]

    def may_be_unclaimed(self, packet, end):
        """By one who dies, or who was killed in the call that sent it, before the call could tell."""
        deaths = any(max(count for _, _, count in self.timeline(process, end)) > 0 and
                     (packet.time >= self.deaths[process][0] - SLACK or self.died_in_call(process, end))
                     for process in self.killed)
        if packet.kind == "FIN" or not end.peer:
            return deaths
        # An answer to late data; or the peer, in TIME_WAIT, has acknowledged a FIN twice.
        closed = all(one.fin or self.sent_by(one, "FIN") for one in (end, end.peer))
        return deaths or closed or bool(self.on(end.peer, "write"))

    def died_in_call(self, process, end):
        return any(act.actor is process and act.answer is None and end in (act.end, act.gone) for act in self.acts)

    def reset_under_way(self, event, end):
        """The peer's RST came between the look and the call: of a socket that is gone the kernel does not say by whom."""
        until = event["_act"].until if event.get("_act") else float("inf")
        return end.peer is not None and any(event["time"] - SLACK <= packet.time <= until
                                            for packet in self.sent_by(end.peer, "RST"))

    def raced(self, end):
        """Several had a hand in its end: what was foreseen may have come otherwise."""
        hands = {act.actor for act in self.acts if act.end in (end, end.peer) or act.gone in (end, end.peer)}
        hands |= set(self.deaths)
        both = any(process.base.get(end) and process.base.get(end.peer) for process in self.deaths)
        return len(hands) > 1 or both  # of two ends of one process, which the kernel ends first is not foreseen

    def advance(self):
        """The certain state, from what was seen."""
        for end in self.ends.values():
            reset = self.sent_by(end, "RST") or (end.peer and self.sent_by(end.peer, "RST"))
            end.fin = end.fin or bool(self.sent_by(end, "FIN"))
            end.over = end.over or bool(reset)
            for act in self.on(end, "write"):
                if end.peer:
                    end.peer.rx += max(act.answer["ret"], 0) if act.answer else 0
                    end.peer.unsure = end.peer.unsure or not act.answer
            for act in self.on(end, "linger"):
                end.linger = True
            for act in self.on(end, "shutdown"):
                end.shut_rd = end.shut_rd or act.words[2] == 2
        for end in self.ends.values():
            for act in self.on(end, "drain"):
                end.rx -= act.answer["total"] if act.answer else 0
                end.unsure = end.unsure or not act.answer
            if end.peer and end.fin and end.peer.fin:
                end.over = True

    @staticmethod
    def show(event):
        return " ".join(f"{key}={value}" for key, value in event.items() if key not in ("_act", "caller"))

    def report(self, wrong):
        print(f"\nMISMATCH: seed {self.options.seed}, round {self.rounds}\n  " + "\n  ".join(wrong))
        for title, lines in (("calls", self.acts), ("deaths", [f"{process.pid}: {times}" for process, times
                                                               in self.deaths.items()]),
                             ("packets", self.packets), ("events", [self.show(event) for event in self.events])):
            print(f"{title}:")
            for line in lines:
                print(f"    {line}")
        print(f"stderr: {self.host.stderr()}")

    def run(self):
        began, bad = time.monotonic(), 0
        try:
            self.start()
            while self.endings < self.options.count:
                wrong = self.round()
                if wrong:
                    self.report(wrong)
                    bad += 1
                    if not self.options.go_on:
                        return 1
        except Trouble as error:
            self.events = []
            self.report([str(error)])
            return 1
        finally:
            if self.host:
                self.host.end()
            shutil.rmtree(self.folder, ignore_errors=True)
        print(f"seed {self.options.seed}: {self.endings} endings in {self.rounds} rounds, {self.kills} by SIGKILL, "
              f"{self.segments} FIN and RST, {self.log.lines if self.log else 0} log lines"
              f"{f': {bad} rounds WRONG' if bad else ' agree'}; {time.monotonic() - began:.1f} s")
        if self.options.tally:
            for name, count in sorted(self.tally.items()):
                print(f"  {count:6} {name}")
        return 1 if bad else 0


def arguments():
    parser = argparse.ArgumentParser(description="Random endings by many processes at once.")
    parser.add_argument("--seed", type=int, help="of the calls (default: a new one, printed)")
    parser.add_argument("--count", type=int, default=2000, help="how many endings (2000)")
    parser.add_argument("--actors", type=int, default=8, help="how many processes at most (8)")
    parser.add_argument("--jobs", type=int, default=1, help="throngs at once, with seeds that follow each other (1)")
    parser.add_argument("--no-log", action="store_true", help="without closetrace: the account against the kernel")
    parser.add_argument("--library", default=os.path.join(TOP, "libclosetrace.so"))
    parser.add_argument("--actor", default=os.path.join(TOP, "build/tests/programs/walk_actor"))
    parser.add_argument("--go-on", action="store_true", help="report what is wrong, and go on")
    parser.add_argument("--tally", action="store_true", help="show how often each verdict came")
    options = parser.parse_args()
    options.library, options.actor = os.path.abspath(options.library), os.path.abspath(options.actor)
    return options


def main():
    options = arguments()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 31)
    if options.jobs > 1:
        rest = [*sys.argv[1:], "--jobs", "1"]
        runs = [subprocess.Popen([sys.executable, __file__, *rest, "--seed", str(options.seed + i)])
                for i in range(options.jobs)]
        return max([run.wait() for run in runs])
    print(f"throng: seed {options.seed}", flush=True)
    return Throng(options).run()


if __name__ == "__main__":
    sys.exit(main())
