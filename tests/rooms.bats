#!/usr/bin/env bats
# The rooms of the code (docs/architecture.md): arrows between them run down, and never round; what the library takes
# from libc; one static name for one thing. tests/rooms knows the order.

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
OBJECTS=${OBJECTS:-$ROOT/build}

setup() {
  cd "$ROOT" || exit
}

# A tree of a few rooms, to be made wrong: each argument is FILE=TEXT.
tree() {
  local pair file
  mkdir -p "$BATS_TEST_TMPDIR/tree"
  cd "$BATS_TEST_TMPDIR/tree" || return
  mkdir -p preload/kernel cli
  : >preload/kernel/hooks.def
  for pair in "$@"; do
    file=${pair%%=*}
    mkdir -p "$(dirname "$file")" "$(dirname "build/$file")"
    printf '%b\n' "${pair#*=}" >"$file"
  done
  for file in preload/*/*.c cli/*.c; do
    [ -e "$file" ] || continue
    local object=build/${file%.c}.o
    [[ $file != cli/* ]] || object=build/command/${file%.c}.o
    mkdir -p "$(dirname "$object")"
    "${CC:-cc}" -Ipreload -Icli -c -o "$object" "$file" || return
  done
}

# wrong CHECK WORDS: the check finds that, and nothing else, in the tree.
wrong() {
  run -1 "$ROOT/tests/rooms" --root . --build build "$1"
  [ "$output" = "$2" ]
}

@test "rooms: every #include runs down, and none round" {
  run -0 tests/rooms include
}

@test "rooms: every symbol is defined further down, by the objects, and none round" {
  run -0 tests/rooms --build "$OBJECTS" symbols
}

@test "rooms: the library takes nothing from libc that allocates, locks or is not async-signal-safe" {
  run -0 tests/rooms --build "$OBJECTS" libc
}

@test "rooms: a static name stands in one file of the library" {
  run -0 tests/rooms names
}

@test "rooms: each has a README of about ten lines" {
  run -0 tests/rooms readmes
}

@test "rooms: an #include that runs up is found" {
  tree 'preload/calls/b.h=void b(void);' 'preload/kernel/a.c=#include "calls/b.h"'
  wrong include 'preload/kernel/a -> preload/calls/b: runs up (#include "calls/b.h")'
  mkdir preload/hooks
  mv preload/kernel/a.c preload/hooks/a.c
  run -0 "$ROOT/tests/rooms" --root . include
}

@test "rooms: a symbol that runs up is found, without any header" {
  tree 'preload/calls/b.c=void b(void) {}' 'preload/kernel/a.c=void b(void); void a(void) { b(); }'
  wrong symbols 'preload/kernel/a -> preload/calls/b: runs up (b)'
}

@test "rooms: a circle within a room is found, by #include and by symbols" {
  tree 'preload/refs/a.h=void a(void);' 'preload/refs/b.h=#include "c.h"' 'preload/refs/c.h=#include "a.h"' \
    'preload/refs/a.c=#include "b.h"\nvoid b(void); void a(void) { b(); }' \
    'preload/refs/b.c=void a(void); void b(void) { a(); }'
  wrong include 'preload/refs/a -> preload/refs/b -> preload/refs/c: a circle'
  wrong symbols 'preload/refs/a -> preload/refs/b: a circle'
}

@test "rooms: the command in the library's calls, malloc() in the library, a name that stands twice, an unknown room" {
  tree 'preload/calls/b.c=void b(void) {}' 'cli/main.c=void b(void); int main(void) { b(); }' \
    'preload/pure/a.c=void *malloc(unsigned long size); void *a(void) { return malloc(1); }\nstatic int one;\nint *at_a(void) { return &one; }' \
    'preload/pure/c.c=static int one(int x) {\n    return x;\n}\nint c(int x) { return one(x); }'
  wrong symbols 'cli/main -> preload/calls/b: the command has nothing to do with that room (b)'
  wrong libc 'preload/pure/a: takes malloc from libc'
  wrong names 'one: static in preload/pure/a.c and preload/pure/c.c'
  tree 'preload/cellar/a.c=#include "kernel/b.h"' 'preload/kernel/b.h='
  run -1 "$ROOT/tests/rooms" --root . include
  [[ $output == 'preload/cellar/a: a room that tests/rooms does not know'* ]]
}

# helpers_of FILE: it, and what it loads, and what that loads.
helpers_of() {
  local name
  echo "$1"
  while read -r name; do
    helpers_of "tests/$name.bash"
  done < <(sed -n 's/^load \(helpers\/[a-z]*\)$/\1/p' "$1")
}

@test "tests: each file runs by itself: what tests/run tells it has a default" {
  local file name files
  for file in tests/*.bats; do
    mapfile -t files < <(helpers_of "$file")
    for name in LIB CLOSETRACE PROGRAMS OBJECTS; do
      if grep -qE "\\\$\{?$name\b[^:]" "${files[@]}"; then
        grep -qE "\\\$\{$name:-" "${files[@]}" || { echo "$file: of $name nothing is known without tests/run" && return 1; }
      fi
    done
  done
}

@test "guards: each line of the list names code that is there, and tests that are there" {
  run -0 tests/mutate --check
}

# in_backquotes PATTERN FILE...: what stands so in the text, each once.
in_backquotes() {
  grep -ohE "\`$1" "${@:2}" | tr -d '`()' | sort -u
}

@test "architecture: each function, file and recipe that it names is there" {
  local name path
  while read -r name; do
    grep -rqE "\b$name\b" preload cli || { echo "there is no $name()" && return 1; }
  done < <(in_backquotes '[a-z_0-9]+\(\)' docs/architecture.md)
  while read -r path; do
    [[ $path == *NAME* || -e $path || -e preload/$path || -e cli/$path ]] || compgen -G "preload/$path.*" >/dev/null ||
      { echo "there is no $path" && return 1; }
  done < <(in_backquotes '[a-z_0-9]+/[a-zA-Z_0-9./]+[a-z]`' docs/architecture.md CONTRIBUTING.md)
  while read -r name; do
    grep -qix "### ${name//-/ }" CONTRIBUTING.md || { echo "CONTRIBUTING has no recipe: $name" && return 1; }
  done < <(grep -oE 'CONTRIBUTING.md#[a-z-]+' docs/architecture.md | cut -d'#' -f2)
}

@test "tests: one that does not end in time has failed, and says so; nothing that is printed is lost" {
  mkdir -p "$BATS_TEST_TMPDIR/tests/unit"
  cp tests/run tests/lint "$BATS_TEST_TMPDIR/tests"
  printf '%s\n' '@test "quick" { true; }' '@test "slow" { sleep 60; }' '@test "wrong" { echo why && false; }' \
    '@test "left out" { skip now; }' >"$BATS_TEST_TMPDIR/tests/three.bats"
  # None of this bats' variables reaches that one.
  run ! env -i PATH="${PATH//"$BATS_LIBEXEC:"/}" HOME="$HOME" BATS_TEST_TIMEOUT=1 "$BATS_TEST_TMPDIR/tests/run" three
  [[ $output == *'not ok  '*'slow # timeout after 1s'*'due to timeout'*'not ok  '*'wrong'*'why'* ]]
  [[ $output == *'left out # skip now'*'1 passed, 2 failed, 1 skipped' ]]
}

# Without root such a test would only fail, where it could be left out and counted.
@test "tests: what makes network namespaces, captures or changes its user bears the tag root" {
  run awk '
    # What stands outside the tests serves those of them that have the tag.
    function told() { if (!some) printf "%s", outside; outside = "" }
    FNR == 1 { told(); whole = some = tagged = inside = cares = 0 }
    FILENAME ~ /rooms.bats$/ { next } # this very pattern
    /^# bats file_tags=(.*,)?root(,|$)/ { whole = some = 1 }
    /^# bats test_tags=(.*,)?root(,|$)/ { tagged = some = 1 }
    /^load helpers\/(scene|servers)/ { outside = outside FILENAME ": " $0 "\n" }
    /^@test / { name = $0; needs = cares = 0; inside = 1 }
    /"[$]status" != 127|id -u/ { cares = 1 }
    /netns_create|ip netns|setpriv("?, "| )--reuid|capture_start/ {
      needs = 1
      if (!inside && !cares) outside = outside FILENAME ": " $0 "\n"
    }
    /^}/ && inside {
      if (needs && !cares && !tagged && !whole) print FILENAME ": " name
      tagged = inside = 0
    }
    END { told() }' tests/*.bats
  [ "$output" = "" ] || { echo "$output" && return 1; }
}

# Headers of glibc 2.31 lack these numbers; ours has them.
@test "older headers: who makes a system call that they do not name includes kernel/older.h" {
  local file numbers
  numbers=$(sed -n 's/^#define \(SYS_[a-z0-9_]*\) .*/\1/p' preload/kernel/older.h | paste -sd'|')
  while read -r file; do
    "${CC:-cc}" -MM -std=gnu11 -Ipreload -Icli "$file" | grep -F 'kernel/older.h' >/dev/null || { echo "$file" && return 1; }
  done < <(grep -lwE "$numbers" preload/*/*.c preload/*.c cli/*.c cli/*/*.c)
}
