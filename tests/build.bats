#!/usr/bin/env bats
# What `make` builds and installs, and that the project's own files keep their word about it.

bats_require_minimum_version 1.5.0

setup_file() {
  cd "$BATS_TEST_DIRNAME/.." || return
  make -j2 LIB="$BATS_FILE_TMPDIR/lib.so" COMMAND="$BATS_FILE_TMPDIR/command" BUILD="$BATS_FILE_TMPDIR/build" V=1 \
    >"$BATS_FILE_TMPDIR/make.log" 2>&1 ||
    { cat "$BATS_FILE_TMPDIR/make.log" && return 1; }
}

setup() {
  cd "$BATS_TEST_DIRNAME/.." || return
  lib=$BATS_FILE_TMPDIR/lib.so
  stage=$BATS_TEST_TMPDIR/stage
}

# A make of this test's own: no flags of another one, its output in a folder of its own.
own_make() {
  make -j2 LIB="$BATS_TEST_TMPDIR/lib.so" COMMAND="$BATS_TEST_TMPDIR/command" BUILD="$BATS_TEST_TMPDIR/build" "$@"
}

# The same without the compilation: what was built in setup_file is what gets installed.
built_make() {
  make LIB="$BATS_FILE_TMPDIR/lib.so" COMMAND="$BATS_FILE_TMPDIR/command" BUILD="$BATS_FILE_TMPDIR/build" "$@"
}

# loads COMMAND...: whether the program, run with LD_PRELOAD=libclosetrace.so, has the library mapped.
loads() {
  local out
  out=$("$@" env LD_PRELOAD=libclosetrace.so cat /proc/self/maps 2>&1) || return
  echo "$out"
  [[ $out == */libclosetrace.so* && $out != *'cannot be preloaded'* ]]
}

@test "build: gcc builds it without a warning" {
  own_make CC=gcc WERROR= >"$BATS_TEST_TMPDIR/log" 2>&1
  run ! grep -i warning "$BATS_TEST_TMPDIR/log"
}

@test "build: clang builds it without a warning" {
  own_make CC=clang WERROR= >"$BATS_TEST_TMPDIR/log" 2>&1
  run ! grep -i warning "$BATS_TEST_TMPDIR/log"
}

@test "build: a plain make fails on a warning" {
  mkdir "$BATS_TEST_TMPDIR/copy"
  cp -r Makefile preload cli "$BATS_TEST_TMPDIR/copy"
  cd "$BATS_TEST_TMPDIR/copy"
  echo 'static int closetrace_unused;' >>preload/pure/event.c
  run -2 make build/preload/pure/event.o
  [[ $output == *-Werror* ]]
}

@test "build: -O0, -O3 and hardening flags leave a library that loads, with the same symbols" {
  for flags in -O0 '-O3 -g0' '-O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fvisibility=default'; do
    own_make CFLAGS="$flags" "$BATS_TEST_TMPDIR/lib.so" >"$BATS_TEST_TMPDIR/log" 2>&1 || { cat "$BATS_TEST_TMPDIR/log" && return 1; }
    run -0 env LD_PRELOAD="$BATS_TEST_TMPDIR/lib.so" /bin/true
    [ "$output" = "" ]
    run -0 diff <(nm -D --defined-only "$lib" | awk '{ print $3 }' | sort) \
      <(nm -D --defined-only "$BATS_TEST_TMPDIR/lib.so" | awk '{ print $3 }' | sort)
  done
}

@test "build: STATIC=1: a command that runs where there is nothing but it" {
  local root=$BATS_TEST_TMPDIR/root
  mkdir "$root"
  own_make STATIC=1 COMMAND="$root/closetrace" CFLAGS=-O1 "$root/closetrace" >"$BATS_TEST_TMPDIR/log" 2>&1
  echo '{"time":1.5,"pid":7,"tid":7,"comm":"server","op":"close","call":"close","fd":3,"ret":0,"fin":"sent"}' >"$root/trace"
  PATH=$PATH:/usr/sbin # chroot, of an ordinary user
  run -0 unshare -r chroot "$root" /closetrace print /trace
  [[ $output == *server*close* ]]
  run -0 unshare -r chroot "$root" /closetrace --version
}

@test "build: a second make does nothing, another flag makes everything anew" {
  own_make CFLAGS=-O1 "$BATS_TEST_TMPDIR/lib.so" >/dev/null
  run -0 own_make CFLAGS=-O1 "$BATS_TEST_TMPDIR/lib.so"
  [ "$output" = "" ]
  run -0 own_make CFLAGS=-O0 "$BATS_TEST_TMPDIR/lib.so"
  [[ $output == *'CC      preload/pure/event.c'* ]]
}

@test "build: another flag, another compiler for the fuzzers makes their objects anew too" {
  object=$BATS_TEST_TMPDIR/build/fuzzed/preload/pure/event.o
  own_make FUZZ_CC=clang "$object" >/dev/null
  run -0 own_make FUZZ_CC=clang "$object"
  [ "$output" = "" ]
  run -0 own_make FUZZ_CC=clang CPPFLAGS=-DANOTHER "$object"
  [[ $output == *'CC      preload/pure/event.c (fuzzer)'* ]]
  run -0 own_make FUZZ_CC='clang -v' CPPFLAGS=-DANOTHER "$object"
  [[ $output == *'CC      preload/pure/event.c (fuzzer)'* ]]
}

@test "build: a changed header makes anew what includes it" {
  mkdir "$BATS_TEST_TMPDIR/copy"
  cp -r Makefile preload cli "$BATS_TEST_TMPDIR/copy"
  cd "$BATS_TEST_TMPDIR/copy"
  make build/preload/pure/event.o >/dev/null
  touch -d '+2 seconds' preload/pure/event.h
  run -0 make build/preload/pure/event.o
  [[ $output == *'CC      preload/pure/event.c'* ]]
}

@test "build: a plain make uses all cores, and one with -j as many as it says" {
  mkdir "$BATS_TEST_TMPDIR/copy"
  cp -r Makefile preload cli "$BATS_TEST_TMPDIR/copy"
  cd "$BATS_TEST_TMPDIR/copy"
  # Two compilers that wait for each other: nobody who runs one at a time gets past them.
  mkfifo meet
  cat >cc <<'END'
#!/bin/sh
case $* in
  *pure/event.c*) echo >meet ;;
  *pure/rule.c*) read -r _ <meet ;;
esac
for word; do case $last in -o) : >"$word" ;; esac; last=$word; done
END
  chmod +x cc
  [ "$(nproc)" -gt 1 ] || skip "one core"
  timeout 60 make CC=./cc >/dev/null
  run -0 make -n -j1
  [[ $output != *' -j'[2-9]* ]]
}

@test "build: V=1 shows the commands, with CC, CPPFLAGS, CFLAGS, LDFLAGS and LDLIBS in them; without it a short line" {
  run -0 own_make -n V=1 CC=my-cc CPPFLAGS=-DMINE CFLAGS=-Omine LDFLAGS=-Lmine LDLIBS=-lmine
  [[ $output == *'my-cc '*'-DMINE '*'-Omine '*' -c '*event.c* ]]
  [[ $output == *'my-cc '*'-Omine '*'-Lmine '*'-shared '*' -lmine'* ]]
  run -0 own_make CC=gcc
  [[ $output == *'CC      preload/pure/event.c'* && $output != *'gcc '* ]]
}

@test "build: the command lines of setup_file hold the flags that the library needs" {
  grep -q -- '-fPIC.*-c .*event.c' "$BATS_FILE_TMPDIR/make.log"
  grep -q -- '-ftls-model=initial-exec.*-c .*event.c' "$BATS_FILE_TMPDIR/make.log"
  readelf -d "$lib" | grep -q 'FLAGS_1.*NOW.*INITFIRST'
  readelf -d "$lib" | grep -qF 'soname: [libclosetrace.so]'
}

@test "build: it needs libc and nothing else" {
  [ "$(objdump -p "$lib" | awk '/NEEDED/ { print $2 }')" = libc.so.6 ]
}

@test "build: it calls nothing of libc's that takes much of a stack" {
  run -0 nm -D --undefined-only "$lib"
  [[ ! $output =~ ' '(strstr|strcasestr|memmem|[a-z]*printf|[a-z]*scanf)(@|$'\n'|$) ]]
}

@test "build: every symbol that it exports is one that libc exports too: hooks, nothing of our own" {
  libc=$(ldd "$lib" | awk '$1 == "libc.so.6" { print $3 }')
  nm -D --defined-only "$libc" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u >"$BATS_TEST_TMPDIR/libc"
  nm -D --defined-only "$lib" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u >"$BATS_TEST_TMPDIR/ours"
  grep -qx close "$BATS_TEST_TMPDIR/ours"
  # What came later than the libc that is here (tests/symbols.bats looks at it).
  sed -n 's/^HOOK(\(.*\)).* since .*/\1/p' preload/kernel/hooks.def | sort -u - "$BATS_TEST_TMPDIR/libc" >"$BATS_TEST_TMPDIR/known"
  run -0 comm -13 "$BATS_TEST_TMPDIR/known" "$BATS_TEST_TMPDIR/ours"
  [ "$output" = "" ]
}

@test "build: no executable stack, no text relocations, no writable and executable segment" {
  run -0 readelf -lW "$lib"
  [[ $output != *' RWE '* ]]
  [[ $output == *GNU_RELRO* ]]
  run -0 readelf -d "$lib"
  [[ $output != *TEXTREL* ]]
}

@test "build: the command is position-independent, bound at once, read-only then, its stack guarded; the library's is not" {
  command=$BATS_FILE_TMPDIR/command
  run -0 readelf -hldW "$command"
  [[ $output == *'Type:'*'DYN'* && $output == *'(FLAGS_1)'*'NOW'*'PIE'* && $output == *GNU_RELRO* ]]
  [[ $output != *' RWE '* && $output != *TEXTREL* ]]
  nm -D --undefined-only "$command" | grep -q '__stack_chk_fail'
  # A child of clone() may have no thread-local storage to read the guard from.
  own_make CFLAGS='-O2 -fstack-protector-all -flto' >"$BATS_TEST_TMPDIR/log" 2>&1 || { cat "$BATS_TEST_TMPDIR/log" && return 1; }
  run ! grep -q __stack_chk_fail <(nm -D --undefined-only "$BATS_TEST_TMPDIR/lib.so")
  LD_PRELOAD=$BATS_TEST_TMPDIR/lib.so "$BATS_TEST_TMPDIR/command" --version
}

@test "build: the TLS is of the static kind: no hook can end up in the loader's malloc" {
  if readelf -lW "$lib" | grep -q ' TLS '; then
    readelf -d "$lib" | grep -q '(FLAGS).*STATIC_TLS'
  fi
  run -0 nm -D --undefined-only "$lib"
  [[ $output != *__tls_get_addr* ]]
}

@test "install: PREFIX and DESTDIR say where; uninstall leaves nothing behind" {
  run -0 built_make install DESTDIR="$stage" PREFIX=/opt/here
  [ -f "$stage/opt/here/lib/libclosetrace.so" ]
  [ "$(stat -c %a "$stage/opt/here/lib/libclosetrace.so")" = 644 ]
  cmp "$lib" "$stage/opt/here/lib/libclosetrace.so"
  cmp cli/closetrace.bash "$stage/opt/here/lib/bats/closetrace/load.bash"
  cmp cli/completion.bash "$stage/opt/here/share/bash-completion/completions/closetrace"
  [ -f "$stage/opt/here/share/man/man1/closetrace.1" ]
  [ -f "$stage/opt/here/share/man/man3/closetrace.bash.3" ]
  [ -f "$stage/opt/here/share/man/man7/closetrace.7" ]
  run -0 find "$stage" -mindepth 1 -not -path "$stage/opt*"
  [ "$output" = "" ]
  run -0 built_make uninstall DESTDIR="$stage" PREFIX=/opt/here
  [ ! -e "$stage" ]
}

@test "install: uninstall leaves folders that were there before, or are not empty" {
  mkdir -p "$stage/opt/here/bin"
  run -0 built_make install DESTDIR="$stage" PREFIX=/opt/here
  touch "$stage/opt/here/share/man/mine"
  run -0 built_make uninstall DESTDIR="$stage" PREFIX=/opt/here
  [ "$(cd "$stage" && find . -type d | sort | paste -sd ' ')" = '. ./opt ./opt/here ./opt/here/bin ./opt/here/share ./opt/here/share/man' ]
  rm "$stage/opt/here/share/man/mine"
  run -0 built_make uninstall DESTDIR="$stage" PREFIX=/opt/here
  [ "$(cd "$stage" && find . -type d | sort | paste -sd ' ')" = '. ./opt ./opt/here ./opt/here/bin' ]
}

@test "install: the default is /usr/local; LIBDIR and MANDIR can be set; a second install replaces the first" {
  built_make install DESTDIR="$stage"
  [ -f "$stage/usr/local/lib/libclosetrace.so" ]
  built_make install DESTDIR="$stage"
  built_make install DESTDIR="$stage" LIBDIR=/usr/lib/mine MANDIR=/man
  [ -f "$stage/usr/lib/mine/libclosetrace.so" ]
  for page in docs/*.[137]; do
    [ ! -e "$page" ] || [ -f "$stage/man/man${page##*.}/${page##*/}" ]
  done
}

@test "install: LD_PRELOAD=libclosetrace.so is found in a folder where the loader looks" {
  built_make install DESTDIR="$stage" PREFIX=/usr
  loads env LD_LIBRARY_PATH="$stage/usr/lib"
}

# The real thing, /usr/local and ldconfig's cache included, in a mount namespace where those folders are copies.
@test "install: make install, then LD_PRELOAD=libclosetrace.so by its plain name; uninstall takes it away" {
  own_mounts=(unshare --mount)
  [ "$(id -u)" = 0 ] || own_mounts+=(--map-root-user)
  "${own_mounts[@]}" true 2>/dev/null || skip "no mount namespaces here"
  export lib BUILT=$BATS_FILE_TMPDIR/build COPY=$BATS_TEST_TMPDIR
  mkdir -p "$COPY"/{etc,local,cache}
  cp -a /etc/. "$COPY/etc" 2>/dev/null || true # without root some files stay away; none that matter here
  export -f loads
  # shellcheck disable=SC2016 # the inner shell's variables
  run -0 "${own_mounts[@]}" bash -euc '
    mount --bind "$COPY/etc" /etc
    mount --bind "$COPY/local" /usr/local
    mount --bind "$COPY/cache" /var/cache/ldconfig
    make LIB="$lib" COMMAND="${lib%/*}/command" BUILD="$BUILT" install
    loads | grep " /usr/local/lib/libclosetrace.so$" >/dev/null
    make LIB="$lib" COMMAND="${lib%/*}/command" BUILD="$BUILT" uninstall
    if loads || grep libclosetrace /etc/ld.so.cache; then exit 1; fi'
  [[ $output != *'is not where the loader looks'* ]]
  [ -z "$(find "$COPY/local" -mindepth 1)" ]
}

@test "install: where the loader does not look, make install says what to do" {
  run -0 built_make install PREFIX="$BATS_TEST_TMPDIR/odd"
  [[ $output == *"LD_PRELOAD=$BATS_TEST_TMPDIR/odd/lib/libclosetrace.so"* ]]
  built_make uninstall PREFIX="$BATS_TEST_TMPDIR/odd"
  [ ! -e "$BATS_TEST_TMPDIR/odd" ]
}

@test "clean: removes what was built, and nothing else" {
  mkdir "$BATS_TEST_TMPDIR/copy"
  cp -r Makefile preload cli "$BATS_TEST_TMPDIR/copy"
  cd "$BATS_TEST_TMPDIR/copy"
  find . | sort >../before
  make >/dev/null
  [ -f libclosetrace.so ]
  [ -x closetrace ]
  make clean >/dev/null
  find . | sort >../after
  cmp ../before ../after
}

@test "help: every target that a user calls is listed" {
  run -0 make help
  read -ra targets < <(sed -n 's/^\.PHONY: //p' Makefile)
  for target in "${targets[@]}"; do
    case $target in all | built | help | test-programs | FORCE) continue ;; esac
    [[ $output == *"make $target"* ]]
  done
}

@test "readme: CI runs exactly the line that the README gives for the tests" {
  line=$(tail -n 1 .ci/run)
  [ "$line" = 'tests/deps && make test' ]
  grep -qxF "    $line" README.md
}

@test "version: the library's is the changelog's, and the package's" {
  version=$(sed -n 's/^VERSION = //p' Makefile)
  [ "$(sed -n '1s/.*(\(.*\)).*/\1/p' packaging/debian/changelog)" = "$version" ]
  grep -q "^## \[\?$version\]\?" CHANGELOG.md
}

@test "deps: names real packages, installs nothing where nothing is missing" {
  run -0 tests/deps --list
  for package in $(tr -d '*' <<<"$output"); do
    [ -n "$(apt-cache show --no-all-versions "$package" 2>/dev/null || dpkg-query -W "$package")" ]
  done
  run -0 tests/deps build
  [ "$output" = "deps: everything for \`build' is installed" ]
  run -2 tests/deps nonsense
}
