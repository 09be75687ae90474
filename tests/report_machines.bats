#!/usr/bin/env bats
# What machines make of a report: JSON, JUnit, TAP, exit statuses; findings chosen and ignored.

bats_require_minimum_version 1.5.0

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
}

# closed N COMM CALLER REST: the end of connection N.
closed() {
  printf '{"time":%d.5,"pid":10,"tid":10,"comm":"%s","op":"close","call":"close","fd":7,"ret":0,"socket":"%d",' "$((1000 + $1))" "$2" "$1"
  printf '"local":"127.0.0.1:80","remote":"127.0.0.1:%d","role":"server","refs_before":1,"refs_after":0,' "$((5000 + $1))"
  printf '"verified":true,"state_before":"ESTABLISHED","unsent":0,"sent":5,"received":5,"caller":"%s+0x1",%s}\n' "$3" "$4"
}

RESET='"fin":"reset","why":"unread-data","unread":3,"unacked":2'
NOTED='"fin":"reset","why":"unread-data","unread":3,"unacked":0'
FINE='"fin":"sent","why":"last-reference","unread":0,"unacked":0'

# Two findings of one kind, alike; one of another caller; a note; one that is fine.
some() {
  { closed 1 web web "$RESET" && closed 2 web web "$RESET" && closed 3 web other "$RESET" && closed 4 web web "$NOTED" &&
    closed 5 web web "$FINE"; } >trace
}

report() {
  "$CLOSETRACE" report trace "$@"
}

@test "json: a summary, findings, connections; each line an object with its schema" {
  some
  report --format=json >json
  [ "$(jq -c .schema json | sort -u)" = 1 ]
  [ "$(jq -r .kind json | uniq -c | awk '{ print $1 $2 }' | paste -sd ' ')" = "1summary 4finding 5connection" ]
  [ "$(jq -r 'select(.kind == "summary") | "\(.connections) \(.rsts) \(.findings) \(.notes)"' json)" = "5 4 3 1" ]
  [ "$(jq -r 'select(.kind == "finding") | "\(.rank) \(.caller) \(.alike)"' json | paste -sd ,)" = \
    "finding web+0x1 2,finding web+0x1 null,finding other+0x1 1,note web+0x1 1" ]
  jq -se 'map(select(.kind == "finding") | .finding == "reset-on-close" and (.evidence | length) == 3 and .server == "127.0.0.1:80") | all' json
  [ "$(jq -r 'select(.kind == "connection") | "\(.client) \(.server_end.end) \(.closed_first)"' json | sed -n 5p)" = \
    "127.0.0.1:5005 close FIN server" ]
}

@test "json, junit and text stay whole whatever a process is called" {
  closed 1 'a\"<&>\u001b]x' 'm<&\"' "$RESET" >trace
  report --format=json | jq -se 'map(select(.kind == "finding") | .comm) == ["a\"<&>\u001b]x"]'
  report --format=junit >xml
  python3 -c 'import xml.dom.minidom as x; print(x.parse("xml").getElementsByTagName("failure")[0].getAttribute("type"))' |
    grep -qx reset-on-close
  run ! grep -q $'\x1b' xml
  report --format=tap >tap
  run ! grep -q $'\x1b' tap
}

@test "junit: a finding is a failed case, a note is none; a trace without any has one case that passed" {
  some
  report --format=junit >xml
  [ "$(grep -c '<failure ' xml)" = 3 ]
  grep -q '<testsuite name="closetrace" tests="4" failures="3" ' xml
  python3 -c 'import xml.dom.minidom as x; x.parse("xml")'
  closed 5 web web "$FINE" >trace
  report --format=junit | grep -q 'tests="1" failures="0"'
}

@test "tap: as many lines as the plan says" {
  some
  report --format=tap >tap
  grep -qx '1\.\.4' tap
  [ "$(grep -c '^not ok ' tap)" = 3 ]
  [ "$(grep -c '^ok ' tap)" = 1 ]
  closed 5 web web "$FINE" >trace
  [ "$(report --format=tap | sed -n 2,3p | paste -sd ' ')" = "1..1 ok 1 - no findings" ]
}

@test "--fail, --only, --ignore: what is left decides" {
  some
  run -1 report --fail
  run -0 report --fail --ignore=reset-on-close
  run -0 report --fail --only=close-wait,gave-up
  run -1 report --fail --ignore='reset-on-close:caller=web*'
  run -0 report --fail --ignore='reset-on-close:caller=web*' --ignore='*:rport=5003'
  [[ $output == "5 connections, 1 FIN, 4 RSTs; 0 findings; "* ]]
  printf '# known\n\n  reset-on-close:raddr=127.0.0.0/8  # all of them\n' >known
  run -0 report --fail --ignore=@known
}

@test "--fail=possible: a possible finding is enough" {
  printf '%s\n' '{"time":1.0,"pid":1,"tid":1,"comm":"a","op":"shutdown","call":"shutdown","fd":3,"ret":0,"how":"SHUT_WR","socket":"9","local":"127.0.0.1:5","remote":"127.0.0.1:6","role":"client","fin":"sent","why":"shutdown","verified":true,"state_before":"ESTABLISHED"}' \
    '{"time":20.0,"pid":1,"tid":1,"comm":"a","op":"close","call":"close","fd":3,"ret":0,"socket":"9","local":"127.0.0.1:5","remote":"127.0.0.1:6","role":"client","fin":"already","why":"after-shutdown","verified":true,"state_before":"FIN_WAIT2","unread":0,"unsent":0,"sent":5,"received":5,"unacked":0,"idle":19.0}' >trace
  report | grep -q '^possible never-closed '
  run -0 report --fail
  run -1 report --fail=possible
}

@test "an --ignore that matched nothing is named; a bad one is refused" {
  some
  run -0 report --ignore=close-wait
  [[ $output == *'--ignore=close-wait matched nothing'* ]]
  run -125 report --ignore=close-wat
  [[ $output == *'no finding is called close-wat'* ]]
  run -125 report --only=reset-on-close,x
  run -125 report --ignore=reset-on-close:nokey=3
  run -125 report --ignore=@absent
  mkfifo fifo
  run -125 timeout 10 "$CLOSETRACE" report trace --ignore=@fifo
  run -125 report --format=xml
  [[ $output == *'expected text, json, junit, tap, html or perfetto'* ]]
}

@test "run --fail[=N]: where the command ended with 0 and there is a finding" {
  local program=$BATS_TEST_DIRNAME/programs/findings.py
  run -1 "$CLOSETRACE" run --fail -o t /usr/bin/python3 "$program" queue 3>&-
  run -7 "$CLOSETRACE" run --fail=7 -o t /usr/bin/python3 "$program" queue 3>&-
  run -0 "$CLOSETRACE" run --fail -o t /usr/bin/python3 "$program" empty_queue 3>&-
  run -5 "$CLOSETRACE" run --fail -o t /bin/sh -c "/usr/bin/python3 '$program' queue; exit 5" 3>&-
  run -125 "$CLOSETRACE" run --fail=0 true
  run -125 "$CLOSETRACE" run --fail=x true
}

@test "perfetto: Chrome trace events: a slice from each opening to its end, findings as instants, names of processes" {
  some
  "$CLOSETRACE" report --format=perfetto trace >out
  # The format's own rules: a phase, a time, ids of processes, and of asynchronous slices a category and an id each.
  jq -e '.traceEvents | length > 3 and all(has("ph") and has("pid") and has("tid") and (.ts | type == "number") and
    (.name | type == "string"))' out
  jq -e '[.traceEvents[] | select(.ph | IN("b", "n", "e"))] | all(has("cat") and (.id | type == "string"))' out
  jq -e '[.traceEvents[] | select(.ph == "i")] | all(.s | IN("g", "p", "t"))' out
  # Each slice ends, not before it began.
  jq -e '[.traceEvents[] | select(.ph | IN("b", "e"))] | group_by(.id) | length > 0 and
    all(length == 2 and .[0].ph == "b" and .[1].ph == "e" and .[0].ts <= .[1].ts and .[0].pid == .[1].pid)' out
  jq -e '[.traceEvents[] | select(.ph == "M" and .name == "process_name") | .args.name] | index("web") != null' out
  jq -e '[.traceEvents[] | select(.cat == "finding")] | length == 4 and all(.args.evidence | length > 0)' out
}
