#define _GNU_SOURCE
#include "libc_real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

struct real real;

struct place {
    const char *name;
    const char *version; /* NULL: the default one */
    size_t offset;       /* in struct real */
};

#define HOOK(symbol) {#symbol, NULL, offsetof(struct real, symbol)},
#define TWIN(symbol, of)
#define OLD(symbol, of, version) {#symbol, #version, offsetof(struct real, of)},
static const struct place real_places[REAL_COUNT] = {
#include "hooks.def"
};
#undef HOOK
#undef TWIN
#undef OLD

static long not_there(void) {
    errno = ENOSYS;
    return -1;
}

void *real_find(enum real_symbol symbol) {
    const struct place *place = &real_places[symbol];
    void **slot = (void **)((char *)&real + place->offset);
    if (!*slot) {
        void *found = place->version ? dlvsym(RTLD_NEXT, place->name, place->version) : dlsym(RTLD_NEXT, place->name);
        *slot = found ? found : (void *)not_there;
    }
    return *slot;
}

static bool writes_are_libc;

static const void *object_of(const void *function) {
    Dl_info info;
    return dladdr(function, &info) ? info.dli_fbase : NULL;
}

/* qsort() is nobody's to wrap. */
static bool is_libc(const void *function) {
    const void *libc = object_of((const void *)qsort);
    return libc && object_of(function) == libc;
}

void real_start(void) {
    for (int symbol = 0; symbol < REAL_COUNT; symbol++)
        real_find((enum real_symbol)symbol);
    writes_are_libc = is_libc((const void *)real.write) && is_libc((const void *)real.writev) &&
                      is_libc((const void *)real.send) && is_libc((const void *)real.sendmsg);
}

bool real_writes_are_libc(void) {
    return writes_are_libc;
}
