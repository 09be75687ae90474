#define _GNU_SOURCE
#include "libc_real.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "loaded.h"
#include "raw.h"
#include "thread.h"

struct real real;

#define HOOK(symbol) {#symbol, NULL},
#define TWIN(symbol, of)
#define OLD(symbol, of, version) {#symbol, #version},
static const struct loaded_symbol real_symbols[REAL_COUNT] = {
#include "hooks.def"
};
#undef HOOK
#undef OLD

#define HOOK(symbol)             offsetof(struct real, symbol),
#define OLD(symbol, of, version) offsetof(struct real, of),
static const size_t real_offsets[REAL_COUNT] = {
#include "hooks.def"
};
#undef HOOK
#undef TWIN
#undef OLD

/* Not in every libc. */
#pragma weak dlvsym

static long not_there(void) {
    error_set(ENOSYS);
    return -1;
}

static long libc_answer(long result) {
    if (result >= 0)
        return result;
    error_set((int)-result);
    return -1;
}

/* A libc that is older than a system call: whoever finds our hook, and asks no libc for the call, has the kernel's. */
static int stand_in_close_range(unsigned first, unsigned last, int flags) {
    return (int)libc_answer(raw6(SYS_close_range, first, last, flags, 0, 0, 0));
}

static void stand_in_closefrom(int lowest) {
    struct rlimit limit = {0, 0};
    if (raw6(SYS_close_range, lowest < 0 ? 0 : lowest, ~0U, 0, 0, 0, 0) == 0)
        return;
    raw6(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit, 0, 0);
    for (int fd = lowest < 0 ? 0 : lowest; (rlim_t)fd < limit.rlim_cur; fd++)
        raw6(SYS_close, fd, 0, 0, 0, 0, 0);
}

static int stand_in_execveat(int directory, const char *path, char *const argv[], char *const environment[],
                             int flags) {
    return (int)libc_answer(raw6(SYS_execveat, directory, (long)path, (long)argv, (long)environment, flags, 0));
}

static int stand_in_pidfd_getfd(int pidfd, int fd, unsigned flags) {
    return (int)libc_answer(raw6(SYS_pidfd_getfd, pidfd, fd, (long)flags, 0, 0, 0));
}

static void *stand_in(enum real_symbol symbol) {
    switch (symbol) {
    case REAL_close_range:
        return (void *)stand_in_close_range;
    case REAL_closefrom:
        return (void *)stand_in_closefrom;
    case REAL_execveat:
        return (void *)stand_in_execveat;
    case REAL_pidfd_getfd:
        return (void *)stand_in_pidfd_getfd;
    default:
        return NULL;
    }
}

static void **real_slot(enum real_symbol symbol) {
    return (void **)((char *)&real + real_offsets[symbol]);
}

/* Not kept where it is not there: libpthread, libutil may be loaded later, where libc has them apart. */
void *real_find(enum real_symbol symbol) {
    void **slot = real_slot(symbol);
    if (!*slot) {
        struct loaded_function found = {NULL, NULL};
        loaded_find(&real_symbols[symbol], &found, 1);
        *slot = found.address ? found.address : stand_in(symbol);
    }
    return *slot ? *slot : (void *)not_there;
}

/* libpthread has reads and writes of its own before 2.34. */
static bool is_libc(const struct loaded_function *function, const struct link_map *libc) {
    return libc && function->object &&
           (function->object == libc || strstr(function->object->l_name, "/libpthread.so."));
}

static bool writes_are_libc;
nanosleep_function *libc_nanosleep;

void real_start(void) {
    struct loaded_function found[REAL_COUNT] = {{NULL, NULL}}, version = {NULL, NULL};
    loaded_find(real_symbols, found, REAL_COUNT);
    for (int symbol = 0; symbol < REAL_COUNT; symbol++)
        *real_slot((enum real_symbol)symbol) =
            found[symbol].address ? found[symbol].address : stand_in((enum real_symbol)symbol);
    loaded_find(&(struct loaded_symbol){"gnu_get_libc_version", NULL}, &version, 1);
    writes_are_libc = is_libc(&found[REAL_write], version.object) && is_libc(&found[REAL_writev], version.object) &&
                      is_libc(&found[REAL_send], version.object) && is_libc(&found[REAL_sendmsg], version.object);
    libc_nanosleep = (nanosleep_function *)loaded_find_in(version.object, "clock_nanosleep");
}

bool real_writes_are_libc(void) {
    return writes_are_libc;
}

void *real_other(const char *name) {
    struct loaded_symbol symbol = {name, NULL};
    struct loaded_function found = {NULL, NULL};
    loaded_find(&symbol, &found, 1);
    return found.address;
}
