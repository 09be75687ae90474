#!/usr/bin/env bats
# What `closetrace report` makes of the recorded traces of tests/findings: that, and no more.

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}
CORPUS=$BATS_TEST_DIRNAME/findings

# expected_of NAME: its lines, "RANK FINDING PATTERN".
expected_of() {
  sed -nE "s/^$1 +//p" "$CORPUS/expected" | sed -E 's/  +/ /'
}

found_in() {
  "$CLOSETRACE" report "$CORPUS/$1.jsonl" | grep -E '^(finding|possible|note) ' || :
}

# One line for each that was expected, which its pattern meets.
judge() {
  local found expected rank finding pattern
  found=$(found_in "$1")
  expected=$(expected_of "$1")
  if [ "$expected" = nothing ]; then
    [ -z "$found" ] || { echo "$1: nothing would be right: $found" && return 1; }
    return
  fi
  [ "$(wc -l <<<"$found")" = "$(wc -l <<<"$expected")" ] || { echo "$1: $expected would be right: $found" && return 1; }
  while read -r rank finding pattern; do
    [ "$(grep -E "^$rank $finding " <<<"$found" | grep -cE -e "$pattern")" = 1 ] ||
      { echo "$1: $rank $finding $pattern would be right: $found" && return 1; }
  done <<<"$expected"
}

judge_all() {
  local name wrong=0
  for name in "$@"; do
    judge "$name" || wrong=1
  done
  [ "$#" -gt 10 ] && [ $wrong = 0 ]
}

# names SED-CONDITION: of the scenes
names() {
  grep -vE '^(#|$)' "$CORPUS/expected" | sed -nE "$1" | cut -d ' ' -f 1 | uniq
}

@test "what is wrong in recorded traces is said, with its evidence, and nothing else" {
  # shellcheck disable=SC2046 # words
  judge_all $(names '/ nothing$/!p')
}

@test "of recorded traces in which nothing is wrong nothing is said" {
  # shellcheck disable=SC2046 # words
  judge_all $(names '/ nothing$/p')
}

@test "the recorded traces are small, all are judged, and half of them are controls" {
  diff <(names p | sort) <(cd "$CORPUS" && printf '%s\n' *.jsonl | sed 's/\.jsonl$//' | sort)
  [ "$(names '/ nothing$/p' | wc -l)" -ge "$(names '/ nothing$/!p' | wc -l)" ]
  [ "$(du -sk --apparent-size "$CORPUS" | cut -f 1)" -lt 700 ]
  [ -z "$(find "$CORPUS" -name '*.jsonl' -size +20k)" ]
}
