#!/usr/bin/env bats
# bats file_tags=root
# PostgreSQL and redis with their own clients: the same answers as without the library, and a trace that is true to
# the wire.

load helpers/servers

# Without times, numbers of processes and what else is another in each run. Of PostgreSQL's log the errors are
# compared: when its helper processes write the rest is chance.
# shellcheck disable=SC2317 # try calls it
neutral() {
  case $1 in
    postgres.err)
      # How often a waiting client asked before the server was up is chance.
      sed -nE -e '/LOG:|due to administrator command$|not yet accepting|recovery state has not/d' \
        -e '/is (starting up|in recovery mode|shutting down)$/d' \
        -e 's/^[0-9-]{10} [0-9:.]{12} [A-Z]+ \[[0-9]+\] //p' | sort
      ;;
    start.out | restart.out | stop.out) sed -E 's/[.]+ done$/ done/' ;; # pg_ctl prints a dot each time that it looks
    redis.out) sed -E -e 's/^[0-9]+:([A-Z]) [0-9]+ [A-Z][a-z]+ [0-9]{4} [0-9:.]{12} /PID:\1 /; s/pid=[0-9]+/pid=N/' \
      -e 's/pid [0-9]+/pid N/; s/-bg-[0-9]+/-bg-N/; s/^[0-9]+:signal-handler \([0-9]+\)/signal:/' -e 's/127\.0\.0\.1:[0-9]+/CLIENT/' ;;
    dump.out) sed '/^\\\(un\)\?restrict/d' ;;
    bench.* | reconnect.* | threads.*)
      tr '\r' '\n' | sed -E -e 's/[0-9.]+ requests per second(, p50=[0-9.]+ msec)?/OK/' \
        -e '/rps=|: (-nan|[0-9.]+)$/d; /^ *$/d' \
        -e 's/[0-9]+\.[0-9]+ s\>/N s/g' ;;
    *) cat ;;
  esac
}

postgres_bin() {
  local bin=(/usr/lib/postgresql/*/bin)
  echo "${bin[-1]}"
}

# One cluster is made for both runs, without the library.
setup_file() {
  CLUSTER=$(mktemp -d /tmp/closetrace-cluster.XXXXXX)
  export CLUSTER
  chown postgres "$CLUSTER"
  setpriv --reuid=postgres --regid="$(id -g postgres)" --clear-groups "$(postgres_bin)/initdb" -D "$CLUSTER/data" \
    -A trust --no-sync --locale=C >"$CLUSTER/initdb" 2>&1 || { cat "$CLUSTER/initdb" && return 1; }
  cat >>"$CLUSTER/data/postgresql.conf" <<END
listen_addresses = '127.0.0.1, ::1'
port = 5432
fsync = off
max_connections = 20
unix_socket_directories = ''
END
}

teardown_file() {
  rm -rf "$CLUSTER"
}

database_start() {
  chmod 777 "$WORK"
  cp -a "$CLUSTER/data" "$WORK/data"
  RUN_AS=postgres serve postgres 5432 "$(postgres_bin)/postgres" -D "$WORK/data"
  export PGHOST=127.0.0.1 PGUSER=postgres PGDATABASE=postgres
  until_true here "$(postgres_bin)/pg_isready" -q
}

database_queries() {
  database_start
  ask select psql -XAtc 'select 6 * 7' -c 'show port'
  ask ipv6 psql -XAt -h ::1 -c 'select 1'
  ask error psql -XAtc 'select * from nowhere'
  ask nobody psql -XAt -U nobody -c 'select 1'
  ask table psql -XAt -v ON_ERROR_STOP=1 -c 'create table numbers(n int)' \
    -c 'insert into numbers select generate_series(1, 20000)'
  ask out psql -XAtc '\copy numbers to stdout'
  ask in psql -XAtc "\\copy numbers from '$KEPT/out.out'" -c 'select count(*), sum(n) from numbers'
  ask dump "$(postgres_bin)/pg_dump" --no-owner -t numbers -a
  for i in 1 2 3 4; do
    ask_start "parallel$i" psql -XAtc "select pg_sleep(0.2), $i" -c 'select count(*) from numbers'
  done
  for i in 1 2 3 4; do
    ask_end "parallel$i"
  done
  ask bench "$(postgres_bin)/pgbench" -i -q -n
  ask workers psql -XAt -c 'set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
    set min_parallel_table_scan_size = 0' -c 'select count(*) from pgbench_accounts'
  stop postgres INT
}

@test "PostgreSQL: queries, errors, COPY, a dump, parallel clients and workers; fast shutdown" {
  try database_queries
  assert_wire_at_least fin=24 connections=12
}

@test "PostgreSQL under closetrace run: parallel clients and workers" {
  try_run database_queries
  assert_wire_at_least fin=24 connections=12
}

# A client that asks for a cancel opens a second connection for it.
database_cancel() {
  database_start
  ask_start cancelled psql -XAtc 'select pg_sleep(30)'
  until_true psql_sleeps
  kill -INT "${ASKED[cancelled]}"
  ask_end cancelled

  ask_start terminated psql -XAtc 'select pg_sleep(31)'
  until_true psql_sleeps
  ask terminate psql -XAtc "select pg_terminate_backend(pid) from pg_stat_activity where query like '%sleep(31)'"
  ask_end terminated

  ask_start gone psql -XAtc 'select pg_sleep(0.5), repeat(chr(120), 1000000) from generate_series(1, 3)'
  until_true psql_sleeps
  killed "${ASKED[gone]}"
  kill -KILL "${ASKED[gone]}"
  ask_end gone
  until_true psql_sleeps_not

  ask_start open psql -XAtc 'select pg_sleep(32)'
  until_true psql_sleeps
  stop postgres INT
  ask_end open
}

psql_sleeps() {
  [ "$(psql_backends | wc -l)" = 1 ]
}

psql_sleeps_not() {
  [ -z "$(psql_backends)" ]
}

# By the title of the process: no connection is made for it.
psql_backends() {
  pgrep -P "${SERVER[postgres]}" -f 'postgres: postgres postgres 127.0.0.1.* SELECT'
}

@test "PostgreSQL: a cancel, a terminated backend, a killed client, a shutdown with a client connected" {
  try database_cancel
  assert_wire_at_least fin=9 connections=6
}

database_crash() {
  local backend
  database_start
  ask_start crashed psql -XAtc 'select pg_sleep(30)'
  until_true psql_sleeps
  backend=$(psql_backends)
  ask_start other psql -XAtc 'select pg_sleep(31)'
  until_true two_sleep
  killed "$backend"
  kill -KILL "$backend"
  ask_end crashed
  ask_end other
  until_true here "$(postgres_bin)/pg_isready" -q
  ask after psql -XAtc 'select 42'
  stop postgres TERM
}

two_sleep() {
  [ "$(psql_backends | wc -l)" = 2 ]
}

@test "PostgreSQL: a backend is killed, the others quit, and the server comes up again" {
  try database_crash
  assert_wire_at_least fin=6
}

database_pg_ctl() {
  chmod 777 "$WORK"
  cp -a "$CLUSTER/data" "$WORK/data"
  export PGHOST=127.0.0.1 PGUSER=postgres PGDATABASE=postgres
  RUN_AS=postgres ask start "$(postgres_bin)/pg_ctl" -D "$WORK/data" -l "$WORK/log" -w start
  ask select psql -XAtc 'select 6 * 7'
  RUN_AS=postgres ask reload "$(postgres_bin)/pg_ctl" -D "$WORK/data" reload
  RUN_AS=postgres ask restart "$(postgres_bin)/pg_ctl" -D "$WORK/data" -l "$WORK/log" -w -m fast restart
  ask again psql -XAtc 'select 6 * 8'
  RUN_AS=postgres ask stop "$(postgres_bin)/pg_ctl" -D "$WORK/data" -w -m smart stop
}

@test "PostgreSQL: as a daemon, with pg_ctl" {
  try database_pg_ctl
  assert_wire_at_least fin=4
}

redis_start() {
  mkdir "$WORK/redis"
  serve redis 6379 redis-server --port 6379 --bind 127.0.0.1 --dir "$WORK/redis" --logfile '' --save ''
}

redis_commands() {
  redis_start
  ask ping redis-cli ping
  ask set redis-cli set one 1
  ask get redis-cli get one
  ask error redis-cli nonsense
  printf 'set k%d v%d\r\n' {1..2000} >"$WORK/commands"
  ask pipe bash -c "redis-cli --pipe <$WORK/commands"
  ask size redis-cli dbsize
  ask save redis-cli bgsave
  until_true redis_has_saved
  ask rewrite redis-cli bgrewriteaof
  ask_start blocked redis-cli blpop nothing 30
  until_true redis_has_blocked
  ask kill bash -c "redis-cli client kill type normal skipme yes"
  ask_end blocked
  ask quit bash -c 'exec 5<>/dev/tcp/127.0.0.1/6379; printf "QUIT\r\n" >&5; cat <&5'
  ask garbage bash -c 'exec 5<>/dev/tcp/127.0.0.1/6379; printf "GET / HTTP/1.0\r\nHost: x\r\n\r\n" >&5
    cat <&5 >/dev/null 2>&1 || :'
  ask_start open redis-cli blpop nothing 30
  until_true redis_has_blocked
  ask shutdown redis-cli shutdown nosave
  ask_end redis
  ask_end open
}

redis_has_saved() {
  [ -e "$WORK/redis/dump.rdb" ] && ! pgrep -P "${SERVER[redis]}"
}

redis_has_blocked() {
  here redis-cli info clients | grep -q '^blocked_clients:1'
}

@test "redis: commands, a pipe, BGSAVE in a child, blocked and killed clients, SHUTDOWN" {
  try redis_commands
  assert_wire_at_least fin=24 connections=12
}

redis_many() {
  redis_start
  ask bench redis-benchmark -q -c 20 -n 2000 -t ping,set,get
  ask reconnect redis-benchmark -q -c 10 -n 300 -k 0 -t ping
  ask threads redis-benchmark -q -c 10 -n 500 --threads 2 -t get
  stop redis TERM
}

@test "redis: redis-benchmark, also with a connection a request" {
  try redis_many
  assert_wire_at_least fin=600 connections=300
}
