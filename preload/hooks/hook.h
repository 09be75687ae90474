/*
 * What every hook has. A hook is the wrapped symbol itself: thin, it knows which libc function was called and
 * nothing of TCP. What is no TCP socket costs it a load and a compare.
 */
#ifndef CLOSETRACE_HOOK_H
#define CLOSETRACE_HOOK_H

#include "kernel/own_fds.h"
#include "kernel/libc_real.h"
#include "kernel/thread.h"
#include "refs/fd_table.h"

#define HOOKED __attribute__((visibility("default")))

/* The address that the hook returns to. */
#define CALLER __builtin_return_address(0)

/* The program is about to close a number, or to take it: one of ours goes, and what is closed there is nothing of TCP.
 */
static inline void make_way(int fd) {
    if (!own_is(fd))
        return;
    own_make_way(fd);
    table_set_other(fd);
}

/* Another name of the same hook. NOLINTBEGIN(bugprone-macro-parentheses) */
#if __has_attribute(copy)
#define TWIN_HOOK(symbol, of) extern __typeof__(of) symbol __attribute__((alias(#of), copy(of), visibility("default")))
#else
#define TWIN_HOOK(symbol, of) extern __typeof__(of) symbol __attribute__((alias(#of), visibility("default")))
#endif
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
