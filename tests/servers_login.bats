#!/usr/bin/env bats
# bats file_tags=root
# ssh with sshd, which re-executes itself, forks, changes users, chroots, and has its first child in a seccomp
# sandbox; scp; git over ssh and over git://. They work as without the library, and the trace is true to the wire.

load helpers/servers

# shellcheck disable=SC2317 # try calls it
neutral() {
  if [[ $1 == *.err ]]; then without_numbers | sort; else without_numbers; fi
}

without_numbers() {
  sed -E -e 's/port [0-9]+/port N/g; s/ID [0-9]+/ID N/; s/\[[0-9]+\]/[N]/; s/pid( =)? [0-9]+/pid N/' \
    -e 's/(read error|unable to write flush packet): Connection reset/gone: Connection reset/' \
    -e 's/after [0-9.]+ seconds/after N seconds/; s/SHA256:.*/KEY/; s/[0-9a-f]{40}/COMMIT/; s/\[[^]]*\] "GET/TIME "GET/'
}

setup_file() {
  # sshd wants this folder; it is empty.
  [ -d /run/sshd ] || { mkdir -m 755 /run/sshd && touch "$BATS_FILE_TMPDIR/folder"; }
  # Every folder above a chroot must be root's alone, as those above this one are.
  JAIL=$(mktemp -d /run/closetrace-jail.XXXXXX)
  export JAIL
  chmod 755 "$JAIL"
}

teardown_file() {
  rm -rf "$JAIL"
  [ ! -e "$BATS_FILE_TMPDIR/folder" ] || rmdir /run/sshd
}

# sshd_start [SETTING]...
sshd_start() {
  ssh-keygen -q -t ed25519 -N '' -f "$WORK/host"
  ssh-keygen -q -t ed25519 -N '' -f "$WORK/key"
  cp "$WORK/key.pub" "$WORK/authorized"
  cat >"$WORK/sshd" <<END
ListenAddress 127.0.0.1
Port 2222
HostKey $WORK/host
AuthorizedKeysFile $WORK/authorized
PidFile $WORK/pid
PermitRootLogin yes
StrictModes no
UsePAM no
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
LogLevel INFO
END
  [ $# = 0 ] || printf '%s\n' "$@" >>"$WORK/sshd"
  cat >"$WORK/ssh" <<END
Host there
  HostName 127.0.0.1
  Port 2222
  User root
  IdentityFile $WORK/key
  IdentitiesOnly yes
  BatchMode yes
  StrictHostKeyChecking no
  UserKnownHostsFile $WORK/known
  ControlPath $WORK/control
END
  serve sshd 2222 /usr/sbin/sshd -D -e -f "$WORK/sshd"
}

ssh_there() {
  ask "$1" ssh -F "$WORK/ssh" "${@:2}"
}

commands() {
  sshd_start
  ssh_there echo there 'echo out; echo err >&2; exit 3'
  ssh_there environment there 'env | grep -E "PRELOAD|CLOSETRACE" || echo clean'
  ssh_there descriptors there 'ls /proc/self/fd'
  ssh_there input there 'cat >/dev/null; echo done'
  ssh_there terminal -tt there 'test -t 0 && echo terminal'
  ssh_there root there 'id -un'
  head -c 3000000 /dev/urandom >"$WORK/file"
  ask scp scp -q -F "$WORK/ssh" "$WORK/file" "there:$WORK/copy"
  cmp "$WORK/file" "$WORK/copy"
  ask back scp -q -F "$WORK/ssh" "there:$WORK/copy" "$WORK/again"
  cmp "$WORK/file" "$WORK/again"
  # Where there is no -O (before OpenSSH 8.7) the old way is the only one.
  local option=-O
  [[ $(scp -O 2>&1) != *'option -- O'* ]] || option=-q
  ask old scp $option -q -F "$WORK/ssh" "$WORK/file" "there:$WORK/copy2"
  cmp "$WORK/file" "$WORK/copy2"
  until_true has_no_children sshd
  stop sshd TERM
}

@test "sshd: commands, their status, a terminal, scp" {
  try commands
  assert_wire_at_least fin=18 connections=9
  # The sandboxed child, its monitor and the session all worked on the connection.
  [ "$(logged '.comm == "sshd" and .op == "accept"')" = 9 ]
}

# As another user there is one more process, which has given up its rights. other_user CHROOT PATH
other_user() {
  rm -rf "$JAIL/in"
  mkdir -m 777 "$JAIL/in"
  sshd_start 'Match User daemon' "ChrootDirectory $1" 'ForceCommand internal-sftp'
  head -c 3000000 /dev/urandom >"$WORK/file"
  echo "put $WORK/file $2/in/file" >"$WORK/batch"
  ask sftp sftp -q -b "$WORK/batch" -F "$WORK/ssh" daemon@there
  cmp "$WORK/file" "$JAIL/in/file"
  [ "$(stat -c %U "$JAIL/in/file")" = daemon ]
  ask scp scp -q -F "$WORK/ssh" "daemon@there:$2/in/file" "$WORK/again"
  cmp "$WORK/file" "$WORK/again"
  ask command ssh -F "$WORK/ssh" -l daemon there true
  until_true has_no_children sshd
  stop sshd TERM
}

@test "sshd under closetrace run" {
  try_run commands
  assert_wire_at_least fin=18 connections=9
}

@test "sshd: a user who is not root" {
  try other_user none "$JAIL"
  assert_wire_at_least fin=6 connections=3
}

@test "sshd: a user in a chroot" {
  try other_user "$JAIL" ''
  assert_wire_at_least fin=6 connections=3
}

refused() {
  sshd_start
  ssh_there nobody -l nobody-at-all there true
  ssh_there key -o PubkeyAuthentication=no there true
  # shellcheck disable=SC2016
  ask scanner bash -c 'exec 5<>/dev/tcp/127.0.0.1/2222; read -r line <&5; echo "${line%%_*}"
    printf "GET / HTTP/1.0\r\n\r\n" >&5
    cat <&5 >/dev/null 2>&1 || :'
  # shellcheck disable=SC2016
  ask silent bash -c 'exec 5<>/dev/tcp/127.0.0.1/2222; read -r line <&5; echo "${line%%_*}"'
  ask keyscan bash -c 'ssh-keyscan -t ed25519 -p 2222 127.0.0.1 2>/dev/null | wc -l'
  until_true has_no_children sshd
  stop sshd TERM
}

@test "sshd: users and keys that are refused, and clients that are none" {
  try refused
  assert_wire_at_least fin=8 connections=5
}

sshd_grace() {
  sshd_start 'LoginGraceTime 1'
  ask grace bash -c 'exec 5<>/dev/tcp/127.0.0.1/2222; cat <&5 >/dev/null 2>&1; echo over'
  until_true has_no_children sshd
  stop sshd TERM
}

@test "sshd: the time to log in is over" {
  try sshd_grace
  assert_wire_at_least fin=2
}

# A master connection that others share; ports forwarded in both directions, at whose ends is a server of its own.
forwarding() {
  sshd_start
  mkdir "$WORK/pages"
  echo 'a page' >"$WORK/pages/page"
  serve web 8000 /usr/bin/python3 -m http.server --bind 127.0.0.1 --directory "$WORK/pages" 8000
  ask_start master ssh -F "$WORK/ssh" -M -N -L 127.0.0.1:8001:127.0.0.1:8000 -R 127.0.0.1:8002:127.0.0.1:8000 \
    -D 127.0.0.1:8003 -L 127.0.0.1:8004:127.0.0.1:9 there
  until_true test -S "$WORK/control"
  until_true listens 8003
  until_true listens 8002
  ssh_there shared there 'echo shared'
  ask local curl -sS http://127.0.0.1:8001/page
  ask remote curl -sS http://127.0.0.1:8002/page
  ask socks curl -sS --socks5 127.0.0.1:8003 http://127.0.0.1:8000/page
  ask closed bash -c 'curl -sS http://127.0.0.1:8004/page >/dev/null 2>&1 || echo failed'
  ssh_there exit -O exit there
  ask_end master
  until_true has_no_children sshd
  stop sshd TERM
  stop web INT
}

@test "ssh: a shared master, ports forwarded both ways, socks" {
  try forwarding
  assert_wire_at_least fin=14 connections=8
}

repositories() {
  export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a \
    GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a GIT_AUTHOR_DATE='2020-01-01 00:00:00 +0000' \
    GIT_COMMITTER_DATE='2020-01-01 00:00:00 +0000' HOME=$WORK GIT_TERMINAL_PROMPT=0
  git init -q -b main "$WORK/source"
  head -c 1000000 /dev/urandom >"$WORK/source/file"
  git -C "$WORK/source" add file
  git -C "$WORK/source" commit -q -m one
  git clone -q --bare "$WORK/source" "$WORK/base/project"
  git -C "$WORK/base/project" config daemon.receivepack true
  chown -R 0:0 "$WORK/base"
}

git_daemon() {
  repositories
  serve git 9418 "$(git --exec-path)/git-daemon" --reuseaddr --listen=127.0.0.1 --export-all \
    --base-path="$WORK/base" "$WORK/base"
  ask clone git clone -q git://127.0.0.1/project "$WORK/clone"
  cmp "$WORK/source/file" "$WORK/clone/file"
  git -C "$WORK/clone" commit -q --allow-empty -m two
  ask push git -C "$WORK/clone" push -q origin main
  ask remote git ls-remote -q git://127.0.0.1/project
  ask none git clone -q git://127.0.0.1/nothing "$WORK/nothing"
  ask fetch git -C "$WORK/clone" fetch -q
  ask abort bash -c 'exec 5<>/dev/tcp/127.0.0.1/9418
    printf "002cgit-upload-pack /project\0host=127.0.0.1\0" >&5; head -c 4 <&5'
  until_true has_no_children git
  killed "${SERVER[git]}"
  stop git TERM
}

@test "git daemon: clone, push, ls-remote, a repository that is not there, a client that goes away" {
  try git_daemon
  assert_wire_at_least fin=10 connections=6
}

git_over_ssh() {
  sshd_start
  repositories
  export GIT_SSH_COMMAND="ssh -F $WORK/ssh"
  ask clone git clone -q "there:$WORK/base/project" "$WORK/clone"
  cmp "$WORK/source/file" "$WORK/clone/file"
  ask fetch git -C "$WORK/clone" fetch -q
  until_true has_no_children sshd
  stop sshd TERM
}

@test "git over ssh" {
  try git_over_ssh
  assert_wire_at_least fin=4 connections=2
}
