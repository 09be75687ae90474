#include "elf_symbol.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What is needed of an object's dynamic section. */
struct tables {
    uintptr_t base, bias; /* bias: what is added to an address that is written in the object */
    const Elf64_Sym *symbols;
    const char *names;
    const Elf64_Half *versions; /* or NULL */
    const uint32_t *gnu_hash, *hash;
};

enum { HIDDEN = 0x8000 }; /* in a version: not the one that a name alone means */

static const void *loaded_at(const struct tables *tables, uint64_t written) {
    /* The loader has put the bias to it already, but not in the vdso, which is not its to write. */
    uintptr_t at = written < tables->base ? written + tables->bias : written;
    return (const void *)at; // NOLINT(performance-no-int-to-ptr)
}

static const Elf64_Dyn *dynamic_section(const void *base, struct tables *tables) {
    const Elf64_Ehdr *header = base;
    const Elf64_Phdr *segment = (const void *)((const char *)base + header->e_phoff);
    const Elf64_Dyn *dynamic = NULL;
    bool placed = false;
    tables->base = (uintptr_t)base;
    for (const Elf64_Phdr *end = segment + header->e_phnum; segment < end; segment++)
        if (segment->p_type == PT_LOAD && !placed) {
            tables->bias = tables->base - segment->p_vaddr + segment->p_offset;
            placed = true;
        } else if (segment->p_type == PT_DYNAMIC)
            dynamic = loaded_at(tables, segment->p_vaddr);
    return dynamic;
}

static bool read_tables(const void *base, struct tables *tables) {
    memset(tables, 0, sizeof *tables);
    for (const Elf64_Dyn *at = dynamic_section(base, tables); at && at->d_tag != DT_NULL; at++)
        switch (at->d_tag) {
        case DT_SYMTAB:
            tables->symbols = loaded_at(tables, at->d_un.d_ptr);
            break;
        case DT_STRTAB:
            tables->names = loaded_at(tables, at->d_un.d_ptr);
            break;
        case DT_VERSYM:
            tables->versions = loaded_at(tables, at->d_un.d_ptr);
            break;
        case DT_GNU_HASH:
            tables->gnu_hash = loaded_at(tables, at->d_un.d_ptr);
            break;
        case DT_HASH:
            tables->hash = loaded_at(tables, at->d_un.d_ptr);
            break;
        default:
            break;
        }
    return tables->symbols && tables->names && (tables->gnu_hash || tables->hash);
}

static bool is_it(const struct tables *tables, uint32_t i, const char *name) {
    const Elf64_Sym *symbol = &tables->symbols[i];
    return symbol->st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol->st_info) == STT_FUNC &&
           !(tables->versions && (tables->versions[i] & HIDDEN)) && strcmp(tables->names + symbol->st_name, name) == 0;
}

static uint32_t gnu_hash(const char *name) {
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

/* Its number, 0: not there. Symbols of one bucket follow one another; the last one's hash is odd. */
static uint32_t find_hashed(const struct tables *tables, const char *name) {
    const uint32_t *table = tables->gnu_hash;
    const uint32_t buckets = table[0], first = table[1], words = table[2];
    const uint32_t *bucket = table + 4 + (size_t)words * 2, *chain = bucket + buckets;
    uint32_t i = buckets ? bucket[gnu_hash(name) % buckets] : 0;
    for (; i >= first && i > 0; i++) {
        if (is_it(tables, i, name))
            return i;
        if (chain[i - first] & 1)
            break;
    }
    return 0;
}

static uint32_t find_listed(const struct tables *tables, const char *name) {
    for (uint32_t i = 1, count = tables->hash[1]; i < count; i++)
        if (is_it(tables, i, name))
            return i;
    return 0;
}

void *elf_symbol(const void *base, const char *name) {
    struct tables tables;
    if (!base || !read_tables(base, &tables))
        return NULL;
    uint32_t i = tables.gnu_hash ? find_hashed(&tables, name) : find_listed(&tables, name);
    return i ? (void *)(tables.bias + tables.symbols[i].st_value) : NULL; // NOLINT(performance-no-int-to-ptr)
}
