#!/usr/bin/env bats
# The documents: what they link to exists, the tests that they name exist, drawings are those of their sources, and what they
# show is what a run shows today.

load helpers/shown

ROOT=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
PROGRAMS=${PROGRAMS:-$ROOT/build/tests/programs}

documents() {
  find "$ROOT" -maxdepth 1 -name '*.md'
  find "$ROOT/docs" "$ROOT/examples" -name '*.md'
}

# GitHub's name of a heading.
anchors() {
  sed -n 's/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

@test "docs: every link between documents leads somewhere" {
  local document link file anchor bad=0
  while read -r document; do
    while read -r link; do
      [[ $link != *://* ]] || continue
      file=${link%%#*} anchor=
      [[ $link != *#* ]] || anchor=${link#*#}
      file=$(dirname "$document")/$file
      [ -n "${link%%#*}" ] || file=$document
      [ -e "$file" ] && { [ -z "$anchor" ] || grep -qxF -- "$anchor" <(anchors "$file"); } ||
        { echo "${document#"$ROOT"/}: $link" && bad=1; }
    done < <(grep -oE '\]\([^) ]+\)' "$document" | sed 's/^](//; s/)$//' | sort -u)
  done < <(documents)
  [ $bad = 0 ]
}

@test "docs: every test that a document names exists, in the file that it links to" {
  local name bad=0
  [ "$(grep -c '\[tests\](' "$ROOT/docs/tcp-close.md")" -gt 5 ]
  while read -r file name; do
    grep -qF "@test $name {" "$ROOT/docs/$file" || { echo "$file has no test $name" && bad=1; }
  done < <(grep -oE '\[tests\]\([^)]*\)( ?,? "[^"]*")+' "$ROOT/docs/tcp-close.md" |
    sed -E 's/\[tests\]\(([^)]*)\)/\1/' |
    awk '{ file = $1; n = split($0, part, "\""); for (i = 2; i < n; i += 2) print file, "\"" part[i] "\"" }')
  [ $bad = 0 ]
}

@test "docs: every drawing is that of its source (if not: docs/diagrams/draw)" {
  local source drawing
  for source in "$ROOT"/docs/diagrams/*.dot; do
    drawing=${source%.dot}.svg
    [ "$(tail -n 1 "$drawing")" = "<!-- ${source##*/} $(sha256sum <"$source" | cut -d ' ' -f 1) -->" ] ||
      { echo "$drawing is out of date" && return 1; }
    grep -q '</svg>' "$drawing"
    grep -qF "(diagrams/$(basename "$drawing"))" "$ROOT"/docs/*.md
  done
}

# Each in a network namespace of its own, all at once: mostly they wait.
@test "docs: the recipes of the cookbook show what they showed" {
  local recipe name pids=() bad=0
  for recipe in "$ROOT"/docs/cookbook/*.sh; do
    name=$(basename "$recipe" .sh)
    "$recipe" >"$BATS_TEST_TMPDIR/$name.run" 2>&1 3>&- &
    pids+=("$!")
    recording "$name" "$ROOT/docs/cookbook.md" >"$BATS_TEST_TMPDIR/$name.shown"
  done
  for name in "${pids[@]}"; do
    wait "$name" || bad=1
  done
  for recipe in "$BATS_TEST_TMPDIR"/*.run; do
    name=$(basename "$recipe" .run)
    assert_same_essence "${recipe%.run}.shown" "$recipe" "docs/cookbook/update $name" || { echo "in $name" && cat "$recipe" && bad=1; }
  done
  [ $bad = 0 ]
}

@test "docs: the picture and the line in the README are what the recipe shows on a terminal" {
  sed -n 's/^<text>//p' "$ROOT/docs/terminal/run.svg" | sed 's/<[^>]*>//g; s/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g; s/ *$//' \
    >"$BATS_TEST_TMPDIR/picture"
  "$ROOT/docs/terminal/record" --print >"$BATS_TEST_TMPDIR/recipe" 3>&-
  assert_same_essence "$BATS_TEST_TMPDIR/picture" "$BATS_TEST_TMPDIR/recipe" docs/terminal/record
  line=$(recording line "$ROOT/README.md" | grep -v '^[<`]')
  [ "$(wc -l <<<"$line")" = 1 ]
  grep -qxF "$(essence <<<"$line" | cut -d '|' -f 2)" <(essence "$BATS_TEST_TMPDIR/recipe" | cut -d '|' -f 2)
}

@test "docs: the ladder in the story is that of lesson 3 today" {
  recording ladder "$ROOT/docs/tcp-close.md" >"$BATS_TEST_TMPDIR/shown"
  env LESSON_BUILT=1 "BUILD=${PROGRAMS%/tests/programs}" "$ROOT/docs/terminal/ladder" >"$BATS_TEST_TMPDIR/run" 3>&- 4>&-
  assert_same_essence "$BATS_TEST_TMPDIR/shown" "$BATS_TEST_TMPDIR/run" docs/terminal/record
}
