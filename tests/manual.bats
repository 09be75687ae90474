#!/usr/bin/env bats
# The manual, held against the code's own lists (closetrace --list): nothing goes undocumented, nothing is documented
# that does not exist. What a page documents in a section stands there in the head of an item.

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
CLOSETRACE=${CLOSETRACE:-$ROOT/closetrace}
USERS_PAGE=$ROOT/docs/closetrace.1
WORDS_PAGE=$ROOT/docs/closetrace.7
BATS_PAGE=$ROOT/docs/closetrace.bash.3

list() {
  "$CLOSETRACE" --list "$1"
}

# section PAGE TITLE: its lines, without those of the next section or subsection.
section() {
  awk -v title="$2" '/^\.S[hs] / { inside = substr($0, 5) == title; next } inside' "$1" | grep .
}

# words MACRO: the words that the macro marks, of the .It lines that are read, or of all lines (all).
words() {
  awk -v macro="$1" -v all="${2-}" '
    !all && !/^\.It / { next }
    {
      marked = ""
      for (i = 1; i <= NF; i++) {
        word = $i
        if (i == 1) sub(/^\./, "", word)
        if (word ~ /^(Ta|=)$/) break
        if (word ~ /^(It|Ns|Op|Oo|Oc|Po|Pc|or|[[:punct:]]+)$/) continue
        if (word ~ /^(Cm|Va|Ev|Fl|Ar|Em|Fn|Ql|Sx|Xr|Dv|Er|Pq|Bl|El|Pp|Pa|Sq|Dl)$/) { marked = word; continue }
        if (marked == macro) print (macro == "Fl" ? "-" : "") word
      }
    }'
}

# As above, where more follows behind the first value: "Fl o Ar FILE , Fl -output Ns = Ns Ar FILE".
heads() {
  sed -n 's/ Ns = Ns Ar [A-Z]*//g; s/ Ns = Ns [A-Z][a-z] [a-z]*//g; /^\.It /p' | words "$1"
}

# same WHAT FILE FILE: the sorted words of two lists; says which are missing on which side.
same() {
  sort -u "$2" >"$BATS_TEST_TMPDIR/documented"
  sort -u "$3" >"$BATS_TEST_TMPDIR/existing"
  [ -s "$BATS_TEST_TMPDIR/existing" ]
  comm -13 "$BATS_TEST_TMPDIR/documented" "$BATS_TEST_TMPDIR/existing" | sed "s/^/$1: not documented: /" >"$BATS_TEST_TMPDIR/wrong"
  comm -23 "$BATS_TEST_TMPDIR/documented" "$BATS_TEST_TMPDIR/existing" | sed "s/^/$1: documented, and does not exist: /" >>"$BATS_TEST_TMPDIR/wrong"
  cat "$BATS_TEST_TMPDIR/wrong"
  [ ! -s "$BATS_TEST_TMPDIR/wrong" ]
}

# documents PAGE TITLE MACRO LIST
documents() {
  same "$2" <(section "$1" "$2" | heads "$3") <(list "$4")
}

@test "manual: subcommands, and the options of each" {
  same SYNOPSIS <(section "$USERS_PAGE" SYNOPSIS | grep -v '^\.Op' | words Cm all) <(list subcommands)
  for subcommand in $(list subcommands); do
    documents "$USERS_PAGE" "$subcommand" Fl "$subcommand-options"
  done
  same expressions <(section "$USERS_PAGE" run | sed -n 's/^\.It Fl e Cm \([a-z]*\) .*/\1/p') <(list expressions)
}

@test "manual: settings, event classes, conditions, findings" {
  documents "$WORDS_PAGE" SETTINGS Ev settings
  documents "$WORDS_PAGE" 'EVENT CLASSES' Cm classes
  documents "$WORDS_PAGE" CONDITIONS Cm conditions
  documents "$WORDS_PAGE" FINDINGS Cm findings
}

@test "manual: events, verdicts, reasons" {
  documents "$WORDS_PAGE" EVENTS Cm op
  documents "$WORDS_PAGE" VERDICTS Cm fin
  documents "$WORDS_PAGE" REASONS Cm why
  same 'assert_fin' <(awk '/^\.It Fn assert_fin/ { inside = 1; next } /^\.It/ { inside = 0 } inside' "$BATS_PAGE" | words Cm all) \
    <(list fin)
}

@test "manual: keys, and the words that they take; conditions that are no keys stand apart" {
  same KEYS <(section "$WORDS_PAGE" KEYS | heads Va) <(list keys | grep -vxE 'lport|rport|laddr|raddr|state|refs')
  for key in how role would state_before state_after peer_state sigpipe last reach; do
    same "$key" <(section "$WORDS_PAGE" KEYS |
      awk -v key="$key" '/^\.It/ { inside = 0; for (i = 3; i <= NF; i++) if ($i == key) inside = 1; next } inside' |
      words Cm all) <(list "$key")
  done
  # Every key that takes a few words is among those.
  for key in $(list keys); do
    case $key in
      op | fin | why | would | how | role | state | state_before | state_after | peer_state | sigpipe | last | reach) ;;
      *) run ! list "$key" ;;
    esac
  done
}

@test "manual: calls and their functions, parts, ways, scopes" {
  documents "$WORDS_PAGE" Calls Cm calls
  same functions <(section "$WORDS_PAGE" Calls | grep -v '^\.It' | words Cm all) <(list functions)
  documents "$WORDS_PAGE" Parts Cm parts
  documents "$WORDS_PAGE" Ways Cm ways
  documents "$WORDS_PAGE" Scopes Cm scopes
}

@test "manual: the table of what goes together is the code's, as are the parts that exclude each other" {
  section "$WORDS_PAGE" 'What goes together' >"$BATS_TEST_TMPDIR/together"
  same 'matrix' <(awk -v calls="$(list calls | tr '\n' ' ')" '
    BEGIN { split(calls, call, " ") }
    /^\.It Cm .* Ta x/ || /^\.It Cm .* Ta \\&/ {
      n = split($0, cell, / Ta /)
      row = cell[1]
      sub(/^\.It Cm /, "", row)
      gsub(/ Ns (Cm )?/, "", row)
      for (i = 2; i <= n; i++) if (cell[i] == "x") row = row " " call[i - 1]
      print row
    }' "$BATS_TEST_TMPDIR/together") <(list matrix)
  same 'exclusions' <(sed -n 's/^\.It Cm \([a-z0-9_]*\) Ta Cm \([a-z0-9_]*\)$/\1 \2/p' "$BATS_TEST_TMPDIR/together") \
    <(list exclusions)
}

# Rules that the table allows are accepted, and the others are not: the lists do not contradict the parser.
@test "manual: the table of what goes together is what the parser accepts" {
  local row part call value accepted wrong=0
  while read -ra row; do
    part=${row[0]}
    case $part in
      error) value=:error=EIO ;;
      signal) value=:signal=TERM ;;
      delay_*) value=:$part=1 ;;
      when) value=:when=1:signal=TERM ;;
      scope) value=:scope=thread:signal=TERM ;;
      prob) value=:prob=1%:signal=TERM ;;
      hold) value=:hold=1s:as=HOLD ;;
      as=* | then=*) value=:$part ;;
      *) value=:$part=1 ;;
    esac
    for call in $(list calls); do
      # What needs a process that outlives is accepted by `run`; the program is one that does nothing.
      accepted=yes
      "$CLOSETRACE" run -o /dev/null -e "inject=$call$value" true 2>/dev/null || accepted=no
      [[ " ${row[*]:1} " != *" $call "* ]] || [ $accepted = yes ] || { echo "$call$value is refused" && wrong=1; }
      [[ " ${row[*]:1} " == *" $call "* ]] || [ $accepted = no ] || { echo "$call$value is accepted" && wrong=1; }
    done
  done < <(list matrix)
  [ $wrong = 0 ]
}

@test "manual: the helpers' functions, all of them that are for users" {
  same functions <(sed -n '/^\.Bd -literal/,/^\.Ed/p; /^\.Sh DESC/q' "$BATS_PAGE" | grep -oE '^(closetrace|assert|refute|wait)[a-z_]+') \
    <(sed -n 's/^# \([a-z_]* \).*/\1/p; /^closetrace_trace_of/s/(.*//p; /^closetrace_output/s/(.*//p' "$ROOT/cli/closetrace.bash" |
      tr -d ' ' | grep -xE '(closetrace_(run|start|stop|output|trace_of)|assert_[a-z_]+|refute_event|wait_for_event)')
  run -0 grep -oE '^(assert|refute|wait)[a-z_]*' "$ROOT/cli/closetrace.bash"
  for name in "${lines[@]}"; do
    grep -q "^\.It Fn $name" "$BATS_PAGE"
  done
}

@test "manual: --help is on standard output, exits with 0, and names no option that there is not" {
  local option
  for subcommand in $(list subcommands); do
    run -0 --separate-stderr "$CLOSETRACE" "$subcommand" --help
    # shellcheck disable=SC2154 # bats' run sets it
    [ -n "$output" ] && [ -z "$stderr" ]
    [[ ${lines[0]} == "Usage: closetrace $subcommand"* ]]
    while read -r option; do
      list "$subcommand-options" | grep -qxe "$option" || { echo "$subcommand $option" && return 1; }
    done < <(grep -oE '(^| )--?[a-zA-Z][a-z-]*' <<<"$output" | tr -d ' ')
    run -0 "$CLOSETRACE" "$subcommand" -h
  done
  run -0 --separate-stderr "$CLOSETRACE" help
  local said=$output
  run -0 --separate-stderr "$CLOSETRACE" --help
  [ "$output" = "$said" ]
  for subcommand in $(list subcommands); do
    [[ $output == *"  $subcommand "* ]]
  done
  run -0 "$CLOSETRACE" -h
  run -0 "$CLOSETRACE" -V
  [[ $output == 'closetrace '* ]]
  run -125 "$CLOSETRACE" --list nonsense
}

@test "manual: the pages are well-formed: mandoc and man find nothing" {
  for page in "$USERS_PAGE" "$WORDS_PAGE" "$BATS_PAGE"; do
    run -0 mandoc -Tlint -W warning "$page"
    [ "$output" = "" ]
    MANWIDTH=80 run -0 --separate-stderr man --warnings -l "$page"
    [ "$stderr" = "" ]
    # No line is too long for a terminal of 80 columns.
    [ "$(LC_ALL=C.UTF-8 wc -L <<<"$output")" -le 80 ] || { LC_ALL=C.UTF-8 grep -E '.{81}' <<<"$output" && return 1; }
  done
}
