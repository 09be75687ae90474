#!/usr/bin/env bats
# Callers by name: addr2line is asked once a module, in time, about a file that can be trusted; else module+0xoffset.

# shellcheck disable=SC2154 # bats sets status, output

bats_require_minimum_version 1.5.0

load helpers/wait

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}
LIB=${LIB:-$BATS_TEST_DIRNAME/../libclosetrace.so}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  addr2line=$(command -v addr2line)
  mkdir bin
}

# A program with symbols whose close() resets a connection, and its trace; skips where libc names no callers.
program() {
  cat >server.c <<'C'
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
static void __attribute__((noinline)) finish(int fd) {
    close(fd);
    __asm__ volatile("");
}
static void __attribute__((noinline)) end(int fd) {
    close(fd);
    __asm__ volatile("" : : : "memory");
    __asm__ volatile("nop");
}
int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (void *)&address, size) || listen(listener, 9) || getsockname(listener, (void *)&address, &size))
        return 1;
    for (int i = 0; i < 3; i++) {
        client = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(client, (void *)&address, size) || send(client, "x", 1, 0) != 1)
            return 1;
        struct pollfd readable = {.fd = accept(listener, 0, 0), .events = POLLIN};
        poll(&readable, 1, 5000);
        (i < 2 ? finish : end)(readable.fd);
    }
    return 0;
}
C
  gcc -g -O1 -rdynamic -o server server.c
  LD_PRELOAD=$LIB CLOSETRACE_FORMAT=json CLOSETRACE_OUTPUT=$PWD/trace ./server
  grep -q '"caller"' trace || skip "this libc names no callers"
}

# fake SCRIPT: what is found as addr2line.
fake() {
  printf '#!/bin/sh\n%s\n' "$1" >bin/addr2line
  chmod +x bin/addr2line
}

reported() {
  PATH=$PWD/bin:$PATH "$CLOSETRACE" report "$@" trace
}

# unnamed: the report has the callers as they were logged, and nothing more.
unnamed() {
  reported >out
  [ "$(grep -cE 'called from server\+0x[0-9a-f]+' out)" = 2 ] || { cat out && return 1; }
}

@test "callers: function, file and line; in text, json, junit and tap; one process for all of a module" {
  program
  fake "echo >>'$PWD/asked'; exec '$addr2line' \"\$@\""
  reported --all >out
  [ "$(grep -cE 'called from finish at server\.c:6 \(server\+0x[0-9a-f]+\)' out)" = 2 ] || { cat out && return 1; }
  [ "$(grep -cE 'called from end at server\.c:10 \(server\+0x[0-9a-f]+\)' out)" = 1 ]
  [ "$(wc -l <asked)" = 1 ]
  reported --format=json | grep -q '"caller":"server+0x[0-9a-f]*","source":"finish at server.c:6"'
  reported --format=junit | grep -q 'called from finish at server\.c:6 (server+0x'
  reported --format=tap | grep -q '^# called from finish at server\.c:6 (server+0x'
}

@test "callers: a file without lines names functions; one without symbols, or that has changed, names nothing" {
  program
  strip -g server && cp trace before
  unnamed # it has changed since
  LD_PRELOAD=$LIB CLOSETRACE_FORMAT=json CLOSETRACE_OUTPUT=$PWD/later ./server
  mv later trace
  reported >out
  grep -qE 'called from finish \(server\+0x' out || { cat out && return 1; }
  strip server
  LD_PRELOAD=$LIB CLOSETRACE_FORMAT=json CLOSETRACE_OUTPUT=$PWD/later ./server
  mv later trace
  unnamed
}

@test "callers: without addr2line, or one that fails, babbles, or hangs: as they were logged, in time" {
  program
  PATH=$PWD/bin "$CLOSETRACE" report trace >out
  grep -qE 'called from server\+0x' out
  fake 'exit 1' && unnamed
  fake 'echo one line' && unnamed
  fake 'yes' && unnamed
  fake "echo \$\$ >'$PWD/pid'; echo finish; echo server.c:6; exec sleep 60"
  SECONDS=0
  unnamed
  [ $SECONDS -lt 20 ]
  [ ! -e "/proc/$(<pid)" ]
  # Its words are printed as anybody's are.
  fake 'for _ in 1 2; do printf "a\033[31mb\nserver.c:6\n"; done'
  reported >out
  run ! grep -q $'\e' out
  grep -q 'called from a.*b at server\.c:6 (server' out
}

@test "callers: only a file of root's or one's own, writable by nobody else, a regular one, an ELF file; never a shell" {
  program
  fake "echo >>'$PWD/asked'; exec '$addr2line' \"\$@\""
  # named PATH: the trace as of a program of that path.
  named() { sed "s|\"command\":\[\"[^\"]*\"|\"command\":[\"$1\"|" trace.real >trace; }
  rm trace
  chmod o+w server
  LD_PRELOAD=$LIB CLOSETRACE_FORMAT=json CLOSETRACE_OUTPUT=$PWD/trace.real ./server
  named ./server && unnamed
  mkdir elsewhere && mkfifo elsewhere/server
  named elsewhere/server && timeout 20 bash -c "$(declare -f unnamed reported); CLOSETRACE='$CLOSETRACE'; unnamed"
  rm elsewhere/server && echo 'no program' >elsewhere/server
  named elsewhere/server && unnamed
  rm elsewhere/server && mkdir elsewhere/server
  named elsewhere/server && unnamed
  [ ! -e asked ]
  # A name is one word, whatever is in it.
  # shellcheck disable=SC2016 # not to be carried out
  mkdir 'x$(touch made); touch made'
  # shellcheck disable=SC2016
  cp server 'x$(touch made); touch made/server;touch made'
  chmod o-w x*/*
  # shellcheck disable=SC2016
  named 'x$(touch made); touch made/server;touch made'
  sed -i 's/"caller":"server+/"caller":"server;touch made+/' trace
  sed -i 's/"time":1/"time":2/' trace
  reported >out
  [ -e asked ] && [ ! -e made ]
  grep -q 'finish at server\.c:6 (server;touch made+0x' out || { cat out && return 1; }
}
