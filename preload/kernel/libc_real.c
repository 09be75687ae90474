#define _GNU_SOURCE
#include "libc_real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

#include "elf_symbol.h"

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

/* Not in every libc. */
#pragma weak dlvsym

static long not_there(void) {
    errno = ENOSYS;
    return -1;
}

void *real_find(enum real_symbol symbol) {
    const struct place *place = &real_places[symbol];
    void **slot = (void **)((char *)&real + place->offset);
    if (!*slot) {
        void *found =
            place->version && dlvsym ? dlvsym(RTLD_NEXT, place->name, place->version) : dlsym(RTLD_NEXT, place->name);
        *slot = found ? found : (void *)not_there;
    }
    return *slot;
}

static bool writes_are_libc;
nanosleep_function *libc_nanosleep;

static const void *object_of(const void *function) {
    Dl_info info;
    return dladdr(function, &info) ? info.dli_fbase : NULL;
}

static const void *libc_base(void) {
    return object_of((const void *)gnu_get_libc_version);
}

static bool is_libc(const void *function) {
    const void *libc = libc_base();
    return libc && object_of(function) == libc;
}

void real_start(void) {
    for (int symbol = 0; symbol < REAL_COUNT; symbol++)
        real_find((enum real_symbol)symbol);
    writes_are_libc = is_libc((const void *)real.write) && is_libc((const void *)real.writev) &&
                      is_libc((const void *)real.send) && is_libc((const void *)real.sendmsg);
    libc_nanosleep = (nanosleep_function *)elf_symbol(libc_base(), "clock_nanosleep");
}

bool real_writes_are_libc(void) {
    return writes_are_libc;
}
