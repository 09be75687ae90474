/*
 * The functions of all that the loader has loaded. dlsym() does the same, but lies in a library of its own before glibc
 * 2.34, which not every program loads, and may be another preloaded library's. No call, no lock.
 */
#ifndef CLOSETRACE_LOADED_H
#define CLOSETRACE_LOADED_H

#include <link.h>
#include <stddef.h>

struct loaded_symbol {
    const char *name;
    const char *version; /* NULL: the default one */
};

struct loaded_function {
    void *address; /* NULL: nothing that is loaded has it */
    const struct link_map *object;
};

/*
 * For each of the symbols whose address in found is NULL: the function of the next object behind this library that has
 * it, as RTLD_NEXT has it; where there is none behind it, of any other object.
 */
void loaded_find(const struct loaded_symbol *symbols, struct loaded_function *found, size_t count);

/* The function of that object, or NULL. */
void *loaded_find_in(const struct link_map *object, const char *name);

#endif
