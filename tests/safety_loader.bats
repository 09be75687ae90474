#!/usr/bin/env bats
# Programs into which the loader puts the library, and which it leaves alone: run with privileges that their user has
# not; of another libc.

load helpers/safety

CLOSETRACE=${CLOSETRACE:-$ROOT/closetrace}

# in_secure_mode IDS COMMAND...: by $TRACER, with the library in /etc/ld.so.preload, IDS (real, effective, saved user) set before.
in_secure_mode() {
  # shellcheck disable=SC2016 # the inner shell's
  unshare -m bash -c '
    mount -t tmpfs -o mode=755 tmpfs /mnt && mkdir /mnt/upper /mnt/work &&
      mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc || exit 77
    cp "$1" /mnt/libclosetrace.so && chmod 4755 /mnt/libclosetrace.so && echo /mnt/libclosetrace.so >/etc/ld.so.preload
    ids=$2 && shift 2
    exec timeout 20 $TRACER python3 -c "
import os, sys
os.setresuid(*eval(sys.argv[1]))
for key in list(os.environ):
    if key.startswith(\"PATIENT_\"): os.environ[\"CLOSETRACE_\" + key[8:]] = os.environ[key]
os.execv(sys.argv[2], sys.argv[2:])" "$ids" "$@"' bash "$LIB" "$@"
}

# bats test_tags=root
@test "loader: in secure-execution mode nothing is read, nothing written, nothing said" {
  local status=0 out=$BATS_TEST_TMPDIR/out err=$BATS_TEST_TMPDIR/err
  cd "$BATS_TEST_TMPDIR"
  mkfifo rules
  in_secure_mode 0,0,0 /bin/grep -c libclosetrace /proc/self/maps >out || status=$?
  [ "$status" != 77 ] || skip "no overlay can be mounted here"
  [ "$(cat out)" -gt 0 ]

  # the same with and without privileges of another
  PATIENT_OUTPUT=$PWD/log PATIENT_FORMAT=json in_secure_mode 0,0,0 "$PROGRAMS/safety_output" rounds 2
  [ -s log ]
  PATIENT_OUTPUT=$PWD/secure PATIENT_FORMAT=json PATIENT_INJECT=@rules PATIENT_TRACE=nonsense \
    in_secure_mode 65534,0,0 "$PROGRAMS/safety_output" rounds 2 >"$out" 2>"$err"
  [ ! -e secure ]
  [ ! -s "$err" ]
  TRACER='strace -o calls' PATIENT_OUTPUT=$PWD/secure PATIENT_FORMAT=json \
    in_secure_mode 65534,0,0 "$PROGRAMS/safety_output" rounds 1
  [ ! -e secure ]
  # what the program has opened that is no library
  tac calls | sed '/^execve/q' | grep open >opened
  grep -q libclosetrace opened
  run grep -vE 'libclosetrace|/lib|ld\.so' opened
  [ -z "$output" ] || { echo "$output" && false; }
}

@test "loader: a program of another libc runs as it would without" {
  command -v musl-gcc >/dev/null || skip "no musl-gcc: the package musl-tools"
  local program=$BATS_TEST_TMPDIR/program
  musl-gcc -Wall -Wextra -Werror -pthread -o "$program" "$ROOT/tests/programs/other_libc.c"
  cd "$BATS_TEST_TMPDIR"
  echo word | bare "$program" again
  [ "$(status_of bare)" = 7 ]
  echo word | traced "$program" again
  assert_as_bare
  grep -qx 'got a line' traced.out
  [ ! -s "$LOG" ] || [ "$(jq -s 'map(select(.comm == "program")) | length' "$LOG")" = 0 ]

  # as a child of programs that are traced; as the command's own it is supervised, and refused where it is not to be
  # shellcheck disable=SC2016 # the inner shell's
  LD_PRELOAD=$LIB CLOSETRACE_OUTPUT=log2 sh -c 'echo word | "$1" >out; [ $? = 7 ]' sh "$program"
  # shellcheck disable=SC2016 # the inner shell's
  "$CLOSETRACE" run -o trace --messages=said sh -c 'echo word | "$1" >out; [ $? = 7 ]' sh "$program"
  grep -qx 'got a line' out
  grep -q "^closetrace: program (process [0-9]*) ran without the library" said
  run "$CLOSETRACE" run --reach=preload "$program"
  [ "$status" = 125 ]
  run "$CLOSETRACE" run "$program" <<<word
  [ "$status" = 7 ]
}
