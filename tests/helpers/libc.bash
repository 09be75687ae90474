# shellcheck shell=bash
# What depends on the version of libc.
#
#   callers_are_known      from 2.35 on libc tells what file an address belongs to; before, events have no caller

callers_are_known() {
  local version
  version=$(getconf GNU_LIBC_VERSION)
  [ "$(printf '%s\n' 2.35 "${version#* }" | sort -V | head -n 1)" = 2.35 ]
}
