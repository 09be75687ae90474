#!/usr/bin/env bats
# bats file_tags=root
# References across processes where counting is hard: killed holders, holders without hooks, many of them, no memory
# for the ledger, no /proc. Whatever the ledger says, the log is right.

load helpers/scene

held_by() {
  echo ".holders | length == 1 and .[0].pid == $1 and .[0].fd == $2"
}

# So many lines of the log, of whatever socket, meet this.
assert_lines() {
  local found
  found=$(jq -n "[inputs | select($2)] | length" "$LOG")
  [ "$found" = "$1" ] || log_fail "$found lines of the log instead of $1 meet: $2"
}

@test "ledger: a holder killed by SIGKILL holds nothing, and the kernel knew better" {
  scene ledger holder-killed
  assert_event C op=close fin=sent why=last-reference verified=true refs=1-0
  assert_lines 1 ".op == \"end\" and .pid == $(fact PID) and .contradicted == 1"
  assert_wire C fin=1 rst=0
}

@test "ledger: who has ended is not taken for another process that has come to his id" {
  trace ledger id-again
  assert_event C op=close fin=withheld why=references verified=true "$(held_by "$(fact CHILD)" "$(fact C_FD)")"
}

@test "ledger: a forked holder is named, and its death by SIGKILL lets the FIN go" {
  scene ledger holder-lives
  assert_event C op=close fin=withheld why=references verified=true refs=2-1 \
    "$(held_by "$(fact CHILD)" "$(fact C_FD)")" '.refs_partial == null'
  assert_verdicts C withheld
  assert_wire C fin=1 rst=0
}

@test "ledger: a holder that runs without the library is found and named" {
  scene ledger holder-without-hooks
  assert_event C op=close fin=withheld why=references verified=true refs=2-1 \
    "$(held_by "$(fact CHILD)" "$(fact C_FD)")" '.holders[0].comm == "sleep"'
  assert_verdicts C withheld
  assert_wire C fin=1 rst=0
}

@test "ledger: three hundred children that came and went leave nothing behind in the count" {
  scene ledger many-children 300
  assert_event C op=dup refs=1-2
  assert_event C op=close fd="$(fact C_FD)" fin=withheld verified=true refs=2-1 "$(held_by "$(fact PID)" "$(fact DUP)")"
  assert_event C op=close fd="$(fact DUP)" fin=sent verified=true refs=1-0
  assert_lines 1 ".op == \"end\" and .pid == $(fact PID) and .contradicted == 0"
}

@test "ledger: thousands of sockets, and a child that has them all" {
  scene ledger many-sockets 4000
  local closed=$(($(fact COUNT) / 100))
  assert_lines "$closed" ".op == \"close\" and .fin == \"withheld\" and .verified and .refs_before == 2
    and .refs_after == 1 and .holders[0].pid == $(fact CHILD)"
  assert_lines "$closed" '.op == "close" and .fin == "sent" and .verified and .refs_before == 1 and .refs_after == 0'
}

# Without /proc nobody can be looked at: the ledger's word is taken, the verdict is the kernel's.
@test "ledger: without /proc" {
  scene ledger no-proc
  assert_event C op=close fd="$(fact C_FD)" fin=withheld why=references verified=true refs=2-1
  assert_event C op=close fd="$(fact DUP)" fin=sent verified=true refs=1-0
  assert_wire C fin=1 rst=0
}

# The holder is another user's, and not shown: the ledger knows of it, and nobody can look.
@test "ledger: with a /proc that hides processes (hidepid)" {
  scene ledger hidden-processes
  assert_event C op=close fd="$(fact C_FD)" fin=withheld why=references verified=true refs=2-1 \
    "(.holders | length == 1 and .[0].pid == $(fact CHILD)) or .refs_partial"
  assert_wire C fin=1 rst=0
}

@test "ledger: a process killed in the middle of an update leaves the count as it was" {
  KILLS=1 scene ledger killed-in-update 60
  local pid
  pid=$(fact PID)
  assert_lines 60 ".op == \"close\" and .pid == $pid and .fin == \"withheld\" and .refs_before == 2 and .refs_after == 1
    and .verified and .refs_partial == null"
  assert_lines 61 ".op == \"close\" and .pid == $pid and .socket == \"$(fact C_COOKIE)\""
  assert_event C op=close fd="$(fact C_FD)" pid="$pid" fin=sent verified=true refs=1-0
}

# More than the ledger has room for, in all: sockets of which it knows are counted by it, others in /proc. Half a
# minute of it: `make stress`.
@test "ledger: more than 65,536 sockets, in several processes that each have as many as they may" {
  [ -n "${STRESS-}" ] || skip "make stress runs it"
  CLOSETRACE_TRACE=end scene ledger too-many-sockets 4
  [ "$(fact SOCKETS)" -gt 65536 ] || echo "# only $(fact SOCKETS) may be open here" >&3
  assert_lines 16 '.op == "close" and .fin == "withheld" and .verified and .refs_before == 2 and .refs_after == 1
    and (.holders | length == 1) and .refs_partial == null'
  assert_lines 16 '.op == "close" and .fin == "sent" and .verified and .refs_before == 1 and .refs_after == 0
    and .refs_partial == null'
}

@test "ledger: no memory for it: the kernel and /proc do" {
  local limit
  # The least in which the program runs bare; the library's shared memory does not fit.
  for limit in 3000000 4000000 5000000 6000000; do
    prlimit --as=$limit "$PROGRAMS/ledger" plain >/dev/null 2>&1 && break
  done
  LOG=$BATS_TEST_TMPDIR/log
  nsenter "--net=/run/netns/$NETNS" prlimit --as=$((limit + 1000000)) env "LD_PRELOAD=$LIB" "CLOSETRACE_OUTPUT=$LOG" \
    CLOSETRACE_FORMAT=json "$PROGRAMS/ledger" plain >"$BATS_TEST_TMPDIR/facts"
  jq -e -n '[inputs | select(.op == "close" and .role == "client") | [.fin, .refs_before, .refs_after, .verified]]
    == [["withheld", 2, 1, true], ["sent", 1, 0, true]]' "$LOG"
}

@test "ledger: without it (kernel only) the log says the same" {
  local only=$BATS_TEST_TMPDIR/only say
  say='select(.op != "start" and .op != "end") | [.op, .fd, .fin, .why, .verified, .refs_before, .refs_after, .state_before]'
  make -s -C "$BATS_TEST_DIRNAME/.." BUILD="$only" LIB="$only/libclosetrace.so" CPPFLAGS=-DCLOSETRACE_LEDGER=0 \
    "$only/libclosetrace.so"
  for scene in holder-lives holder-killed holder-without-hooks plain; do
    trace "CLOSETRACE_OUTPUT=$only/with" ledger "$scene" || [ -s "$only/with" ]
    LIB=$only/libclosetrace.so trace "CLOSETRACE_OUTPUT=$only/without" ledger "$scene" || [ -s "$only/without" ]
    diff <(jq -c "$say" "$only/with") <(jq -c "$say" "$only/without")
    rm "$only/with" "$only/without"
  done
}

@test "ledger: nothing stays behind, even if all are killed" {
  local before after left
  before=$(find /dev/shm /tmp -maxdepth 1 ! -name 'bats-*' ! -path "$BATS_TMPDIR*" | sort)
  nsenter "--net=/run/netns/$NETNS" env "LD_PRELOAD=$LIB" "CLOSETRACE_OUTPUT=$BATS_TEST_TMPDIR/log" \
    "$PROGRAMS/ledger" holder-lives >"$BATS_TEST_TMPDIR/facts"
  LD_PRELOAD=$LIB CLOSETRACE_OUTPUT=$BATS_TEST_TMPDIR/log setsid nsenter "--net=/run/netns/$NETNS" "$PROGRAMS/ledger" tree \
    >"$BATS_TEST_TMPDIR/tree" 3>&- &
  # shellcheck disable=SC2016 # another shell's
  timeout 20 bash -c 'until grep -q READY "$0"; do sleep 0.05; done' "$BATS_TEST_TMPDIR/tree"
  kill -KILL -- "-$!"
  wait $! || [ $? = 137 ]
  after=$(find /dev/shm /tmp -maxdepth 1 ! -name 'bats-*' ! -path "$BATS_TMPDIR*" | sort)
  left=$(comm -13 <(echo "$before") <(echo "$after") | grep -i closetrace || :)
  [ "$left" = "" ]
}
