# What a shown trace asserts: from lines as closetrace prints them, and as the lessons show them, all that is the same in every
# run. Of two traces of one program the essences are equal, whatever the times, process ids and ports.
#
#   awk -f essence.awk FILE...      one line a fact: SECTION, WHO, what it did or said; sorted by WHO, each in its own order
#
# Kept: call, descriptor, result, references, verdict, reason, states; what a program says; headings. Dropped: times, ids,
# addresses, places in programs, numbers with a point or of three digits and more, the host's count of orphans, the number
# of events and the states (they are looked at by the clock), whether a FIN was seen that an RST followed at once, frames of a
# process (+++), whether a FIN was acknowledged already when the kernel was asked (FIN_WAIT1 or 2, LAST_ACK or gone), and who
# of two processes came first.

function emit(who, text) {
  sub(/called from .*/, "called from", text)
  gsub(/[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\.[0-9]+/, "N", text)
  gsub(/[0-9]+\.[0-9]+/, "N", text)
  gsub(/[0-9][0-9][0-9]+/, "N", text)
  gsub(/  +/, "  ", text)
  gsub(/->FIN_WAIT[12]/, "->FIN_WAIT", text)
  gsub(/CLOSE_WAIT->(CLOSE|LAST_ACK)/, "CLOSE_WAIT->", text)
  sub(/its end was in FIN_WAIT[12]/, "its end was in FIN_WAIT", text)
  sub(/orphan [0-9]+/, "orphan N", text)
  sub(/; [0-9]+ events/, "; N events", text)
  sub(/, [01] FINs?, 1 RST;/, ", N FINs, 1 RST;", text)
  printf "%02d|%s|%04d|%s\n", section, who, NR, text | sorter
}

BEGIN { sorter = "LC_ALL=C sort | sed 's/|[0-9][0-9][0-9][0-9]|/  /'" }

{ sub(/\r$/, "") }

/^```/ || /^<!--/ || /^$/ || / \+\+\+ / { next }

# What stands for two seconds is told: on a busy machine that may be more than in the recording.
/^ *([0-9]+  )?[0-9:.]+ +[0-9]+ [^ ]+  state [0-9]/ { next }

/^ *([0-9]+  )?[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\.[0-9]+ / {
  sub(/^ *([0-9]+  )?[0-9:.]+ +/, "")
  pid = $1
  sub(/^[0-9]+ /, "")
  if (!(pid in names)) {
    name = $1
    names[pid] = name (count[section, name]++ ? count[section, name] : "")
  }
  sub(/^[^ ]+  /, "")
  gsub(/<?TCP:\[[^]]*\]>?/, "")
  gsub(/held by [0-9]+/, "held by")
  gsub(/, [0-9]+/, ",")
  gsub(/thread [0-9]+/, "thread")
  sub(/fork\(\) = [0-9]+/, "fork()")
  sub(/  FIN_WAIT1->FIN_WAIT2$/, "")
  gsub(/FIN_WAIT[12]/, "FIN_WAIT")
  emit(names[pid], $0)
  next
}

/^  / {
  sub(/^ +/, "")
  emit("~ " ($1 ~ /^[0-9]/ ? "" : $1), $0)
  next
}

{
  section++
  emit("", $0)
}

END { close(sorter) }
