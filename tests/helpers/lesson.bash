# shellcheck shell=bash
# Lessons (examples/): what each of them asserts, held against the log, the wire, and what its README shows. It loads
# helpers/scene, whose assertions are used.
#
#   lesson NUMBER [SETTING=VALUE...]
#                        plays examples/NUMBER-* in $NETNS, captured, with the log as JSON lines in $LOG (or, of a lesson that has several, in $LOG.1
#                        and so on: meet() reads $LOG). C1 and S1 are
#                        the client's and the server's end of its first connection, C2 and S2 of its second ...
#   assert_said LINE     one of its programs said so (or its run script did)
#   assert_refused WHO   WHO has sent one FIN, and RSTs: one for each segment that came after that
#   assert_shown         the recording in its README is what it shows today, in all that a run has in common with the next

load helpers/scene
load helpers/shown

play_lesson() {
  nsenter "--net=/run/netns/$NETNS" env LESSON_BUILT=1 LESSON_PLAIN=1 "BUILD=${PROGRAMS%/tests/programs}" "LIB=$LIB" "$@" \
    "$LESSON/run" 3>&-
}

# Both ends of a connection: who connected, and who accepted from that address.
meet() {
  local number=0 who address cookie
  while read -r who address cookie; do
    [ "$who" = S ] || number=$((number + 1))
    # shellcheck disable=SC2034 # log.bash has it
    FACTS[$who$number]=$address FACTS[${who}${number}_COOKIE]=$cookie
  done < <(jq -rs '. as $all | map(select(.op == "connect" and .ret == 0)) | sort_by(.time) | .[] | . as $c
    | "C \(.local) \(.socket)", ($all[] | select(.op == "accept" and .remote == $c.local) | "S \(.local) \(.socket)")' "$LOG")
}

lesson() {
  local folders=("$ROOT/examples/$1"-*/)
  LESSON=${folders[0]%/}
  shift
  play_lesson "LESSON_LOG=$LOG" "$@" >"$BATS_TEST_TMPDIR/facts" || log_fail "the lesson has failed" || return
  capture_stop || log_fail "the capture is not whole" || return
  jq -e -n '[inputs | select(.op == "end") | .lost == 0] | all' "$LOG"* >/dev/null || log_fail "events were lost" || return
  [ ! -e "$LOG" ] || meet
}

assert_said() {
  grep -qF -- "$1" "$BATS_TEST_TMPDIR/facts" || log_fail "nobody has said: $1"
}

assert_refused() {
  local rsts
  rsts=$(capture_count RST "$(fact "$1")")
  [ "$rsts" -gt 0 ] || log_fail "$1 has sent no RST" || return
  assert_wire "$1" fin=1 "rst=$rsts"
}

assert_shown() {
  recording '' "$LESSON/README.md" >"$BATS_TEST_TMPDIR/shown"
  play_lesson >"$BATS_TEST_TMPDIR/run" || return
  assert_same_essence "$BATS_TEST_TMPDIR/shown" "$BATS_TEST_TMPDIR/run" "examples/update ${LESSON##*/}"
}
