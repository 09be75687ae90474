# Explains a trace: reads all events of one (jq -s), writes lines that begin with H (heading), J (the event's own
# JSON) or T (plain words). It says of an event what the event says, and nothing else.

def plural($n; $word): "\($n) \($word)\(if $n == 1 then "" else "s" end)";

def state_words: {
  SYN_SENT: "asked for, and not answered yet",
  SYN_RECV: "its handshake is under way",
  ESTABLISHED: "open in both directions",
  FIN_WAIT1: "our FIN has left and is not acknowledged yet",
  FIN_WAIT2: "our FIN is acknowledged, the peer has not sent its own yet",
  CLOSING: "both FINs are under way, they crossed",
  TIME_WAIT: "both directions have ended in order",
  CLOSE_WAIT: "the peer has ended its direction, ours is still open",
  LAST_ACK: "both FINs have left, ours waits for its acknowledgement",
  CLOSE: "nothing is left of the connection",
  LISTEN: "waiting for connections"
};

def states:
  if .state_after then
    (if .state_before and .state_before != .state_after then "The kernel's state went from \(.state_before) to \(.state_after)"
     else "The kernel's state is \(.state_after)" end)
    + (if state_words[.state_after] then ": \(state_words[.state_after])." else "." end)
  else empty end;

def references:
  if .refs_before != null and .refs_after != null then
    "\(plural(.refs_before; "reference")) to the socket before the call (descriptors, in all processes), "
    + "\(if .refs_after == 0 then "none" else .refs_after end) after it"
    + "\(if .refs_partial then " (at least: not every process could be looked into)" else "" end)."
  else empty end;

def holder: if .call then "thread \(.tid) of pid \(.pid) (\(.comm)), inside \(.call)()" else "pid \(.pid) (\(.comm)) as descriptor \(.fd)" end;

def because: {
  "last-reference": "because the last reference was gone",
  "shutdown": "because that is what shutdown() asks for, whoever else has the socket open",
  "references": "because others still have the socket open",
  "call-in-progress": "because a thread is still inside a call on the socket",
  "unread-data": "because bytes had arrived that nobody had read",
  "linger-zero": "because SO_LINGER was set to 0 seconds",
  "after-shutdown": "because of an earlier shutdown()",
  "not-connected": "because it was not connected",
  "listening": "because it was a listener",
  "peer-reset": "because the peer had reset the connection",
  "timed-out": "because the connection had timed out",
  "destroyed": "because the socket had been destroyed on this host",
  "over": "because the connection was over before",
  "refused": "because the peer refused the connection",
  "in-flight": "because a copy of the descriptor is inside a unix socket's queue",
  "hidden": "because the kernel still refers to it, though no descriptor is to be seen",
  "parked": "because a fault rule holds it",
  "receive-side": "because SHUT_RD sends nothing",
  "disconnect": "because connect() with AF_UNSPEC ends a connection so",
  "linger2": "because TCP_LINGER2 was below 0"
}[.why // ""] // (if .why then "(\(.why))" else "" end);

def verdict:
  if .fin then
    ({sent: "The kernel sent a FIN, the mark that nothing more will follow",
      queued: "The FIN waits behind \(.unsent // "some") unsent bytes",
      withheld: "No FIN has left",
      already: "The FIN had left before, this call sends none",
      reset: "The kernel sent an RST in place of a FIN",
      none: "There was nothing to end"}[.fin] // "fin: \(.fin)")
    + (because | if . == "" then "" else ", " + . end) + "."
    + (if .holders then " Held by \([.holders[] | holder] | join("; "))." else "" end),
    (if (.unread // 0) > 0 then "\(plural(.unread; "byte")) had arrived and not been read." else empty end),
    (if .pending then "\(plural(.pending; "connection")) waiting in its queue." else empty end),
    (if .verified == true then "The kernel was asked afterwards, and agrees."
     elif .verified == false then "This is a prediction: the kernel was not asked afterwards." else empty end)
  else empty end;

def failure: if .ret == -1 then "The call failed: \(.errno // "no errno")." else empty end;

def call: "\(.call // .op)()";

def words:
  if .op == "start" then
    "closetrace \(.version // "") is in this process" + (if .command then ": \(.command | if type == "array" then join(" ") else . end)" else "" end) + "."
  elif .op == "connect" then
    "\(.comm) calls \(call)" + (if .remote then " to \(.remote)" else "" end) + " with descriptor \(.fd)"
    + (if .local then ", from \(.local)" else "" end) + ".",
    (if .ret == -1 and .errno == "EINPROGRESS" then "It did not wait for the handshake (EINPROGRESS)." else failure end)
  elif .op == "accept" then
    "\(.comm) takes a connection" + (if .remote then " from \(.remote)" else "" end) + " out of its listener's queue"
    + (if (.ret // -1) >= 0 then ": descriptor \(.ret)." else "." end), failure
  elif .op == "fork" then
    "\(.comm) makes a child, \(.child // "?")" + (if .shared then ", which shares \(plural(.shared; "TCP socket")) with it" else "" end) + ".", references
  elif .op == "eof" then
    "\(.comm) learns from \(call) on descriptor \(.fd) that the peer's FIN has come: no more will follow.", states
  elif .op == "reset" then
    "\(.comm) learns from \(call) on descriptor \(.fd) that the peer has reset the connection.", states
  elif .op == "release" then
    "Something that held the socket without a descriptor has let go of it.", references, verdict, states
  elif .op == "end" then
    "This process logged \(plural(.events // 0; "event")) and lost \(.lost // 0); it asked the kernel \(plural(.asked // 0; "time")), which knew better \(plural(.contradicted // 0; "time"))."
  elif .fin then
    "\(.comm) "
    + (if .op == "exit" then "ends (\(call)) with descriptor \(.fd) open"
       elif .op == "exec" then "starts another program (\(call)), which closes descriptor \(.fd)"
       elif .op == "shutdown" then "calls \(call), \(.how // "?"), on descriptor \(.fd)"
       else "gives up descriptor \(.fd) (\(call))" end)
    + (if .injected then ", changed by the fault rule \(.injected)" else "" end) + ".",
    failure, references, verdict, states
  else "\(.comm): \(call)" + (if .fd != null then " on descriptor \(.fd)" else "" end) + ".", failure, references end;

# The keys that the words rest on; the others (times, byte counts, the caller) stay in the file.
def shown: {op, version, command, call, fd, ret, errno, how, local, remote, refs_before, refs_after, holders, fin, why, verified,
  state_before, state_after, unread, pending, child, shared, events, lost, asked, contradicted}
  | with_entries(select(.value != null)) | if .op == "end" then del(.call, .fd, .ret) else . end;

def round1: . * 10 | round / 10;

sort_by(.time) as $events
| ([$events[] | select(.op == "connect" and .remote)][0]) as $connect
| ([$events[] | select(.role == "client" and .op == "close" and .fin == "sent")][0]) as $first
| ([$events[] | select(.role == "server" and .op == "accept")][0]) as $accept
| ([$events[] | select(.role == "server" and .op == "eof")][0]) as $eof
| ([$events[] | select(.role == "server" and .op == "close" and .fin == "sent")][0]) as $last
| ($events | to_entries[]
   | .key as $n | .value
   | "H\($n + 1).  +\((.time - $events[0].time) * 1000 | round1) ms  \(.comm), pid \(.pid)",
     "J\(shown | tojson)",
     "T\([words] | join(" "))"),
  # What all of it comes to, as far as it is there.
  (if $first and $eof and $last and $first.local == $last.remote and $first.remote == $last.local then
     "C\($first.comm) ended the connection \($first.local) -> \($first.remote) first: its \($first.call)() sent a FIN. "
     + "\($last.comm) saw it as the end of the stream (\($eof.call)()) and ended its own direction \((($last.time - $first.time) * 1000 | round1)) ms later: "
     + "its \($last.call)() sent the other FIN."
   else empty end),
  # What is missing of what the demo is there to show.
  (if $connect then empty else "Mno connect by the client" end),
  (if $accept then empty else "Mno accept by the server" end),
  (if $first then empty else "Mno close by the client that sent a FIN" end),
  (if $eof then empty else "Mno end of the stream seen by the server" end),
  (if $last then empty else "Mno close by the server that sent a FIN" end),
  ($events[] | select(.op == "end" and .lost != 0) | "M\(.lost) events of pid \(.pid) (\(.comm)) were lost")
