#define _GNU_SOURCE
#include "ranges.h"

#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>

#include "closing.h"
#include "own.h"
#include "raw.h"
#include "real.h"
#include "table.h"

/* In ascending order, as the kernel does; so that a dup's close is the first and its original's the last reference. */
static void close_connections(unsigned first, unsigned last, const char *name, const void *caller) {
    unsigned end = (unsigned)table_end();
    for (unsigned fd = first; fd < end && fd <= last; fd++) {
        struct closing closing;
        if (!table_maybe_tcp((int)fd) || !closing_begin(&closing, (int)fd, name, caller))
            continue;
        long result = raw6(SYS_close, fd, 0, 0, 0, 0, 0);
        closing_end(&closing, result < 0 ? -1 : 0, (int)-result);
    }
}

/* The rest of the range, around what is ours. */
static int close_rest(unsigned first, unsigned last, int flags) {
    for (;;) {
        int spared = own_first_in(first, last);
        if (spared < 0)
            return REAL(close_range)(first, last, flags);
        if ((unsigned)spared > first) {
            int result = REAL(close_range)(first, (unsigned)spared - 1, flags);
            if (result != 0)
                return result;
        }
        if ((unsigned)spared >= last)
            return 0;
        first = (unsigned)spared + 1;
    }
}

int range_close(unsigned first, unsigned last, int flags, const char *name, const void *caller) {
    bool plain = !table_on || first > last || (flags & ~CLOSE_RANGE_UNSHARE) != 0;
    bool concerned = first < (unsigned)table_end() || own_first_in(first, last) >= 0;
    if (plain || !concerned)
        return REAL(close_range)(first, last, flags);
    if (flags & CLOSE_RANGE_UNSHARE) {
        long result = raw6(SYS_unshare, CLONE_FILES, 0, 0, 0, 0, 0);
        if (result < 0) {
            errno = (int)-result;
            return -1;
        }
    }
    close_connections(first, last, name, caller);
    return close_rest(first, last, 0);
}

void range_close_from(int lowest, const char *name, const void *caller) {
    unsigned first = lowest < 0 ? 0 : (unsigned)lowest;
    int saved = errno;
    if (!table_on) {
        REAL(closefrom)(lowest);
        return;
    }
    close_connections(first, UINT_MAX, name, caller);
    if (own_first_in(first, UINT_MAX) < 0 || close_rest(first, UINT_MAX, 0) != 0)
        REAL(closefrom)(lowest);
    errno = saved;
}
