/*
 * Checks that say where they failed and go on. main() ends with `return unit_failures();`.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdio.h>
#include <string.h>

static int failures;

#define FAILED(...)                                     \
    do {                                                \
        failures++;                                     \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
        fprintf(stderr, __VA_ARGS__);                   \
        fputc('\n', stderr);                            \
    } while (0)

#define CHECK(condition)                      \
    do {                                      \
        if (!(condition))                     \
            FAILED("not so: %s", #condition); \
    } while (0)

#define CHECK_NUMBER(actual, expected)                           \
    do {                                                         \
        const long long is = (long long)(actual);                \
        const long long wanted = (long long)(expected);          \
        if (is != wanted)                                        \
            FAILED("%s is %lld, not %lld", #actual, is, wanted); \
    } while (0)

#define CHECK_TEXT(actual, expected)                                                   \
    do {                                                                               \
        const char *const is = (actual);                                               \
        const char *const wanted = (expected);                                         \
        if (!is || strcmp(is, wanted) != 0)                                            \
            FAILED("%s\n     is: %s\n wanted: %s", #actual, is ? is : "NULL", wanted); \
    } while (0)

static inline int unit_failures(void) {
    if (failures > 0)
        fprintf(stderr, "%d checks failed\n", failures);
    return failures > 0;
}

#endif
