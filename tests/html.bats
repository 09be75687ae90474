#!/usr/bin/env bats
# closetrace report --format=html: one page that loads nothing, escapes everything, and says what the text says. Looked at
# with an HTML parser, and in Chromium where there is one: it is no dependency.

# shellcheck disable=SC2154 # bats sets status, output

bats_require_minimum_version 1.5.0

CLOSETRACE=${CLOSETRACE:-$BATS_TEST_DIRNAME/../closetrace}
LIB=${LIB:-$BATS_TEST_DIRNAME/../libclosetrace.so}

setup() {
  cd "$BATS_TEST_TMPDIR" || return
}

# connection N COMM CALL FIN: both ends of one, closed by the server with CALL: an RST with bytes lost, or a FIN.
connection() {
  local n=$1 comm=$2 call=$3 time=1795810000.$((100000 + $1)) server client closed
  server='"pid":10,"tid":10,"comm":"'$comm'","socket":"'$((2 * n))'","local":"127.0.0.1:80","remote":"127.0.0.1:'$((1024 + n))'","role":"server"'
  client='"pid":20,"tid":20,"comm":"curl","socket":"'$((2 * n + 1))'","local":"127.0.0.1:'$((1024 + n))'","remote":"127.0.0.1:80","role":"client"'
  closed='"ret":0,"refs_before":1,"refs_after":0,"verified":true,"unsent":0,"sent":500,"received":70'
  echo "{\"time\":$time,\"op\":\"connect\",\"call\":\"connect\",\"fd\":3,\"ret\":0,$client}"
  echo "{\"time\":$time,\"op\":\"accept\",\"call\":\"accept4\",\"fd\":6,\"ret\":7,$server}"
  if [ "$4" = reset ]; then
    echo "{\"time\":$time,\"op\":\"close\",\"call\":\"$call\",\"fd\":7,$closed,\"fin\":\"reset\",\"why\":\"unread-data\",\"state_before\":\"ESTABLISHED\",\"state_after\":\"CLOSE\",\"unread\":312,\"unacked\":400,$server}"
  else
    echo "{\"time\":$time,\"op\":\"close\",\"call\":\"$call\",\"fd\":7,$closed,\"fin\":\"sent\",\"why\":\"last-reference\",\"state_before\":\"ESTABLISHED\",\"state_after\":\"FIN_WAIT2\",\"unread\":0,\"unacked\":0,$server}"
    echo "{\"time\":$time,\"op\":\"close\",\"call\":\"close\",\"fd\":3,$closed,\"fin\":\"sent\",\"why\":\"last-reference\",\"state_before\":\"CLOSE_WAIT\",\"state_after\":\"LAST_ACK\",\"unread\":0,\"unacked\":0,$client}"
  fi
}

# page [TRACE...]: the report of them, in page.html.
page() {
  "$CLOSETRACE" report --format=html -o page.html "$@" || return
}

# parsed EXPRESSION: what Python says of the page: tags (name, attributes), text, ids.
parsed() {
  python3 - "$1" <<'PYTHON'
import html.parser, sys
class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.words, self.open, self.bad = [], [], [], []
    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "line", "polygon", "circle", "input", "link", "img", "br"):
            self.open.append(tag)
    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.bad.append(tag)
    def handle_data(self, data):
        self.words.append(data)
page = Page()
page.feed(open("page.html", encoding="utf-8").read())
names = [tag for tag, _ in page.tags]
ids = [a["id"] for _, a in page.tags if "id" in a]
words = " ".join(" ".join(page.words).split())
whole = not page.bad and not page.open and len(ids) == len(set(ids))
sys.exit(not eval(sys.argv[1]))
PYTHON
}

@test "html: summary, findings with evidence and what to do, a ladder each, connections by kind; well-formed" {
  for n in {1..40}; do connection "$n" nginx close sent; done >trace
  connection 41 nginx close reset >>trace
  connection 42 nginx close reset >>trace
  page trace
  parsed whole
  parsed '"reset-on-close" in words and "1 more like it" in words and "What to do: Read to the end before closing" in words'
  parsed 'names.count("svg") == 1 and names.count("article") == 1 and "312 bytes were unread" in words'
  parsed 'names.count("tr") == 42 + 2 and "40 × curl -> nginx 127.0.0.1:80" in words'
  # Headings, labels and references that a screen reader goes by.
  parsed 'all(a["aria-labelledby"] in ids for _, a in page.tags if "aria-labelledby" in a)'
  parsed 'names.count("h1") == 1 and names.count("main") == 1 and all(a.get("scope") for t, a in page.tags if t == "th")'
  parsed 'any(a.get("lang") == "en" for t, a in page.tags if t == "html")'
  # Nothing is loaded.
  parsed 'not any(key in a for _, a in page.tags for key in ("src", "style")) and "link" not in names'
  parsed 'all(a["href"].startswith("#") and a["href"][1:] in ids for t, a in page.tags if t == "a")'
}

@test "html: notes alone are worth knowing, and nothing is wrong; where there is nothing that is said" {
  connection 1 nginx close reset | sed 's/"unacked":400/"unacked":0/' >trace
  page trace
  parsed 'whole and "Worth knowing" in words and "If it matters:" in words and "What is wrong" not in words'
  connection 1 nginx close sent >trace
  page trace
  parsed 'whole and "Nothing was found wrong." in words and names.count("svg") == 0 and "of 1 kind:" in words'
}

@test "html: markup, quotes, control characters and turned text of a trace are text" {
  {
    connection 1 '<img src=x>' '\"><script>alert(1)</script>' reset
    connection 2 "'onload='" '</svg></title><b>' reset
    connection 3 '&lt;\u202e\u001b[3' 'close' reset
    printf '{"time":1795810001,"pid":9,"tid":9,"comm":"<u>","op":"unseen","reach":"static"}\n'
  } >trace
  cp trace '<i>.jsonl'
  page trace '<i>.jsonl'
  parsed whole
  parsed 'names.count("script") == 1 and not {"img", "b", "u", "i"} & set(names)'
  parsed 'not any(key.startswith("on") for _, a in page.tags for key in a)'
  parsed '"<img src=x>" in words and "\"><script>alert(1)</script>" in words and "&lt;" in words and "<i>.jsonl" in words'
  run ! grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\x{202e}' page.html
}

@test "html: the policy names the script, and it is this one" {
  connection 1 nginx close sent >trace
  page trace
  hash=$(python3 -c 'import base64, hashlib, re
page = open("page.html").read()
print(base64.b64encode(hashlib.sha256(re.search("<script>(.*)</script>", page, re.S)[1].encode()).digest()).decode())')
  grep -qF "script-src 'sha256-$hash'" page.html || { echo "the script's hash is sha256-$hash" && return 1; }
}

@test "html: contrast is that of WCAG AA, in light and in dark" {
  : >trace
  page trace
  python3 <<'PYTHON'
import re
page = open("page.html").read()
def light(color):
    color = "".join(c * 2 for c in color) if len(color) == 3 else color
    parts = [int(color[i:i + 2], 16) / 255 for i in (0, 2, 4)]
    parts = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
schemes = re.findall(r":root\{([^}]*)\}", page)
assert len(schemes) == 3
for scheme in schemes:
    colors = dict(re.findall(r"--(\w+):#([0-9a-f]+)", scheme))
    for front in ("text", "muted", "red", "amber", "green", "blue"):
        for back in ("back", "panel"):
            a, b = sorted((light(colors[front]), light(colors[back])), reverse=True)
            assert (a + 0.05) / (b + 0.05) >= 4.5, (front, back, scheme)
PYTHON
}

@test "html: 20,000 connections are a page of some megabytes: kinds, and of each so many rows" {
  awk 'BEGIN { for (n = 0; n < 20000; n++) {
    who = sprintf("\"pid\":20,\"tid\":20,\"comm\":\"curl\",\"socket\":\"%d\",\"local\":\"10.0.%d.%d:5000\",\"remote\":\"127.0.0.1:80\",\"role\":\"client\"", n + 1, n / 250, n % 250)
    printf "{\"time\":%d,\"op\":\"connect\",\"call\":\"connect\",\"fd\":3,\"ret\":0,%s}\n", 1795810000 + n, who } }' >trace
  page trace
  [ "$(stat -c %s page.html)" -lt 8000000 ]
  parsed 'whole and names.count("tr") < 10100 and "20000 connections" in words and "more like them" in words'
}

@test "html: a second reading says nothing again; a pipe cannot be read twice; -o of any format, and where it cannot be" {
  { connection 1 nginx close reset && echo '{"time":'; } >trace
  run -1 --separate-stderr "$CLOSETRACE" report --format=html -o page.html trace
  [ "$(wc -l <<<"$stderr")" = 1 ]
  run -125 "$CLOSETRACE" report --format=html -o page.html - <trace
  [[ $output == *'reads a trace twice'* ]]
  connection 1 nginx close reset >trace
  run -125 "$CLOSETRACE" report --format=html -o no/such/page.html trace
  [[ $output == *'-o no/such/page.html: No such file or directory' ]]
  for format in text json junit tap; do
    run -0 "$CLOSETRACE" report --format=$format --output=out trace
    [ "$output" = "" ]
    diff out <("$CLOSETRACE" report --format=$format trace)
  done
}

@test "html: two traces of two hosts, side by side" {
  connection 1 nginx close reset >both
  grep '"role":"client"' both >client && grep '"role":"server"' both >server
  page client server
  parsed 'whole and "client 127.0.0.1:1025 client" in words and "server 127.0.0.1:80 server" in words'
}

# browsed ARGUMENT...: Chromium, as root too; its words, and what the page put on the console, are in said.
browsed() {
  timeout -k 5 60 env -i PATH="$PATH" HOME="$PWD/home" TERM=dumb "$chromium" --headless --no-sandbox --disable-gpu \
    --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync \
    --user-data-dir="$PWD/profile" --enable-logging=stderr --virtual-time-budget=3000 "$@" 2>said 3>&-
}

@test "html: in Chromium: the script runs, filters and folds; nothing of a trace does; the console is empty" {
  chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "there is no Chromium"
  mkdir home
  for n in {1..40}; do connection "$n" nginx close sent; done >trace
  connection 41 '<img src=x>' '\"><script>alert(1)</script>' reset >>trace
  connection 42 apache close reset >>trace
  page trace
  browsed --dump-dom "file://$PWD/page.html" >dom || skip "it does not run here"
  grep -q '<div id="tools" class="tools"><label>Filter' dom
  [ "$(grep -c '<svg ' dom)" = 2 ]
  run ! grep -qE '<img|<script>alert' dom
  run ! grep -q CONSOLE said
  # What a user would do, done by a script of the test's own, which the copy's policy allows.
  python3 <<'PYTHON'
import re
act = """<script>
  var filter = document.getElementById('filter'), fold = document.querySelectorAll('#tools button')[1];
  filter.value = 'APACHE'; filter.dispatchEvent(new Event('input')); fold.click();
  setTimeout(function () { document.title = [document.querySelectorAll('article:not([hidden])').length,
    document.querySelector('[role=status]').textContent, document.querySelectorAll('details.ladder[open]').length,
    document.documentElement.scrollWidth <= innerWidth].join(); }, 500);
</script></body>"""
page = re.sub("script-src '[^']*'", "script-src 'unsafe-inline'", open("page.html").read())
open("acted.html", "w").write(page.replace("</body>", act))
PYTHON
  browsed --dump-dom "file://$PWD/acted.html" >dom
  grep -q '<title>1,2 of 5 shown,0,true</title>' dom || { grep '<title>' dom && cat said && return 1; }
}
