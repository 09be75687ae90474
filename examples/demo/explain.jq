# What the trace of the demo comes to (jq -s): lines that begin with C (in short) or M (what is missing of what the demo is
# there to show). Each event by itself is explained by `closetrace print --explain`.

def round1: . * 10 | round / 10;

sort_by(.time) as $events
| ([$events[] | select(.op == "connect" and .remote)][0]) as $connect
| ([$events[] | select(.role == "client" and .op == "close" and .fin == "sent")][0]) as $first
| ([$events[] | select(.role == "server" and .op == "accept")][0]) as $accept
| ([$events[] | select(.role == "server" and .op == "eof")][0]) as $eof
| ([$events[] | select(.role == "server" and .op == "close" and .fin == "sent")][0]) as $last
| # What all of it comes to, as far as it is there.
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
