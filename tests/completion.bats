#!/usr/bin/env bats
# Bash completion, as bash calls it: words broken at = and :, and what is offered for the last of them.

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
CLOSETRACE=${CLOSETRACE:-$ROOT/closetrace}

# offered WORD...: what is offered behind "closetrace WORD...", on one line; the last word is the one being typed.
offered() {
  COMP_LINE="closetrace $*" COMP_POINT=1000 bash --norc -c '
    PATH=$(dirname "$1"):$PATH
    source "$2"
    compopt() { :; }
    # The words as readline breaks them.
    COMP_WORDS=(closetrace)
    for word in "${@:3}"; do
      if [[ $word == *[=:]* ]]; then
        while [[ $word =~ ^([^=:]*)([=:]+)(.*)$ ]]; do
          [ -z "${BASH_REMATCH[1]}" ] || COMP_WORDS+=("${BASH_REMATCH[1]}")
          COMP_WORDS+=("${BASH_REMATCH[2]}")
          word=${BASH_REMATCH[3]}
        done
        [ -z "$word" ] || COMP_WORDS+=("$word")
      else
        COMP_WORDS+=("$word")
      fi
    done
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _closetrace
    printf "%s\n" "${COMPREPLY[@]}" | LC_ALL=C sort | tr "\n" " " | sed "s/ $//"' \
    - "$CLOSETRACE" "$ROOT/cli/completion.bash" "$@"
}

offers() {
  local expected=$1
  shift
  run -0 offered "$@"
  [ "$output" = "$expected" ] || { echo "offered behind $*: $output" && return 1; }
}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  : >trace.jsonl
}

@test "completion: subcommands and their options, all of them" {
  offers '--help --list --version grep now print report run' ''
  offers 'report' rep
  offers '--messages' run --m
  offers '--follow' print --fo
  offers '--color --connection' report --c
  offers '--color --count' grep --c
  offers 'keys' --list ke
  run -0 offered grep trace.jsonl -
  for option in $("$CLOSETRACE" --list grep-options); do
    [[ " $output " == *" $option "* ]]
  done
}

@test "completion: files, where a trace is read or written" {
  offers trace.jsonl print tr
  offers trace.jsonl report tr
  offers trace.jsonl grep tr
  offers trace.jsonl run -o tr
  offers trace.jsonl run --messages=tr
}

@test "completion: grep's keys, and the words that a key can be" {
  offers 'state= state_after= state_before= status=' grep trace.jsonl sta
  offers 'sent' grep trace.jsonl fin=s
  offers 'CLOSE CLOSE_WAIT CLOSING' grep trace.jsonl state=CLOS
  offers 'SHUT_RD SHUT_RDWR SHUT_WR' grep trace.jsonl how=
  offers 'unread-data' grep trace.jsonl why!=un
  offers 'sent,queued' grep trace.jsonl fin=sent,q
  offers 'withheld' print trace.jsonl fin=w
  offers '' grep trace.jsonl lport=8
}

@test "completion: addresses, ports and programs of the trace" {
  # shellcheck disable=SC2016 # not to be carried out
  printf '{"local":"%s","remote":"%s","comm":"%s"}\n' 127.0.0.1:80 127.0.0.1:50001 nginx '[::1]:443' '[::1]:50002' curl \
    '10.0.0.1:80' '10.0.0.2:1$(touch made)' '$(touch made)' >trace.jsonl
  offers '50001 80' report trace.jsonl --connection 127.0.0.1:
  offers '50001' report trace.jsonl --connection=127.0.0.1:5
  offers '10.0.0.1:80' report trace.jsonl --connection 10
  offers '50001 50002' report trace.jsonl --connection 500
  offers '443 50001 50002 80' grep trace.jsonl lport=
  offers '80,443' print trace.jsonl lport=80,4
  offers '10.0.0.1 127.0.0.1' grep trace.jsonl raddr=1
  offers '443 50002' grep trace.jsonl 'local=[::1]:'
  offers 'curl nginx' print trace.jsonl comm=
  [ ! -e made ]
}

@test "completion: a report's formats and findings, colours" {
  offers 'json junit' report trace.jsonl --format=j
  offers 'trace.jsonl' report trace.jsonl -o tr
  offers 'close-wait,port-held' report trace.jsonl --only=close-wait,po
  offers 'close-wait' report trace.jsonl --ignore=close-
  offers 'always auto' print trace.jsonl --color=a
  offers 'always auto' run --color=a
}

@test "completion: run's expressions: classes, calls, parts, ways, conditions" {
  offers 'fault= inject= only= trace= verify=' run -e ''
  offers 'refs' run -e trace=r
  offers 'open,refs' run -e trace=open,r
  offers 'kernel' run -e verify=k
  offers 'shutdown' run -e inject=sh
  offers 'short=' run -e inject=write:sh
  offers 'RST' run -e inject=close:as=R
  offers 'connection' run -e inject=close:as=RST:scope=c
  offers 'client' run -e inject=close:as=RST:role=c
  offers 'lport=' run -e only=lp
  offers 'json' run --format=j
}

@test "completion: behind run's options comes the program" {
  run -0 offered run -o trace.jsonl -e trace=end bas
  [[ " $output " == *' bash '* ]]
  offers trace.jsonl run cat tr
}
