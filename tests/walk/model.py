"""What the kernel makes of TCP sockets: the walk's own account of connections, references and segments.

It is written from tests of the kernel, not from closetrace: walk.py --no-log holds it against the packets and
/proc alone. Nothing here does I/O. A Model is told what the actors did and says which segments must leave, who has
to claim each of them, and what the verdict is.
"""

URGENT = 1 << 30  # an urgent byte in a receive queue


class File:
    """An open file description: descriptors, copies in flight and calls in progress refer to it."""

    count = 0

    def __init__(self, kind, inode=0):
        File.count += 1
        self.id = File.count
        self.kind = kind  # tcp, unix, other
        self.inode = inode
        self.fds = {}  # (process index, fd) -> Process
        self.flights = 0
        self.calls = []  # calls in progress, in order
        self.name = kind

    @property
    def refs(self):
        return len(self.fds) + self.flights

    @property
    def dead(self):
        return not self.fds and not self.flights and not self.calls

    def holders(self):
        return sorted((process.pid, fd) for (_, fd), process in self.fds.items())


class Unix(File):
    """One end of a unix socket; queue holds messages, each a list of what is in flight."""

    def __init__(self, inode):
        super().__init__("unix", inode)
        self.peer = None
        self.queue = []


class Sock(File):
    """A TCP socket: listener, end of a connection, or neither."""

    def __init__(self, role):
        super().__init__("tcp")
        self.role = role
        self.cookie = None
        self.local = self.remote = None
        self.peer = None
        self.connected = False
        self.syn_sent = False
        self.listening = False
        self.listened = False
        self.queue = []  # of a listener: server ends that wait to be accepted
        self.family = "v4"
        self.port = 0
        self.released = False  # no file is left: an orphan, or nothing at all
        self.fin_sent = self.fin_queued = self.fin_received = False
        self.reset = None  # peer, late-data, disconnect: how it came to be closed without two FINs
        self.shut_rd = self.shut_wr = False
        self.rx = []  # unread: numbers of bytes, and URGENT for an urgent one
        self.linger = None
        self.linger2 = False
        self.oob_used = False
        self.cut = False  # some of rx was lost on the way
        self.unsent = False  # bytes, or perhaps, that the peer has no room for
        self.fin_lost = False  # reset while its FIN stood in its queue
        self.eof_seen = False
        self.known = set()  # indexes of the processes that, or whose parents, have connected or accepted it
        self.disconnected = False  # connected to AF_UNSPEC after it had been connected
        self.shut_known = set()  # of those that, or whose parents, have shut it down
        self.doubtful = 0  # how many copies in flight were dropped with a queue, or moved between sessions
        self.raw_close = False  # by a system call past libc, or of a number that came by one
        self.raw = 0  # how many descriptors at most have come by such calls
        self.beyond = set()  # sessions of programs that got it by such descriptors alone
        self.filled_at = 0
        self.fin_announced = True  # some event must have said of the queued FIN that it will leave

    @property
    def over(self):
        """In state CLOSE: nothing more is ever sent for it."""
        return not self.connected or self.reset is not None or (self.fin_sent and self.fin_received)

    @property
    def unread(self):
        return sum(1 if piece == URGENT else piece for piece in self.rx)

    def states(self):
        """The names of the states that it can be in."""
        if self.listening:
            return {"LISTEN"}
        if self.syn_sent:
            return {"SYN_SENT"}
        if not self.connected or self.reset:
            return {"CLOSE"}
        mine = self.fin_sent or self.fin_queued
        if mine and self.fin_received:
            return {"CLOSE", "TIME_WAIT", "CLOSING", "LAST_ACK"}
        if mine:
            return {"FIN_WAIT1", "FIN_WAIT2"}
        return {"CLOSE_WAIT"} if self.fin_received else {"ESTABLISHED"}

    def receive(self, n):
        if n != URGENT and self.rx and self.rx[-1] != URGENT:
            self.rx[-1] += n
        else:
            self.rx.append(n)

    def consume(self, n):
        """Takes what one recv(n) returns, which stops at an urgent byte and jumps one that it begins with."""
        if self.rx and self.rx[0] == URGENT:
            self.rx.pop(0)
        if not self.rx:
            return 0
        taken = min(n, self.rx[0])
        self.rx[0] -= taken
        if not self.rx[0]:
            self.rx.pop(0)
        return taken

    @property
    def readable(self):
        return bool(self.rx) or self.fin_received or self.over or self.shut_rd

    def __str__(self):
        if self.listened:
            return f"listener#{self.id}({self.local}, {len(self.queue)} waiting)"
        flags = [name for name in ("fin_sent", "fin_queued", "fin_received", "reset", "shut_rd", "shut_wr", "linger2",
                                   "unsent", "released", "syn_sent") if getattr(self, name)]
        if self.linger is not None:
            flags.append(f"linger={self.linger}")
        if self.rx:
            flags.append("rx=" + "+".join("U" if piece == URGENT else str(piece) for piece in self.rx))
        return (f"tcp#{self.id}({self.local}->{self.remote} cookie {self.cookie} fds {self.holders()} "
                f"flights {self.flights} calls {[str(call) for call in self.calls]} {' '.join(flags)})")


class Message(list):
    """What is in flight together, and which session of the library sent it."""

    def __init__(self, files, session):
        super().__init__(files)
        self.session = session


class Call:
    """A thread inside recv() or poll() on a socket."""

    def __init__(self, ident, process, kind, sock, fd, n, tid):
        self.blind = False  # the last descriptor went without the library's seeing it, or knowing of this thread
        self.taken = self.lost = False  # its number is another descriptor's; was another connection's since
        self.ident, self.process, self.kind = ident, process, kind
        self.sock, self.fd, self.n, self.tid = sock, fd, n, tid

    def __str__(self):
        return f"{self.kind}({self.fd}) in {self.process.pid}/{self.tid}"


class Process:
    """An actor as the model sees it."""

    count = 0

    def __init__(self, pid):
        Process.count += 1
        self.index = Process.count
        self.pid = pid
        self.fds = {}  # fd -> File
        self.cloexec = set()
        self.unseen = set()  # descriptors that came by a system call that was not libc's
        self.calls = []
        self.session = 0  # processes that are children of each other without exec between them

    def lowest(self, least=0):
        fd = least
        while fd in self.fds:
            fd += 1
        return fd

    def install(self, fd, file, cloexec=False):
        for call in self.calls:
            if call.fd == fd and call.sock is not file:
                call.taken, call.lost = True, call.lost or file.kind == "tcp"
        self.fds[fd] = file
        self.unseen.discard(fd)
        file.fds[(self.index, fd)] = self
        self.cloexec.discard(fd)
        if cloexec:
            self.cloexec.add(fd)

    def forget(self, fd):
        for call in self.calls:
            call.taken = call.taken and call.fd != fd
        file = self.fds.pop(fd)
        self.unseen.discard(fd)
        if file.kind == "tcp" and not any(file is other and number not in self.unseen for number,
                                          other in self.fds.items()):
            file.known.discard(self.index)
            file.shut_known.discard(self.index)
        del file.fds[(self.index, fd)]
        self.cloexec.discard(fd)
        return file

    def socks(self):
        """Its TCP sockets, each once, by their first descriptor."""
        return list({file.id: file for _, file in sorted(self.fds.items()) if file.kind == "tcp"}.values())

    def __str__(self):
        def show(fd):
            return f"{fd}{'*' if fd in self.cloexec else ''}={self.fds[fd].name}#{self.fds[fd].id}"
        return (f"process {self.pid}: " + " ".join(show(fd) for fd in sorted(self.fds))
                + "".join(f" [{call}]" for call in self.calls))


class Segment:
    """One that the model expects. claim: must, may, none; sure: False where it may not leave (yet)."""

    def __init__(self, sock, kind, claim, pid, sure=True):
        self.src, self.dst, self.kind = sock.local, sock.remote, kind
        self.claim, self.pid, self.sure, self.sock = claim, pid, sure, sock

    def __str__(self):
        return (f"{self.kind} {self.src} > {self.dst} claim {self.claim} by {self.pid}"
                + ("" if self.sure else " (perhaps)"))


class Outcome:
    """What became of a socket whose last reference has gone: the verdicts that are true of it."""

    def __init__(self, *verdicts, pending=None):
        self.verdicts = set(verdicts)
        self.pending = pending  # (resets, waiting) of a listener


class Model:
    def __init__(self):
        self.segments = []  # of this step
        self.ends = {}  # (local, remote) -> Sock, the newest

    def emit(self, sock, kind, claim, pid, sure=True):
        self.segments.append(Segment(sock, kind, claim, pid, sure))

    def connect(self, client, server):
        client.peer, server.peer = server, client
        client.connected = server.connected = True
        server.local, server.remote = client.remote, client.local
        self.ends[(client.local, client.remote)] = client
        self.ends[(server.local, server.remote)] = server

    # What the other end sees

    def got_fin(self, sock):
        if sock.reset is None:
            sock.fin_received = True

    def got_reset(self, sock):
        if not sock.over:
            sock.reset = "peer"
            sock.fin_lost = sock.fin_queued
            sock.unsent = sock.fin_queued = False

    def send_fin(self, sock, claim, pid):
        if sock.unsent:
            sock.fin_queued = True
            sock.fin_announced = claim == "must"
            self.emit(sock, "FIN", claim, pid, sure=False)
            return
        sock.fin_sent = True
        self.emit(sock, "FIN", claim, pid)
        self.got_fin(sock.peer)

    def queued_fin_left(self, sock):
        sock.fin_queued, sock.unsent, sock.fin_sent = False, False, True
        self.got_fin(sock.peer)

    def send_reset(self, sock, how, claim, pid):
        self.emit(sock, "RST", claim, pid)
        sock.reset = how
        sock.peer.cut = sock.peer.cut or sock.unsent
        sock.cut = sock.cut or sock.peer.unsent
        sock.fin_lost = sock.fin_queued
        sock.unsent = sock.fin_queued = False
        self.got_reset(sock.peer)

    def deliver(self, sock, n):
        """sock wrote n bytes (URGENT: an urgent one) and was told that it went well."""
        peer = sock.peer
        if peer.released or (peer.shut_rd and (peer.fin_sent or peer.fin_queued)):
            self.send_reset(peer, "late-data", "none", None)
        else:
            peer.receive(n)

    # Endings

    def stop_listening(self, sock, claim, pid):
        resets, waiting = 0, len(sock.queue)
        for child in sock.queue:
            if not child.over:
                self.send_reset(child, "disconnect", "listener" if claim == "must" else claim, pid)
                resets += 1
            child.released = True
        sock.queue = []
        sock.listening = False
        return resets, waiting

    def final(self, sock, claim, pid):
        """The last reference has gone: __tcp_close()."""
        sock.released = True
        if sock.listening:
            return Outcome(("none", "listening"), pending=self.stop_listening(sock, claim, pid))
        if not sock.connected:
            return Outcome(("none", "not-connected"))
        if sock.over:
            return Outcome(*self.ended(sock))
        if sock.rx:
            self.send_reset(sock, "self", claim, pid)
            return Outcome(("reset", "unread-data"))
        if sock.linger == 0:
            self.send_reset(sock, "self", claim, pid)
            return Outcome(("reset", "linger-zero"))
        if sock.fin_sent or sock.fin_queued:
            if sock.linger2 and not sock.fin_received:
                self.send_reset(sock, "self", claim, pid)
                return Outcome(("reset", "linger2"))
            return Outcome(*self.after_shutdown(sock))
        if sock.linger2 and not sock.fin_received:
            self.emit(sock, "FIN", "may", pid)
            self.send_reset(sock, "self", claim, pid)
            return Outcome(("reset", "linger2"), ("sent", "linger2"))
        perhaps = sock.unsent
        self.send_fin(sock, claim, pid)
        if perhaps:
            return Outcome(("queued", "last-reference"), ("sent", "last-reference"))
        return Outcome(("sent", "last-reference"))

    def predicted(self, sock):
        """The verdicts on sock if its references alone went now."""
        if sock.listening or not sock.connected or sock.over:
            return set()
        if sock.rx:
            return {("reset", "unread-data")}
        if sock.linger == 0:
            return {("reset", "linger-zero")}
        if sock.fin_sent or sock.fin_queued:
            return self.after_shutdown(sock)
        return {("sent", "last-reference")}

    @staticmethod
    def after_shutdown(sock):
        """Of an end that was shut down before. One that stands in its queue may leave it during the very call: which of
        both is true the packets tell."""
        return {("already", "after-shutdown")} | ({("queued", "after-shutdown")} if sock.fin_queued else set())

    def ended(self, sock):
        """Verdicts on one that is over already, or on which something else had the last word."""
        if not sock.connected:
            return {("none", "not-connected")}
        if sock.fin_sent and sock.fin_received:
            return {("already", "after-shutdown")}
        if sock.fin_sent or sock.fin_lost:  # and then reset: both are true, or the kernel does not tell the FIN's fate
            return {("already", "after-shutdown"), ("none", "peer-reset"), ("none", "over")}
        return {("none", "peer-reset"), ("none", "over")}

    def withheld(self, sock):
        """Verdicts where references are left."""
        if sock.listened:
            return {("none", "listening")} if sock.listening else {("none", "not-connected")}
        if not sock.connected:
            return {("none", "not-connected")}
        if sock.over:
            return self.ended(sock)
        if sock.fin_sent or sock.fin_queued:
            return self.after_shutdown(sock)
        return self.held_by(sock)

    @staticmethod
    def held_by(sock):
        """What withholds its FIN."""
        if sock.fds:
            return {("withheld", "references")}
        if sock.calls and sock.flights:
            return {("withheld", "call-in-progress"), ("withheld", "in-flight")}
        return {("withheld", "call-in-progress" if sock.calls else "in-flight")}

    def bury(self, files, claim, pid):
        """Files whose last reference has gone, in that order. The kernel ends those of one call last first, and
        then what lay in the queues of unix sockets among them. Returns the outcomes by the file's id."""
        outcomes = {}
        while files:
            purged = []
            for file in reversed(files):
                if file.kind == "unix":
                    for message in file.queue:
                        for passed in reversed(message):
                            passed.flights -= 1
                            passed.doubtful += 1
                            if passed.dead:
                                purged.append(passed)
                    file.queue = []
                elif file.kind == "tcp":
                    outcomes[file.id] = self.final(file, claim, pid)
            files, claim = purged, "may"
        return outcomes

    def drop(self, drops, claim, pid):
        """Ends references: (process, fd), a Call, or a file with a copy in flight."""
        gone = []
        for item in drops:
            if isinstance(item, tuple):
                file = item[0].forget(item[1])
            elif isinstance(item, Call):
                file = item.sock
                file.calls.remove(item)
                item.process.calls.remove(item)
            else:
                file = item
                file.flights -= 1
            if file.dead:
                gone.append(file)
        return self.bury(gone, claim, pid)

    def shutdown(self, sock, how, claim, pid):
        """The verdicts on shutdown(), whether it succeeds (None: as long as the last acknowledgement is under way), and
        pending of a listener."""
        pending = None
        if sock.listening:
            if how != 1:
                pending = self.stop_listening(sock, claim, pid)
            return {("none", "listening")}, True, pending
        if not sock.connected:
            was, sock.syn_sent = sock.syn_sent, False
            return {("none", "not-connected")}, was, None
        if sock.over:
            verdicts = self.ended(sock)
            self.shut(sock, how)
            return verdicts, None if sock.fin_sent and sock.fin_received and not sock.reset else False, None
        verdicts = {("none", "receive-side")}
        if how != 0:
            if sock.fin_sent or sock.fin_queued:
                verdicts = self.after_shutdown(sock)
            else:
                verdicts = {("sent", "shutdown")} | ({("queued", "shutdown")} if sock.unsent else set())
                self.send_fin(sock, claim, pid)
        self.shut(sock, how)
        return verdicts, True, None

    @staticmethod
    def shut(sock, how):
        sock.shut_rd = sock.shut_rd or how != 1
        sock.shut_wr = sock.shut_wr or how != 0

    def disconnect(self, sock, claim, pid):
        """connect() with AF_UNSPEC."""
        pending = None
        if sock.listening:
            pending = self.stop_listening(sock, claim, pid)
            verdicts = {("none", "listening")}
        elif sock.over:
            verdicts = self.ended(sock)
        else:
            verdicts = {("reset", "disconnect")}
            self.send_reset(sock, "disconnect", claim, pid)
        sock.disconnected = sock.disconnected or sock.connected
        sock.connected = False
        sock.syn_sent = False
        sock.rx = []
        sock.local = sock.remote = None
        return verdicts, pending
