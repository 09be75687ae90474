/*
 * A function of one object in memory, whoever else has one of that name: another preloaded library may have put its own
 * in place of libc's (a faked clock has), and what we do of our own accord is not its to see. Reads the object's
 * tables, calls nothing.
 */
#ifndef CLOSETRACE_ELF_SYMBOL_H
#define CLOSETRACE_ELF_SYMBOL_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

/* Where the tables of an object are. */
struct elf_object {
    uintptr_t bias; /* what is added to an address that is written in the object */
    const Elf64_Sym *symbols;
    const char *names;
    const Elf64_Half *versions;       /* or NULL */
    const Elf64_Verdef *own_versions; /* or NULL */
    const uint32_t *gnu_hash, *hash;  /* one of them, or both */
};

/* The object whose dynamic section that is. False: it has no functions for others. */
bool elf_object_read(uintptr_t bias, const Elf64_Dyn *dynamic, struct elf_object *object);

/* Of that name and version (NULL: the default one; an object without versions answers for all). NULL: there is none. */
void *elf_object_find(const struct elf_object *object, const char *name, const char *version);

/* base: where the object's first page is; NULL: there is none. NULL where it has no such function. Before main. */
void *elf_symbol(const void *base, const char *name);

#endif
