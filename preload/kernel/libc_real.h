/*
 * The real functions behind the hooks: what the next object in the search order (libc, or another preloaded
 * library) has under the name. Found once, before main; a hook that is passed before that finds its own.
 */
#ifndef CLOSETRACE_LIBC_REAL_H
#define CLOSETRACE_LIBC_REAL_H

#include <stdbool.h>
#include <time.h>

#include "libc.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): names, not expressions */
#define HOOK(symbol) REAL_##symbol,
#define TWIN(symbol, of)
#define OLD(symbol, of, version) REAL_##of,
enum real_symbol {
#include "hooks.def"
    REAL_COUNT
};
#undef HOOK
#undef OLD

#define HOOK(symbol)             __typeof__(symbol) *symbol;
#define OLD(symbol, of, version) __typeof__(symbol) *of;
struct real {
#include "hooks.def"
};
#undef HOOK
#undef TWIN
#undef OLD
/* NOLINTEND(bugprone-macro-parentheses) */

extern struct real real;

/*
 * glibc's. NULL: the loader has put us into a program of another libc, of which nothing is known: every reference that
 * not all have is weak, so that it starts at all, and it is left alone.
 */
extern const char *gnu_get_libc_version(void) __attribute__((weak));

/* All of them. Before main. */
void real_start(void);

/* For waits of our own: libc's, whoever else has one of that name; a cancellation point. NULL: not found. */
typedef int nanosleep_function(clockid_t clock, int flags, const struct timespec *time, struct timespec *left);
extern nanosleep_function *libc_nanosleep;

/* Whether write() and send() behind us are libc's own, and not those of another preloaded library. */
bool real_writes_are_libc(void);

/* One of them. Never NULL: what libc has not got is the kernel's call, or fails with ENOSYS. */
void *real_find(enum real_symbol symbol);

/* A function of libc's, or the loader's, or a variable, that is not there in every version. NULL: not in this one. */
void *real_other(const char *name);

#define REAL(symbol) \
    (__builtin_expect(real.symbol != NULL, 1) ? real.symbol : (__typeof__(real.symbol))real_find(REAL_##symbol))

#endif
