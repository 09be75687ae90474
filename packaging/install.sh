#!/bin/sh
# Puts closetrace below PREFIX (/usr/local). PREFIX=... ./install.sh --remove takes it away again.
set -eu
umask 022
cd "$(dirname "$0")"
prefix=${PREFIX:-/usr/local}
find bin lib share -type f | while IFS= read -r file; do
  rm -f "$prefix/$file"
  [ "${1-}" = --remove ] || { mkdir -p "$prefix/${file%/*}" && cp "$file" "$prefix/$file" && chmod a+rX "$prefix/$file"; }
done
[ "${1-}" != --remove ] || (cd "$prefix" && rmdir lib/bats/closetrace lib/bats share/bash-completion/completions share/bash-completion share/man/man?) 2>/dev/null || :
[ "$(id -u)" != 0 ] || PATH=$PATH:/sbin:/usr/sbin ldconfig
