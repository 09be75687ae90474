/*
 * Preloaded: its constructor holds what the library finds in the loader's tables (preload/kernel/loaded.c) against what
 * dlsym() and dlvsym() say, for every hook and a few others, and says what differs.
 */
#define _GNU_SOURCE
// NOLINTBEGIN(bugprone-suspicious-include): as they would be in the library
#include "kernel/elf_symbol.c"
#include "kernel/loaded.c"
// NOLINTEND(bugprone-suspicious-include)

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define HOOK(symbol)             {#symbol, NULL},
#define TWIN(symbol, of)         {#symbol, NULL},
#define OLD(symbol, of, version) {#symbol, #version},
static const struct loaded_symbol symbols[] = {
#include "kernel/hooks.def"
    {"_dl_find_object", NULL},
    {"there_is_no_such_function", NULL},
    {"posix_spawn", "GLIBC_1.0"},
    {"ours_too", NULL}, /* exported here, and by nobody else */
};
enum { COUNT = sizeof symbols / sizeof *symbols };

__attribute__((visibility("default"))) void ours_too(void);
void ours_too(void) {}

__attribute__((constructor)) static void compare(void) {
    struct loaded_function found[COUNT] = {{NULL, NULL}};
    loaded_find(symbols, found, COUNT);
    unsigned same = 0;
    for (int i = 0; i < COUNT; i++) {
        const char *version = symbols[i].version;
        void *said = version ? dlvsym(RTLD_NEXT, symbols[i].name, version) : dlsym(RTLD_NEXT, symbols[i].name);
        Dl_info info = {0};
        bool right = found[i].address == said &&
                     (!said || (dladdr(said, &info) && strcmp(info.dli_fname, found[i].object->l_name) == 0));
        if (right)
            same++;
        else
            printf("%s: %p of %s, but %p of %s\n", symbols[i].name, found[i].address,
                   found[i].object ? found[i].object->l_name : "-", said, info.dli_fname ? info.dli_fname : "-");
    }
    printf("%u of %u\n", same, (unsigned)COUNT);
    fflush(stdout);
}
