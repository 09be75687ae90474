#!/usr/bin/env python3
"""Holds a trace against the wire: every FIN and RST is claimed by exactly one event, and no event claims more.

    compare_capture.py [--killed PID]... LOG CAPTURE

LOG holds closetrace's JSON lines, CAPTURE what `tcpdump -nn -tt -S` prints of the segments with a FIN or an RST. All
that passed there has to be the traced programs': an endpoint that the log does not know is an error. Exit status 0
and one line of numbers on standard output, or 1 and what is wrong, with the events and segments of that connection.

What a claim is, by the verdict of an event:

    sent      a FIN: while the call lasts (exit and exec are logged before they happen: some time after)
    queued    a FIN, some time after; none if the connection was reset before it could leave, or if a shutdown has
              claimed it (why=after-shutdown). `closetrace run` says afterwards that it has left: a `release` with
              `sent` and without a call, which is no claim of its own, but has to be true
    reset     an RST with ACK, which the kernel sends of its own accord; with why=linger2 a FIN before it
    pending   as many RSTs, from the address of the listener

and of what has been seen: op=eof a FIN of the peer, op=reset an RST of the peer, not later than the event.

What need not be claimed, since no call made it: an RST without ACK, which answers a segment for which there is no
socket any more (an event must have ended that one before), the answer to a connect that was refused, and what
became of the sockets of a process that a signal has ended (--killed).

exit and exec are predictions, made before the kernel acts, and two things cannot be known then: whether a process
holds the socket that may not be looked at (refs_partial, or no references at all where there is no /proc; such a
claim may be one too many, counted as "doubtful", as is that of a process that was exec'd, whose role is unknown, and
shares no memory with another that closes at the same moment: README.md, Limits), and whether a holder lets go
before this process is gone (the FIN of one that said withheld may be claimed by the other's call, or by none; counted
as "overtaken").

A close, or an end of a process, that says verified=false may have claimed a FIN where an RST left: data has arrived
between the look before it and the call, and the kernel keeps no trace of which it was. It is counted as "missed".
"""

import argparse
import collections
import json
import re
import sys

CLOCKS = 0.0001  # the log has microseconds, and the capture its own rounding
LINE = re.compile(
    r"(?P<time>\d+\.\d+) IP6? (?P<source>\S+) > (?P<target>\S+): Flags \[(?P<flags>[A-Z.]+)\],"
    r"(?: seq (?:\d+:)?(?P<sequence>\d+),)?.* length \d+(?:: .*)?")
AT_ONCE = ("sent", "reset")
BEFORE_IT_HAPPENS = ("exit", "exec")

Segment = collections.namedtuple("Segment", "time kind local remote sequence acks line")


def address(dotted):
    """tcpdump's 127.0.0.1.80 and ::1.80 as closetrace writes them."""
    host, port = dotted.rsplit(".", 1)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def port_of(name):
    return name.rsplit(":", 1)[1]


def is_wildcard(name):
    return name.startswith(("0.0.0.0:", "[::]:"))


def read_capture(path):
    """Every FIN and RST; a FIN that was sent again is one FIN."""
    segments, seen = [], set()
    with open(path, encoding="utf-8") as file:
        for line in file:
            match = LINE.fullmatch(line.strip())
            if not match:
                raise SystemExit(f"{path}: not a line of tcpdump's: {line.strip()}")
            local, remote = address(match["source"]), address(match["target"])
            flags, sequence = match["flags"], int(match["sequence"] or 0)
            kind = "FIN" if "F" in flags else "RST" if "R" in flags else None
            if not kind or (kind == "FIN" and (local, remote, sequence) in seen):
                continue
            seen.add((local, remote, sequence))
            segments.append(
                Segment(float(match["time"]), kind, local, remote, sequence, "." in flags, line.strip()))
    return segments


def read_log(path):
    events = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                event = json.loads(line)
            except ValueError as error:
                raise SystemExit(f"{path}:{number}: {error}: {line!r}") from error
            if not isinstance(event, dict) or not {"time", "pid", "comm", "op"} <= event.keys():
                raise SystemExit(f"{path}:{number}: not an event: {line!r}")
            events.append(event)
    return events


class Comparison:
    def __init__(self, events, segments, killed):
        self.events, self.segments, self.killed = events, segments, killed
        self.problems = []
        self.counts = collections.Counter()
        self.of_connection = collections.defaultdict(list)
        self.listeners = []
        for event in events:
            if "remote" in event and "local" in event:
                self.of_connection[event["local"], event["remote"]].append(event)
            elif event.get("why") == "listening":
                self.listeners.append(event)
        self.on_wire = collections.defaultdict(list)
        for segment in segments:
            self.on_wire[segment.local, segment.remote].append(segment)

    def wrong(self, message, key):
        local, remote = key
        about = [f"  {json.dumps(event)}" for event in self.of_connection.get(key, [])]
        if remote == "*":
            about = [f"  {json.dumps(event)}" for event in self.listeners if event["local"] == local]
        wire = [f"  {segment.line}" for segment in self.on_wire[key] + self.on_wire[remote, local]]
        self.problems.append("\n".join([f"{local} -> {remote}: {message}", *sorted(about), *sorted(wire)]))

    def was_killed(self, key):
        events = self.of_connection.get(key, [])
        pids = {event["pid"] for event in events}
        pids.update(holder["pid"] for event in events for holder in event.get("holders", []) if "pid" in holder)
        return bool(pids & self.killed)

    def claims(self, key, kind):
        """The events that claim a segment of this kind, in order of time."""
        found = []
        for event in self.of_connection.get(key, []):
            fin = event.get("fin")
            if kind == "RST":
                claimed = fin == "reset"
            elif fin == "reset":
                claimed = event["why"] == "linger2"
            else:
                claimed = fin == "sent" or (fin == "queued" and event["why"] != "after-shutdown")
            if claimed:
                found.append(event)
        return sorted((event for event in found if not self.is_notice(event)), key=lambda event: event["time"])

    @staticmethod
    def is_notice(event):
        """Whether the command has seen there that a FIN which was queued has left: no call of anybody's."""
        return event["op"] == "release" and event.get("fin") == "sent" and not {"call", "refs_before"} & event.keys()

    def check_notices(self, key):
        """Each comes after an event that said of that FIN that it was queued, and after the FIN; once."""
        events = self.of_connection.get(key, [])
        for notice in filter(self.is_notice, events):
            queued = [event["time"] for event in events if event.get("fin") == "queued"
                      and event.get("socket") == notice.get("socket") and event["time"] <= notice["time"]]
            same = [event for event in events if self.is_notice(event) and event.get("socket") == notice.get("socket")]
            if not queued:
                self.wrong("a queued FIN is said to have left, and nobody had said that it was queued", key)
            elif len(same) > 1:
                self.wrong(f"a queued FIN is said to have left {len(same)} times", key)
            elif not any(segment.kind == "FIN" and min(queued) - CLOCKS <= segment.time <= notice["time"] + CLOCKS
                         for segment in self.on_wire[key]):
                self.wrong("a queued FIN is said to have left, and it had not by then", key)
            else:
                self.counts["notices"] += 1

    def is_overtaken(self, key, segment):
        """Whether a process that was about to end as this left had said that others hold the socket."""
        overtaken = any(event["op"] in BEFORE_IT_HAPPENS and event.get("fin") == "withheld"
                        and event["time"] <= segment.time for event in self.of_connection.get(key, []))
        self.counts["overtaken"] += overtaken
        return overtaken

    def without_doubtful(self, claims, wanted):
        """Leaves out, where there are too many claims, those of a close that asked the kernel late and cannot know who
        else may have had the socket, and predictions made with a lower bound for the references, or by a process that
        knows of nobody's claims."""
        for event in list(claims):
            if len(claims) > wanted and event["op"] == "close" and event.get("verified") is False \
                    and "asked_after" in event:
                claims.remove(event)
                self.counts["doubtful"] += 1
        for event in list(claims):
            certain = "refs_after" in event and not event.get("refs_partial") and event.get("role") != "unknown"
            if len(claims) > wanted and event["op"] in BEFORE_IT_HAPPENS and not certain:
                claims.remove(event)
                self.counts["doubtful"] += 1
        return claims

    def check_time(self, event, segment):
        if segment.time < event["time"] - CLOCKS:
            self.wrong(f"the {segment.kind} of {segment.time:.6f} left before the call that claims it", segment[2:4])
        late = segment.time - event["time"] - event.get("duration", 0)
        at_once = event["fin"] in AT_ONCE and event["op"] not in BEFORE_IT_HAPPENS
        if at_once and late > CLOCKS and not self.is_overtaken(segment[2:4], segment):
            self.wrong(f"the {segment.kind} of {segment.time:.6f} left {late:.6f} s after the call that claims to "
                       f"have sent it", segment[2:4])

    def check_fins(self, key):
        wire = [segment for segment in self.on_wire[key] if segment.kind == "FIN"]
        claims = self.claims(key, "FIN")
        self.counts["fin"] += len(wire)
        if len(claims) > len(wire) and any(
                segment.kind == "RST" for segment in self.on_wire[key] + self.on_wire[key[::-1]]):
            claims = [event for event in claims if event["fin"] != "queued"]
        claims = self.without_doubtful(claims, len(wire))
        if len(wire) > len(claims) and self.was_killed(key):
            self.counts["killed"] += len(wire) - len(claims)
            return
        if len(wire) == 1 and not claims and self.is_overtaken(key, wire[0]):
            return
        if len(wire) != len(claims):
            self.wrong(f"{len(wire)} FIN on the wire, {len(claims)} claimed", key)
            return
        for event, segment in zip(claims, wire):
            self.check_time(event, segment)

    def check_answer(self, segment):
        """An RST without ACK answers what came for a socket that is gone, or does not receive any more."""
        if not any(event["time"] <= segment.time + CLOCKS and event.get("fin") in ("sent", "queued", "already", "reset")
                   for event in self.of_connection.get(segment[2:4], [])):
            self.wrong(f"the RST of {segment.time:.6f} answers late data, but no event has ended that connection",
                       segment[2:4])
        self.counts["answers"] += 1

    def move_missed(self, key):
        """An unverified FIN, and an RST instead: the claim is taken for one of the RST."""
        fins = [segment for segment in self.on_wire[key] if segment.kind == "FIN"]
        if fins or not any(self.is_own_reset(segment) for segment in self.on_wire[key]):
            return
        for event in self.claims(key, "FIN"):
            foreseen = event["op"] == "close" or event["op"] in BEFORE_IT_HAPPENS
            if foreseen and event["fin"] == "sent" and event.get("verified") is False:
                event["fin"] = "reset"
                self.counts["missed"] += 1
                return

    @staticmethod
    def is_own_reset(segment):
        """What the kernel sends of its own accord has an ACK; with sequence number 0 it refuses a connection."""
        return segment.kind == "RST" and segment.acks and segment.sequence != 0

    def check_resets(self, key):
        """The RSTs of the kernel's own accord; returns those that a listener may have caused."""
        sent = []
        for segment in self.on_wire[key]:
            if segment.kind != "RST":
                continue
            if self.is_own_reset(segment):
                sent.append(segment)
            elif segment.acks:
                self.counts["refused"] += 1
            elif not self.was_killed(key):
                self.check_answer(segment)
        claims = self.without_doubtful(self.claims(key, "RST"), len(sent))
        self.counts["rst"] += len(sent)
        if sent and not claims and key not in self.of_connection:
            return sent
        if len(sent) > len(claims) and self.was_killed(key):
            self.counts["killed"] += len(sent) - len(claims)
        elif len(sent) != len(claims):
            self.wrong(f"{len(sent)} RST on the wire, {len(claims)} claimed", key)
        else:
            for event, segment in zip(claims, sent):
                self.check_time(event, segment)
        return []

    def check_listeners(self, resets):
        for event in self.listeners:
            local, pending = event["local"], event.get("pending", 0)
            mine = [segment for segment in resets
                    if segment.local == local or (is_wildcard(local) and port_of(segment.local) == port_of(local))]
            mine = [segment for segment in mine if segment.time >= event["time"] - CLOCKS][:pending]
            resets = [segment for segment in resets if segment not in mine]
            self.counts["pending"] += pending
            if len(mine) != pending:
                self.wrong(f"the listener's end claims {pending} RST, {len(mine)} are on the wire", (local, "*"))
        for segment in resets:
            self.wrong("an RST of a connection that the log does not know", segment[2:4])

    def check_seen(self):
        """An eof needs a FIN of the peer before it, a reset an RST."""
        for key, events in self.of_connection.items():
            for event in events:
                kind = {"eof": "FIN", "reset": "RST"}.get(event["op"])
                if not kind:
                    continue
                self.counts[event["op"]] += 1
                until = event["time"] + event.get("duration", 0) + CLOCKS
                if not any(segment.kind == kind and segment.time <= until for segment in self.on_wire[key[::-1]]):
                    self.wrong(f"op={event['op']}, and no {kind} of the peer before it", key)

    def check_events(self):
        for event in self.events:
            if event.get("lost"):
                self.problems.append(f"events were lost: {json.dumps(event)}")
            self.counts["contradicted"] += event.get("contradicted", 0)
            if event["op"] in ("close", "shutdown") and event.get("verified") is False:
                self.counts["unverified"] += 1
            if event.get("ret") == -1 or "refs_after" not in event:
                continue
            held = event["refs_after"] > 0
            if event["op"] in ("close", "exit") and not event.get("refs_partial") and (
                    event["fin"] == "withheld" and not held and event["why"] == "references"
                    or event["fin"] in AT_ONCE and held):
                self.problems.append(f"verdict and references do not agree: {json.dumps(event)}")

    def run(self):
        resets = []
        for key in sorted(self.of_connection.keys() | self.on_wire.keys()):
            self.move_missed(key)
            self.check_notices(key)
            self.check_fins(key)
            resets += self.check_resets(key)
        self.check_listeners(sorted(resets))
        self.check_seen()
        self.check_events()
        self.counts["connections"] = len({frozenset(key) for key in self.of_connection})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--killed", type=int, action="append", default=[])
    parser.add_argument("log")
    parser.add_argument("capture")
    options = parser.parse_args()
    comparison = Comparison(read_log(options.log), read_capture(options.capture), set(options.killed))
    comparison.run()
    print(*(f"{key}={value}" for key, value in sorted(comparison.counts.items())))
    for problem in comparison.problems:
        print(problem)
    return 1 if comparison.problems else 0


if __name__ == "__main__":
    sys.exit(main())
