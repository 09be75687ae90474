# shellcheck shell=bash
# redis that saves in a forked child, and a client that quits meanwhile: after helpers/servers.bash.
#
#   redis_quits save|plain    starts redis, asks it for BGSAVE (save) or not, sends PING, then QUIT, and waits for the
#                             end of the stream: $PLACE/when says "late" or "at once". redis is stopped.

# Since 7.2 redis shuts a connection down before it closes it, while a child saves: nothing is withheld then.
redis_shuts_down() { [[ $(redis-server --version) =~ v=([7-9]\.[2-9]|[89]|[1-9][0-9]) ]]; }

redis_client() {
  here python3 - "$1" <<'PYTHON'
import socket
import sys
import time

def client():
    return socket.create_connection(("127.0.0.1", 6390), timeout=20)

with client() as admin, client() as quitter:
    for i in range(4):
        admin.sendall(b"SET key%d value\r\n" % i)
        assert admin.recv(100) == b"+OK\r\n"
    quitter.sendall(b"PING\r\n")
    assert quitter.recv(100) == b"+PONG\r\n"
    if sys.argv[1] == "save":
        admin.sendall(b"BGSAVE\r\n")
        assert admin.recv(100).startswith(b"+Background saving started")
    quitter.sendall(b"QUIT\r\n")
    assert quitter.recv(100) == b"+OK\r\n"
    began = time.monotonic()
    assert quitter.recv(100) == b""
    print("late" if time.monotonic() - began > 0.5 else "at once")
PYTHON
}

redis_quits() {
  serve redis 6390 /usr/bin/redis-server --port 6390 --bind 127.0.0.1 --dir "$WORK" --save '' \
    --rdb-key-save-delay 500000 --daemonize no
  redis_client "$1" >"$PLACE/when" 3>&-
  stop redis TERM
}
