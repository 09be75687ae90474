/*
 * For code that reads memory which others can write: every read of an atomic word calls meddle() first, which may write
 * whatever it likes there. It is included before anything else, and takes the place of <stdatomic.h>'s macros
 * (clang's).
 */
#ifndef MEDDLE_H
#define MEDDLE_H

#define _GNU_SOURCE /* as the sources have it */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* A word is about to be read. */
void meddle(const volatile void *place, size_t size);
#define MEDDLE(object) meddle(object, sizeof *(object))

/* What the kernel answers. */
long meddled_call(long number, long a, long b, long c);
ssize_t meddled_readlink(const char *path, char *link, size_t size);
#define readlink meddled_readlink

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_fetch_add
#undef atomic_fetch_sub
#undef atomic_fetch_or
#undef atomic_fetch_and
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_weak

#define atomic_load(object)                            (MEDDLE(object), __c11_atomic_load(object, __ATOMIC_SEQ_CST))
#define atomic_load_explicit(object, order)            (MEDDLE(object), __c11_atomic_load(object, order))
#define atomic_exchange(object, value)                 (MEDDLE(object), __c11_atomic_exchange(object, value, __ATOMIC_SEQ_CST))
#define atomic_exchange_explicit(object, value, order) (MEDDLE(object), __c11_atomic_exchange(object, value, order))
#define atomic_fetch_add(object, value)                (MEDDLE(object), __c11_atomic_fetch_add(object, value, __ATOMIC_SEQ_CST))
#define atomic_fetch_sub(object, value)                (MEDDLE(object), __c11_atomic_fetch_sub(object, value, __ATOMIC_SEQ_CST))
#define atomic_fetch_or(object, value)                 (MEDDLE(object), __c11_atomic_fetch_or(object, value, __ATOMIC_SEQ_CST))
#define atomic_fetch_and(object, value)                (MEDDLE(object), __c11_atomic_fetch_and(object, value, __ATOMIC_SEQ_CST))
#define atomic_compare_exchange_strong(object, expected, value) \
    (MEDDLE(object), __c11_atomic_compare_exchange_strong(object, expected, value, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
#define atomic_compare_exchange_weak(object, expected, value) atomic_compare_exchange_strong(object, expected, value)

#endif
