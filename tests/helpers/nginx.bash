# shellcheck shell=bash
# nginx_log FILE: the option that names nginx's log from its first line on. Before 1.19.5 there is none: it then tries the
# one that it was built with, and goes on where it cannot.
nginx_log() {
  ! nginx -h 2>&1 | grep -q '^  -e ' || printf '%s\n' -e "$1"
}
