#!/usr/bin/env bats
# bats file_tags=root
# shellcheck disable=SC2016 # the programs' variables
# Programs that have nothing to do with TCP: with the library they do what they do without it, and nothing is logged.

load helpers/servers

silent() {
  try "$@"
  [ ! -s "$LOG" ] || { cat "$LOG" && return 1; }
}

compiler() {
  mkdir "$WORK/project"
  for i in 1 2 3 4 5 6; do
    echo "int part$i(void) { return $i; }" >"$WORK/project/part$i.c"
  done
  cat >"$WORK/project/main.c" <<'END'
#include <stdio.h>
int part1(void), part2(void), part3(void), part4(void), part5(void), part6(void);
int main(void) { printf("%d\n", part1() + part2() + part3() + part4() + part5() + part6()); return 7; }
END
  printf '%s\n' 'program: main.o part1.o part2.o part3.o part4.o part5.o part6.o' \
    '	@$(CC) -o $@ $^' '%.o: %.c' '	@$(CC) -c -o $@ $<' 'fails:' '	@exit 5' >"$WORK/project/Makefile"
  ask make make -s -C "$WORK/project" -j 4
  ask program "$WORK/project/program"
  ask fails make -C "$WORK/project" -j 4 fails
  ask error bash -c 'gcc -x c -o /dev/null - <<<nonsense'
  ask static gcc -static -o "$WORK/static" "$WORK/project/main.c" "$WORK/project/"part?.c
  ask static-program "$WORK/static"
}

@test "make -j and gcc" {
  silent compiler
}

shells() {
  ask pipe bash -c 'set -o pipefail; seq 1000 | grep 7 | sort -rn | head -n 3 | tee >(cat >&2) | sed "s/^/> /"; exit 4'
  ask here bash -c 'cat <<<"a string"; cat < <(echo a process); exec 7>&1; echo seven >&7; exec 7>&-; echo no >&7'
  ask coproc bash -c 'coproc cat; echo in >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"; echo "$line"
    kill $COPROC_PID; wait $COPROC_PID; echo $?'
  ask traps bash -c 'trap "echo trapped" EXIT; (exit 3); echo $?; kill -TERM $$'
  ask killed bash -c 'kill -9 $$'
  ask dash dash -c 'echo one | while read x; do echo "$x"; done; exec 9<&-; exit 200'
  ask descriptors bash -c 'exec 3</dev/null 250>/dev/null; ls /proc/self/fd | awk "\$1 < 1000"'
  ask closed bash -c 'exec 0<&- 1>&- 2>&-; exec 1>'"$WORK"'/out; echo first; exec 2>'"$WORK"'/err; ls /nowhere; cat'
  cp "$WORK/out" "$KEPT/closed.1"
  cp "$WORK/err" "$KEPT/closed.2"
  ask limit bash -c 'ulimit -n 8; exec 3</dev/null; seq 5 | cat | cat; echo $?'
  ask xargs bash -c 'seq 40 | xargs -n 3 -P 4 echo | sort'
  ask timeout timeout 0.2 sleep 5
  ask missing bash -c nowhere-to-be-found
  ask busybox busybox sh -c 'seq 20 | busybox awk "{ s += \$1 } END { print s }"'
}

@test "bash, dash and busybox: pipelines, redirections, signals, few descriptors, closed ones" {
  silent shells
}

tools() {
  mkdir "$WORK/files"
  seq 50000 >"$WORK/files/numbers"
  ask tar bash -c "tar -C $WORK -cf - files | gzip -9 | gunzip | tar -tvf - | awk '{ print \$3, \$6 }'"
  ask sort bash -c "sort --parallel=4 -R --random-source=$WORK/files/numbers $WORK/files/numbers | md5sum"
  ask script script -qec 'tty >/dev/null && echo terminal; exit 6' /dev/null
  ask setsid setsid -w sh -c 'exit 9'
  ask env env -i PATH="$PATH" sh -c 'env | grep -c PRELOAD'
  ask nohup nohup echo hello
  ask user setpriv --reuid=daemon --clear-groups id -un
  ask chroot chroot / id -un
  ask find find "$WORK/files" -type f -exec wc -l {} +
  ask git git -C "$WORK" init -q repository
  ask status git -C "$WORK/repository" status --short --branch
  ask getent getent passwd root
  ask locale locale charmap
  ask unix bash -c "socat UNIX-LISTEN:$WORK/socket - & until [ -S $WORK/socket ]; do sleep 0.02; done
    echo hello | socat - UNIX-CONNECT:$WORK/socket; wait"
  ask udp bash -c 'socat -u UDP-RECV:7020,bind=127.0.0.1 - & sleep 0.2; echo hello >/dev/udp/127.0.0.1/7020
    sleep 0.2; kill $!; wait $!; echo $?'
}

@test "tar, gzip, sort, script, setsid, git, unix and UDP sockets" {
  # shellcheck disable=SC2317 # try calls it
  neutral() {
    sed -E 's/socat\[[0-9]+\]//; s/^[0-9/]+ [0-9:.]+//'
  }
  silent tools
}

interpreters() {
  cat >"$WORK/all.py" <<'END'
import concurrent.futures, ctypes, multiprocessing, os, subprocess, sys, threading
print(subprocess.run(["cat"], input=b"closed", stdout=subprocess.PIPE, close_fds=True).stdout)
print(subprocess.run(["cat"], input=b"open", stdout=subprocess.PIPE, close_fds=False).stdout)
print(subprocess.run("exit 3", shell=True).returncode)
print(sorted(os.listdir("/proc/self/fd"), key=int)[:4])
read, write = os.pipe()
print(read, write, subprocess.run(["sh", "-c", f"echo x >&{write}"], pass_fds=[write]).returncode, os.read(read, 2))
print(subprocess.run(["sh", "-c", f"echo x >&{write}"], stderr=subprocess.DEVNULL).returncode != 0)
pid = os.fork()
if pid == 0:
    os.closerange(3, 4096)
    os._exit(5)
print(os.waitpid(pid, 0)[1])
pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 6"], os.environ)
print(os.waitpid(pid, 0)[1])
def work(n):
    return n * n
if __name__ == "__main__":
    with multiprocessing.Pool(3) as pool:
        print(pool.map(work, range(5)))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print(list(pool.map(work, range(5))))
    threads = [threading.Thread(target=subprocess.run, args=(["true"],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        os.close(999)
    except OSError as error:
        print(error)
    sys.exit(8)
END
  ask python /usr/bin/python3 "$WORK/all.py"
  ask abort /usr/bin/python3 -c 'import os; os.abort()'
  ask node node -e 'const { execSync, fork } = require("child_process"); const fs = require("fs");
    console.log(execSync("echo sync; exit 0").toString()); console.log(fs.readdirSync("/").length > 3);
    process.on("exit", () => console.log("exit")); setTimeout(() => process.exit(4), 10)'
  ask perl perl -e 'open(my $p, "-|", "echo perl") or die; print while <$p>; close $p; print `echo backticks`;
    my $pid = fork; if (!$pid) { exit 3 } waitpid($pid, 0); print $? >> 8, "\n"; exec "sh", "-c", "exit 11"'
}

@test "python3 subprocesses, threads, pools; node; perl" {
  silent interpreters
}
