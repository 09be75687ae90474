#!/usr/bin/env bats
# What counts as a use of a connection (`used`), and the file whose code made a call (`caller`).

load helpers/log

# used HOW: what the child's last event of the connection says.
used() {
  rm -f "$LOG"
  trace use by "$1"
  events C ".pid == $(fact CHILD) and .fin" | jq -s 'last.used'
}

@test "use: to flush nothing, to write nothing is none" {
  local how
  for how in flush flush-twice flush-all wide-flush close empty write-nothing; do
    [ "$(used $how)" = false ] || log_fail "$how"
  done
}

@test "use: whatever is written, or read" {
  local how
  for how in puts putc-flush wide-puts printf printf-close unbuffered write read-in-vain; do
    [ "$(used $how)" = true ] || log_fail "$how"
  done
}

@test "caller: the file that is mapped, whatever the program calls itself" {
  trace use renamed
  assert_event C op=close '.caller | startswith("use+0x")'
  # A copy of it by another name, and by a link of yet another.
  cp "$PROGRAMS/use" "$BATS_TEST_TMPDIR/other"
  ln -s other "$BATS_TEST_TMPDIR/link"
  rm -f "$LOG"
  trace "$BATS_TEST_TMPDIR/link" renamed
  assert_event C op=close '.caller | startswith("other+0x")'
  # The file has gone when it is asked for.
  rm -f "$LOG"
  cat >"$BATS_TEST_TMPDIR/vanishing" <<'SH'
#!/bin/sh
exec 3<"$1" && rm "$1" && exec /proc/self/fd/3 renamed
SH
  chmod +x "$BATS_TEST_TMPDIR/vanishing"
  trace "$BATS_TEST_TMPDIR/vanishing" "$BATS_TEST_TMPDIR/other"
  assert_event C op=close '.caller | startswith("other+0x")'
}

@test "caller: a library by its own name" {
  rm -f "$LOG"
  trace /usr/bin/python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); s.close()'
  [[ $(jq -r 'select(.op == "close") | .caller' "$LOG") =~ ^(python3[.0-9]*|_socket.*|libpython.*)\+0x ]]
}
