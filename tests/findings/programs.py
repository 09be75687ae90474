"""How the programs of the scenes are started."""

import os
import subprocess

GET = b"GET /index.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
PLACES = "client_body proxy fastcgi uwsgi scgi".split()


def pages(stage):
    stage.write("index.html", "hello")
    stage.write("big", bytes(3000000))
    return stage.folder


def nginx_file(stage, body, more=""):
    return stage.write("nginx", f"daemon off; pid {stage.folder}/pid; error_log /dev/null; events {{}}\n{more}\n{body}\n")


def nginx(stage, location, workers=0):
    temp = " ".join(f"{place}_temp_path {stage.folder}/{place};" for place in PLACES)
    body = f"http {{ access_log off; {temp} server {{ listen 127.0.0.1:8080; location / {{ {location} }} }} }}"
    kind = f"worker_processes {workers};" if workers else "master_process off;"
    stage.serve(8080, "/usr/sbin/nginx", "-c", nginx_file(stage, body, kind))


def nginx_stream(stage, half_close):
    server = f"server {{ listen 127.0.0.1:8080; proxy_pass 127.0.0.1:8081; proxy_half_close {half_close}; }}"
    kind = "load_module modules/ngx_stream_module.so;"
    path = stage.write("nginx", f"{kind} daemon off; master_process off; pid {stage.folder}/pid; error_log /dev/null;\n"
                                f"events {{}} stream {{ {server} }}\n")
    stage.serve(8080, "/usr/sbin/nginx", "-c", path)


def haproxy(stage, mode, more=""):
    stage.serve(8080, "/usr/sbin/haproxy", "-db", "-f", stage.write("haproxy", f"""
defaults
  mode {mode}
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  {more}
listen all
  bind 127.0.0.1:8080
  server one 127.0.0.1:8081
"""))


APACHE = """
ServerName x
User www-data
Group www-data
Listen 127.0.0.1:8080
PidFile {0}/pid
ErrorLog /dev/null
DocumentRoot {0}
StartServers 1
ServerLimit 1
MaxRequestWorkers 25
<Directory />
Require all granted
</Directory>
"""


def apache(stage, more=""):
    names = "mpm_event authz_core dir proxy proxy_http proxy_connect".split()
    modules = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in names)
    path = stage.write("apache", modules + APACHE.format(pages(stage)) + more)
    stage.serve(8080, "/usr/sbin/apache2", "-d", stage.folder, "-f", path, "-DFOREGROUND")


def node(stage, program):
    stage.serve(8080, "node", stage.write("server.js", program))


NODE_HTTP = """
const server = require('http').createServer((request, response) => setTimeout(() => response.end('hello'), 300));
server.httpAllowHalfOpen = %s;
server.listen(8080, '127.0.0.1');
"""
NODE_PIPE = """
require('net').createServer({allowHalfOpen: %s}, (client) => {
  const server = require('net').connect({port: 8081, host: '127.0.0.1', allowHalfOpen: %s});
  client.pipe(server).pipe(client);
}).listen(8080, '127.0.0.1');
"""


def tinyproxy(stage):
    stage.serve(8080, "tinyproxy", "-d", "-c", stage.write("tinyproxy", """
User root
Port 8080
Listen 127.0.0.1
Timeout 600
MaxClients 20
Allow 127.0.0.1
ConnectPort 8081
"""))


def squid(stage):
    os.mkdir(f"{stage.folder}/squid")
    os.chmod(f"{stage.folder}/squid", 0o777)
    subprocess.run(["mount", "-t", "tmpfs", "none", "/dev/shm"], check=True)  # it leaves files there
    stage.serve(8080, "squid", "-N", "-f", stage.write("squid.conf", f"""
http_port 127.0.0.1:8080
http_access allow all
cache deny all
pid_filename none
access_log none
cache_log {stage.folder}/squid/log
coredump_dir {stage.folder}/squid
cache_effective_user proxy
netdb_filename none
shutdown_lifetime 1 second
visible_hostname x
pinger_enable off
"""))


def socat(stage, patience):
    stage.serve(8080, "socat", f"-t{patience}", "TCP-LISTEN:8080,bind=127.0.0.1,reuseaddr,fork", "TCP:127.0.0.1:8081")


def stunnel(stage):
    key, certificate = f"{stage.folder}/key", f"{stage.folder}/certificate"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                    "-subj", "/CN=x", "-days", "2"], check=True, capture_output=True)
    stage.serve(8080, "stunnel4", stage.write("stunnel", f"""
foreground = yes
pid =
syslog = no
[one]
accept = 127.0.0.1:8080
connect = 127.0.0.1:8081
cert = {certificate}
key = {key}
"""))


def redis(stage, *more):
    stage.serve(6379, "redis-server", "--port", "6379", "--bind", "127.0.0.1", "--save", "", "--dir", stage.folder, *more)


def memcached(stage):
    stage.serve(11211, "memcached", "-u", "root", "-l", "127.0.0.1", "-p", "11211", "-U", "0")


def puma(stage):
    program = "run(lambda do |env|\n  sleep 0.3\n  [200, {'Content-Type' => 'text/plain'}, ['hello']]\nend)\n"
    stage.serve(8080, "puma", "-b", "tcp://127.0.0.1:8080", "-t", "1:3", stage.write("config.ru", program))


def python_http(stage):
    stage.serve(8080, "/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", pages(stage), "8080")


def rsync(stage):
    os.mkdir(f"{stage.folder}/module")
    stage.write("module/file", os.urandom(300000))
    stage.serve(8730, "rsync", "--daemon", "--no-detach", "--port", "8730", "--address", "127.0.0.1", "--config",
                stage.write("rsync", f"use chroot = no\n[module]\npath = {stage.folder}/module\nuid = root\ngid = root\n"))


def lighttpd(stage):
    stage.serve(8080, "lighttpd", "-D", "-f", stage.write("lighttpd", f"""
server.document-root = "{pages(stage)}"
server.bind = "127.0.0.1"
server.port = 8080
"""))


def tcpsvd(stage, service):
    stage.serve(8080, "tcpsvd", "-l", "localhost", "127.0.0.1", "8080", "sh", "-c", service)


def tcpserver(stage, service):
    stage.serve(8080, "tcpserver", "-HR", "-l", "localhost", "127.0.0.1", "8080", "sh", "-c", service)


def python(stage, program):
    stage.talk("/usr/bin/python3", stage.write("program.py", program))
