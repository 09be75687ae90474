#!/usr/bin/env bats
# preload/kernel/hooks.def, the one list of wrapped symbols, held against what the library exports and what libc has.

bats_require_minimum_version 1.5.0

setup() {
    root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    LIB=${LIB:-$root/libclosetrace.so}
    libc=$(ldd "$(command -v bash)" | awk '$1 ~ /^libc\.so/ { print $3 }')
    listed=$BATS_TEST_TMPDIR/listed
    sed -nE 's/^(HOOK|TWIN)\((\w+).*/\2/p' "$root/preload/kernel/hooks.def" | sort -u >"$listed"
    # address, name, version of every function that a program can call by name
    nm -D --defined-only "$libc" | awk '$2 ~ /[TWi]/ && $3 !~ /GLIBC_PRIVATE/ { sub("@+", " ", $3); print $1, $3 }' \
        >"$BATS_TEST_TMPDIR/libc"
}

@test "symbols: every symbol of the list is exported, and nothing else is" {
    nm -D --defined-only "$LIB" | awk '$2 != "A" { sub("@.*", "", $3); print $3 }' | sort -u >"$BATS_TEST_TMPDIR/exported"
    diff "$listed" "$BATS_TEST_TMPDIR/exported"
}

# One that came late may be missing in a libc that is older.
@test "symbols: every symbol of the list is libc's" {
    local version=
    version=$(getconf GNU_LIBC_VERSION)
    awk '{ print $2 }' "$BATS_TEST_TMPDIR/libc" | sort -u >"$BATS_TEST_TMPDIR/names"
    sed -nE 's/^(HOOK|TWIN)\((\w+).* since ([0-9.]+).*/\2 \3/p' "$root/preload/kernel/hooks.def" |
        while read -r name since; do
            [ "$(printf '%s\n' "$since" "${version#* }" | sort -V | head -n 1)" = "$since" ] || echo "$name"
        done | sort >"$BATS_TEST_TMPDIR/later"
    run comm -23 <(comm -23 "$listed" "$BATS_TEST_TMPDIR/later") "$BATS_TEST_TMPDIR/names"
    [ -z "$output" ]
}

@test "symbols: no other name of a wrapped function is forgotten" {
    run awk -v listed="$listed" '
        BEGIN { while ((getline name < listed) > 0) wrapped[name] = 1 }
        { address[NR] = $1; symbol[NR] = $2; if ($2 in wrapped) same[$1] = $2 }
        END {
            for (i = 1; i <= NR; i++)
                if (address[i] in same && !(symbol[i] in wrapped)) print symbol[i], "is", same[address[i]]
        }
    ' "$BATS_TEST_TMPDIR/libc"
    [ -z "$output" ] || { echo "$output"; false; }
}

# What bears a wrapped function's name with one of libc's prefixes or suffixes is a twin with a body of its own.
@test "symbols: no twin by name is forgotten" {
    run awk -v listed="$listed" '
        BEGIN {
            while ((getline name < listed) > 0) wrapped[name] = 1
            # reads and writes of files, at an offset, which sockets refuse with ESPIPE
            split("pread preadv pwrite pwritev", seek); for (i in seek) unseekable[seek[i]] = 1
            other["_IO_getline"] = 1 # takes a line out of the buffer, under getline and fgets
        }
        function base(name) {
            sub(/^(__isoc99_|__isoc23_|_IO_|__libc_|__|_)/, "", name)
            sub(/(_chk|_unlocked|64v2|64|_nocancel)$/, "", name)
            sub(/_unlocked$/, "", name)
            return name
        }
        { if (!($2 in wrapped) && !($2 in other) && base($2) in wrapped && !(base($2) in unseekable)) print $2, "is a twin of", base($2) }
    ' "$BATS_TEST_TMPDIR/libc"
    [ -z "$output" ] || { echo "$output"; false; }
}

# posix_spawn has two versions that differ: a program that was linked with the older one must get it.
@test "symbols: every older version with a body of its own has its own door" {
    sed -nE 's/^OLD\((\w+), \w+, ([A-Za-z0-9_.]+)\)/\1 \2/p' "$root/preload/kernel/hooks.def" | sort >"$BATS_TEST_TMPDIR/old"
    awk -v listed="$listed" '
        BEGIN { while ((getline name < listed) > 0) wrapped[name] = 1 }
        $2 in wrapped { n[$2]++; at[$2, n[$2]] = $1; version[$2, n[$2]] = $3 }
        END {
            for (name in n) {
                newest = 1
                for (i = 2; i <= n[name]; i++) {
                    split(version[name, i], a, "[_.]"); split(version[name, newest], b, "[_.]")
                    if (a[2] * 10000 + a[3] * 100 + a[4] > b[2] * 10000 + b[3] * 100 + b[4]) newest = i
                }
                for (i = 1; i <= n[name]; i++)
                    if (at[name, i] != at[name, newest]) print name, version[name, i]
            }
        }' "$BATS_TEST_TMPDIR/libc" | sort -u >"$BATS_TEST_TMPDIR/older"
    diff "$BATS_TEST_TMPDIR/old" "$BATS_TEST_TMPDIR/older"
    while read -r name version; do
        nm -D --defined-only "$LIB" | grep -q " $name@$version\$"
    done <"$BATS_TEST_TMPDIR/old"
}

# What is looked up by name may be another preloaded library's. What the loader is asked before main, errno's place, the
# standard streams, the environment and the loader's list (data).
@test "symbols: nothing of libc is called by name but what is wrapped" {
    nm -D --undefined-only "$LIB" | awk '{ sub("@.*", "", $2); print $2 }' | sort >"$BATS_TEST_TMPDIR/called"
    printf '%s\n' _r_debug _dl_debug_addr getauxval gnu_get_libc_version on_exit __cxa_at_quick_exit __register_atfork \
        __errno_location environ __environ stdin stdout stderr \
        __cxa_finalize __gmon_start__ _ITM_deregisterTMCloneTable _ITM_registerTMCloneTable | sort >"$BATS_TEST_TMPDIR/known"
    run comm -23 "$BATS_TEST_TMPDIR/called" "$BATS_TEST_TMPDIR/known"
    [ -z "$output" ] || { echo "$output"; false; }
}

# musl has not got them: a program of its would not start with the library.
@test "symbols: what not every libc has is a weak reference" {
    run bash -c 'nm -D --undefined-only "$1" | awk "\$1 != \"w\" { sub(\"@.*\", \"\", \$2); print \$2 }" | sort | tr "\n" " "' bash "$LIB"
    [ "$output" = "__environ __errno_location environ getauxval stderr stdin stdout " ]
}

# The library asks the loader's tables itself: dlsym() lies elsewhere in older libcs.
@test "symbols: every real function is the one that dlsym() finds, with either kind of hash table, behind another library too" {
    cc -std=gnu11 -shared -fPIC -fvisibility=hidden -I "$root/preload" -o "$BATS_TEST_TMPDIR/loaded.so" "$root/tests/libraries/loaded.c"
    for style in gnu sysv both; do
        cc -shared -fPIC -Wl,--hash-style=$style -o "$BATS_TEST_TMPDIR/$style.so" "$root/tests/libraries/safety_wrapper.c"
    done
    for others in '' gnu.so sysv.so both.so; do
        for program in bash perl "/lib64/ld-linux-x86-64.so.2 /bin/bash"; do
            # shellcheck disable=SC2086 # words
            run -0 env LD_PRELOAD="$BATS_TEST_TMPDIR/loaded.so${others:+ $BATS_TEST_TMPDIR/$others}" $program --version
            [[ ${lines[0]} =~ ^([0-9]+)\ of\ ([0-9]+)$ && ${BASH_REMATCH[1]} = "${BASH_REMATCH[2]}" ]] || { echo "$output" && false; }
            [ "${BASH_REMATCH[1]}" -gt 200 ]
        done
    done
}

@test "symbols: library and command need nothing of a libc later than 2.31" {
    run -0 "$root/tests/needs" GLIBC_2.31 "$LIB" "${CLOSETRACE:-$root/closetrace}"
    [ "$output" = "" ]
    run -1 "$root/tests/needs" GLIBC_2.2.5 "$LIB"
    [[ $output == *"$LIB needs GLIBC_2.16 for getauxval"* ]]
}

# Not every thread has libc's thread-local storage (kernel/thread.h): the library reaches its own, and errno, in functions
# that ask first.
@test "symbols: thread-local storage and errno are touched in their own functions only" {
    run bash -c 'objdump -d --no-show-raw-insn "$1" | awk "/^[0-9a-f]+ </ { name = \$2 } /%fs|tpidr_el0|<__errno_location@plt>\$/ { print name }" |
        grep -vE "^<([a-z_]+_address|error_(now|set|of_failed)|thread_start|__errno_location@plt)>:" | sort -u' bash "$LIB"
    [ -z "$output" ] || { echo "$output"; false; }
}
