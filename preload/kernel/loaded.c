#define _GNU_SOURCE
#include "loaded.h"

#include <stdbool.h>

#include "elf_symbol.h"

/* The loader's list for debuggers: glibc's, and where musl's is. Weak: each has its own, and no version is asked for.
 */
extern struct r_debug _r_debug __attribute__((weak));
extern struct r_debug *_dl_debug_addr __attribute__((weak));

/* Of this library. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

static const struct link_map *first_object(void) {
    if (&_r_debug)
        return _r_debug.r_map;
    return &_dl_debug_addr && _dl_debug_addr ? _dl_debug_addr->r_map : NULL;
}

/* In that object and those behind it. */
static void find_from(const struct link_map *object, const struct loaded_symbol *symbols, struct loaded_function *found,
                      size_t count) {
    for (struct elf_object tables; object; object = object->l_next) {
        bool asked = object->l_ld != _DYNAMIC && elf_object_read(object->l_addr, object->l_ld, &tables);
        for (size_t i = 0; asked && i < count; i++)
            if (!found[i].address) {
                found[i].address = elf_object_find(&tables, symbols[i].name, symbols[i].version);
                found[i].object = found[i].address ? object : NULL;
            }
    }
}

void loaded_find(const struct loaded_symbol *symbols, struct loaded_function *found, size_t count) {
    const struct link_map *ours = first_object();
    while (ours && ours->l_ld != _DYNAMIC)
        ours = ours->l_next;
    find_from(ours, symbols, found, count);
    find_from(first_object(), symbols, found, count);
}

void *loaded_find_in(const struct link_map *object, const char *name) {
    struct elf_object tables;
    return object && elf_object_read(object->l_addr, object->l_ld, &tables) ? elf_object_find(&tables, name, NULL)
                                                                            : NULL;
}
