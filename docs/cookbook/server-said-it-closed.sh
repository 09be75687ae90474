#!/bin/bash
# The client hangs, though the server has answered "OK" and closed: a child that was forked meanwhile has the connection.
. "$(dirname "$0")/lib.bash"

cat >server.py <<'END'
import os, socket, time
listener = socket.create_server(("127.0.0.1", 8080))
client, address = listener.accept()
client.recv(100)
if os.fork() == 0:  # the work, in the background
    time.sleep(2)
    os._exit(0)
client.sendall(b"OK\n")
client.close()
os.wait()
END
show 'cat server.py'
show_start 'closetrace run -o trace python3 server.py 2>/dev/null'
server=$started
until_true listens 8080
show 'echo please | (time -p nc 127.0.0.1 8080)'
ended "$server"
show 'closetrace report trace'
show 'closetrace grep trace fin=withheld | closetrace print -'
