#!/usr/bin/env bats
# bats file_tags=root
# redis saves in a forked child, which inherits every client's connection: a client that quits meanwhile gets its OK
# and no end of stream until the save is done.

load helpers/servers
load helpers/redis

redis() {
  mkdir "$WORK"
  redis_quits "$1"
}

setup_place() {
  netns_create NETNS
  # shellcheck disable=SC2034 # helpers/servers.bash
  MODE=traced KEPT=$PLACE/kept
  mkdir -p "$KEPT"
}

@test "redis: BGSAVE and QUIT: the FIN is withheld by the saver, whose end lets it go" {
  ! redis_shuts_down || skip "this redis shuts down before it closes, while a child saves"
  setup_place
  redis save
  [ "$(cat "$PLACE/when")" = late ]
  jq -n '[inputs | select(.op == "close" and .fin == "withheld" and .local == "127.0.0.1:6390")
    | [.why, .verified, .refs_before, .refs_after, (.holders | length)]] == [["references", true, 2, 1, 1]]' "$LOG" |
    grep -q true || { cat "$LOG" && false; }
  # The holder is the forked child of the server, and its exit has the FIN.
  local holder cookie
  read -r holder cookie < <(jq -r 'select(.fin == "withheld" and .op == "close") | "\(.holders[0].pid) \(.socket)"' "$LOG")
  jq -e -n --argjson holder "$holder" '[inputs | select(.op == "fork" and .child == $holder)] | length == 1' "$LOG"
  jq -e -n --argjson holder "$holder" --arg cookie "$cookie" \
    '[inputs | select(.op == "exit" and .pid == $holder and .socket == $cookie) | .fin] == ["sent"]' "$LOG"
}

@test "redis: BGSAVE and QUIT: one that shuts down before it closes ends the stream at once" {
  redis_shuts_down || skip "this redis closes while a child saves, and leaves it at that"
  setup_place
  redis save
  [ "$(cat "$PLACE/when")" = 'at once' ]
  # The first is the quitter's; the other client ends later, where redis may have noticed it or not.
  jq -e -n '[inputs | select(.op == "shutdown" and .local == "127.0.0.1:6390") | [.fin, .why, .verified, .refs_after]][0]
    == ["sent", "shutdown", true, 2]' "$LOG"
}

@test "redis: QUIT without a save: the FIN leaves at once" {
  setup_place
  redis plain
  [ "$(cat "$PLACE/when")" = "at once" ]
  jq -e -n '[inputs | select(.fin == "withheld" and .op == "close")] == []' "$LOG"
  jq -e -n '[inputs | select(.op == "close" and .local == "127.0.0.1:6390" and .fin == "sent" and .verified)] | length >= 1' "$LOG"
}
