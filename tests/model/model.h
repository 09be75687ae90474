/*
 * Exhaustive models of the lock-free structures: the product's own code, run by a few actors, in every order that their
 * steps can come in. A step is one atomic operation, with those of memory_order_relaxed that follow it: they are on
 * what belongs to the actor for the moment. Sequential consistency is taken for granted: on x86-64 only a store that is
 * passed by a later load differs from it, and where that matters the code uses a locked instruction.
 *
 *     #include "model.h"             first: it takes the place of <stdatomic.h>'s macros
 *     #include "pure/ring.c"         the code itself
 *
 * A model says what is shared, how it begins, what the actors do, and what must hold in the end, and is run by
 * model_run(). States that were seen before are not gone into again: an actor's state is what it has read so far.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { MODEL_ACTORS = 4 };

struct model {
    const char *name;
    void *shared; /* all that the actors share */
    size_t size;
    void (*begin)(void); /* shared is zeroed before */
    void (*actors[MODEL_ACTORS])(void);
    void (*end)(void); /* what must hold when all have ended */
    unsigned deaths;   /* so many actors may die, wherever they are (SIGKILL) */
    unsigned mortal;   /* which: a bit each; 0: any */
    unsigned breaks;   /* how often at most an actor is broken off that could go on; 0: as often as may be */
};

/* Prints `ok NAME: so many orders`, or the order in which something went wrong, and exits with 1. */
void model_run(const struct model *model);

/* Relaxed operations are steps of their own, where that is defined before this file is included. */
#ifdef MODEL_RELAXED_STEPS
#define MODEL_IS_STEP(order) true
#else
#define MODEL_IS_STEP(order) ((order) != memory_order_relaxed)
#endif

/* Inside an actor, before a step: others may come first. what and line are for the account of a failure. */
void model_step(const char *what, int line);
/* What the step has seen: an actor's further way depends on nothing else. */
void model_saw(uint64_t value);
/* Whether that actor has died. */
bool model_is_dead(unsigned actor);
unsigned model_self(void);

void model_fail(const char *condition, const char *file, int line);
#define MODEL_CHECK(condition) ((condition) ? (void)0 : model_fail(#condition, __FILE__, __LINE__))

#define MODEL_STEP(what) model_step(what, __LINE__)

/* What a step reads, without _Atomic. */
#ifdef __clang__
#define MODEL_PLAIN(object) __c11_atomic_load(object, __ATOMIC_SEQ_CST)
#else
#define MODEL_PLAIN(object) (*(object))
#endif
#define MODEL_SEEN(object)                             \
    ({                                                 \
        __auto_type model_value = MODEL_PLAIN(object); \
        model_saw((uint64_t)model_value);              \
        model_value;                                   \
    })
#define MODEL_CHANGE(object, what, expression)      \
    ({                                              \
        MODEL_STEP(what);                           \
        __auto_type model_old = MODEL_SEEN(object); \
        *(object) = (expression);                   \
        model_old;                                  \
    })

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_fetch_add
#undef atomic_fetch_sub
#undef atomic_fetch_or
#undef atomic_fetch_and
#undef atomic_fetch_and_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_strong_explicit
#undef atomic_thread_fence

#define atomic_load(object) (MODEL_STEP("load " #object), MODEL_SEEN(object))
#define atomic_load_explicit(object, order) \
    (!MODEL_IS_STEP(order) ? (void)0 : MODEL_STEP("load " #object), MODEL_SEEN(object))
#define atomic_store(object, value) (MODEL_STEP("store " #object), (void)(*(object) = (value)))
#define atomic_store_explicit(object, value, order) \
    (!MODEL_IS_STEP(order) ? (void)0 : MODEL_STEP("store " #object), (void)(*(object) = (value)))
#define atomic_exchange(object, value)                  MODEL_CHANGE(object, "exchange " #object, value)
#define atomic_exchange_explicit(object, value, order)  atomic_exchange(object, value)
#define atomic_fetch_add(object, value)                 MODEL_CHANGE(object, "add " #object, model_old + (value))
#define atomic_fetch_sub(object, value)                 MODEL_CHANGE(object, "subtract " #object, model_old - (value))
#define atomic_fetch_or(object, value)                  MODEL_CHANGE(object, "or " #object, model_old | (value))
#define atomic_fetch_and(object, value)                 MODEL_CHANGE(object, "and " #object, model_old &(value))
#define atomic_fetch_and_explicit(object, value, order) atomic_fetch_and(object, value)
#define atomic_compare_exchange_strong(object, expected, value) \
    ({                                                          \
        MODEL_STEP("compare and exchange " #object);            \
        __auto_type model_there = MODEL_PLAIN(object);          \
        bool model_same = model_there == *(expected);           \
        if (model_same)                                         \
            *(object) = (value);                                \
        else                                                    \
            *(expected) = model_there;                          \
        model_saw((uint64_t)model_there * 2 + model_same);      \
        model_same;                                             \
    })
#define atomic_compare_exchange_weak(object, expected, value) atomic_compare_exchange_strong(object, expected, value)
#define atomic_compare_exchange_strong_explicit(object, expected, value, success, failure) \
    atomic_compare_exchange_strong(object, expected, value)
#define atomic_thread_fence(order) ((void)0)

#endif
