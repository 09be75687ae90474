#!/usr/bin/env bats
# scanf() in all its forms, by every name: C23's are libc's own since 2.38, and what newer headers make of it.

load helpers/log

each() {
  local name
  for name in scanf vscanf fscanf vfscanf wscanf vwscanf fwscanf vfwscanf; do
    rm -f "$LOG"
    "$@" "$name" || { echo "$name" && return 1; }
  done
}

sees() {
  trace CLOSETRACE_TRACE=all scanf "$1" "$2"
  [ "$(fact RET) $(fact VALUE) $(fact RET2)" = '1 12 -1' ]
  assert_event C op=read call="$2" fd=0 ret=3
  assert_event C op=eof call="$2"
}

fails() {
  trace CLOSETRACE_INJECT=read:error=ECONNRESET:when=1:role=client scanf "$1" "$2"
  [ "$(fact RET) $(fact VALUE)" = '-1 0' ]
  assert_event C op=read call="$2" errno=ECONNRESET .injected
}

@test "scanf: GNU's" {
  each sees gnu
  each fails gnu
}

@test "scanf: C99's" {
  each sees isoc99
  each fails isoc99
}

@test "scanf: C23's" {
  each sees isoc23
  each fails isoc23
}
