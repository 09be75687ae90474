#!/usr/bin/env bats
# Browsers, as an ordinary user: sandboxes, children of clone() without libc's storage, hundreds of threads. They load a
# page with the library as they do without. Skipped where they are not installed, or do not run: they are no dependency.
# run: alone

load helpers/wait

setup() {
  place=$(mktemp -d /tmp/closetrace-browser.XXXXXX)
  chmod 755 "$place"
  cp "${LIB:-$BATS_TEST_DIRNAME/../libclosetrace.so}" "$place/libclosetrace.so"
  cp "${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}" "$place/closetrace"
  mkdir "$place/site" "$place/user"
  echo '<html><body><h1>it is loaded</h1><img src="/second"></body></html>' >"$place/site/index.html"
  user=()
  if [ "$(id -u)" = 0 ]; then
    chown nobody "$place/user"
    user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
  fi
  started=()
}

teardown() {
  local pid
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || :; done
  rm -rf "$place"
}

serve() {
  python3 -u -m http.server --bind 127.0.0.1 --directory "$place/site" 0 >"$place/serving" 2>"$place/asked" 3>&- &
  started+=($!)
  until_true grep -q 'port [0-9]' "$place/serving"
  url=http://127.0.0.1:$(sed -n 's/.* port \([0-9]*\).*/\1/p' "$place/serving")/index.html
}

# as_user COMMAND...: with a home of its own, in a minute
as_user() {
  local status=0
  rm -rf "$place/user/home"
  # shellcheck disable=SC2016 # the inner shell's
  timeout -k 5 60 "${user[@]}" env -i PATH="$PATH" HOME="$place/user/home" XDG_RUNTIME_DIR="$place/user" TERM=dumb \
    sh -c 'mkdir "$HOME" && cd "$HOME" && exec "$@"' sh "$@" >"$place/out" 2>"$place/err" || status=$?
  [ $status = 0 ] || { echo "status $status: $*" && tail -n 20 "$place/out" "$place/err" && return 1; }
}

# loads COMMAND...: asks for the page and for what is in it
loads() {
  : >"$place/asked"
  as_user "$@" && grep -q 'GET /index.html' "$place/asked" && grep -q 'GET /second' "$place/asked"
}

# browses COMMAND...: bare, preloaded, under the command
browses() {
  loads "$@" || skip "it does not run here without the library either"
  loads env LD_PRELOAD="$place/libclosetrace.so" CLOSETRACE_OUTPUT="$place/user/log" CLOSETRACE_FORMAT=json "$@"
  jq -se 'map(select(.op == "close" and .role == "client" and .fin == "sent" and .verified)) != []' \
    "$place/user/log"
  loads "$place/closetrace" run -o "$place/user/trace" --messages="$place/user/said" "$@"
  jq -se 'map(select(.op == "close" and .role == "client" and .fin == "sent")) != [] and
    all(.op != "end" or .lost == 0)' "$place/user/trace"
}

@test "browsers: Chromium, headless" {
  command -v chromium >/dev/null || skip "chromium is not installed"
  serve
  browses chromium --headless --disable-gpu --user-data-dir="$place/user/profile" --dump-dom "$url"
  grep -q '<h1>it is loaded</h1>' "$place/out"
}

@test "browsers: Firefox, headless" {
  command -v firefox-esr >/dev/null || skip "firefox-esr is not installed"
  serve
  browses firefox-esr --headless --no-remote --profile "$place/user/home" --screenshot "$place/user/home/shot.png" "$url"
  [ -s "$place/user/home/shot.png" ]
}
