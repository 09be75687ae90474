#include "elf_symbol.h"

#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>

enum { HIDDEN = 0x8000, VERSION = 0x7fff }; /* in a version: not the one that a name alone means; its number */

static const void *loaded_at(uintptr_t bias, uint64_t written) {
    /* glibc's loader has put the bias to it already; not in the vdso, which is not its to write, and musl's never does.
     */
    uintptr_t at = written < bias ? written + bias : written;
    return (const void *)at; // NOLINT(performance-no-int-to-ptr)
}

static void read_entry(struct elf_object *object, const Elf64_Dyn *entry) {
    const void *at = loaded_at(object->bias, entry->d_un.d_ptr);
    switch (entry->d_tag) {
    case DT_SYMTAB:
        object->symbols = at;
        break;
    case DT_STRTAB:
        object->names = at;
        break;
    case DT_VERSYM:
        object->versions = at;
        break;
    case DT_VERDEF:
        object->own_versions = at;
        break;
    case DT_GNU_HASH:
        object->gnu_hash = at;
        break;
    case DT_HASH:
        object->hash = at;
        break;
    default:
        break;
    }
}

bool elf_object_read(uintptr_t bias, const Elf64_Dyn *dynamic, struct elf_object *object) {
    memset(object, 0, sizeof *object);
    object->bias = bias;
    for (const Elf64_Dyn *entry = dynamic; entry && entry->d_tag != DT_NULL; entry++)
        read_entry(object, entry);
    return object->symbols && object->names && (object->gnu_hash || object->hash);
}

/* NULL: no version of that number has a name. */
static const char *version_name(const struct elf_object *object, unsigned number) {
    const Elf64_Verdef *version = object->own_versions;
    while (version && version->vd_ndx != number)
        version = version->vd_next ? (const void *)((const char *)version + version->vd_next) : NULL;
    if (!version)
        return NULL;
    const Elf64_Verdaux *name = (const void *)((const char *)version + version->vd_aux);
    return object->names + name->vda_name;
}

static bool is_version(const struct elf_object *object, uint32_t i, const char *version) {
    if (!object->versions)
        return true;
    if (!version)
        return !(object->versions[i] & HIDDEN);
    const char *name = version_name(object, object->versions[i] & VERSION);
    return name && strcmp(name, version) == 0;
}

static bool is_function(const Elf64_Sym *symbol) {
    unsigned type = ELF64_ST_TYPE(symbol->st_info);
    return symbol->st_shndx != SHN_UNDEF && symbol->st_value != 0 &&
           (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_OBJECT || type == STT_NOTYPE);
}

static bool is_it(const struct elf_object *object, uint32_t i, const char *name, const char *version) {
    const Elf64_Sym *symbol = &object->symbols[i];
    return is_function(symbol) && strcmp(object->names + symbol->st_name, name) == 0 && is_version(object, i, version);
}

static uint32_t gnu_hash(const char *name) {
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static uint32_t old_hash(const char *name) {
    uint32_t hash = 0;
    for (; *name; name++) {
        hash = (hash << 4) + (unsigned char)*name;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    return hash;
}

/*
 * DT_GNU_HASH: four numbers, a filter, the buckets, and a word for each symbol from the first on. Symbols of one bucket
 * follow one another; the last one's word is odd. The symbol's number; 0: not there.
 */
static uint32_t find_hashed(const struct elf_object *object, const char *name, const char *version) {
    const uint32_t *table = object->gnu_hash;
    const uint32_t buckets = table[0], first = table[1], words = table[2], shift = table[3];
    const uint64_t *filter = (const void *)(table + 4);
    const uint32_t *bucket = (const void *)(filter + words), *chain = bucket + buckets, hash = gnu_hash(name);
    const uint64_t bits = filter[hash / 64 & (words - 1)];
    if (!buckets || !(bits >> hash % 64 & bits >> (hash >> shift) % 64 & 1))
        return 0;
    for (uint32_t i = bucket[hash % buckets]; i >= first && i > 0; i++) {
        if ((chain[i - first] | 1) == (hash | 1) && is_it(object, i, name, version))
            return i;
        if (chain[i - first] & 1)
            break;
    }
    return 0;
}

/* DT_HASH: how many buckets and symbols; the buckets; for each symbol the next one of its bucket. */
static uint32_t find_listed(const struct elf_object *object, const char *name, const char *version) {
    const uint32_t buckets = object->hash[0], *bucket = object->hash + 2, *next = bucket + buckets;
    uint32_t i = buckets ? bucket[old_hash(name) % buckets] : 0;
    while (i && !is_it(object, i, name, version))
        i = next[i];
    return i;
}

void *elf_object_find(const struct elf_object *object, const char *name, const char *version) {
    uint32_t i = object->gnu_hash ? find_hashed(object, name, version) : find_listed(object, name, version);
    if (!i)
        return NULL;
    void *at = (void *)(object->bias + object->symbols[i].st_value); // NOLINT(performance-no-int-to-ptr)
    if (ELF64_ST_TYPE(object->symbols[i].st_info) != STT_GNU_IFUNC)
        return at;
    return ((void *(*)(unsigned long))at)(getauxval(AT_HWCAP)); /* it says which function suits the machine */
}

static const Elf64_Dyn *dynamic_section(const void *base, uintptr_t *bias) {
    const Elf64_Ehdr *header = base;
    const Elf64_Phdr *segment = (const void *)((const char *)base + header->e_phoff);
    uint64_t dynamic = 0;
    bool placed = false;
    for (const Elf64_Phdr *end = segment + header->e_phnum; segment < end; segment++)
        if (segment->p_type == PT_LOAD && !placed) {
            *bias = (uintptr_t)base - segment->p_vaddr + segment->p_offset;
            placed = true;
        } else if (segment->p_type == PT_DYNAMIC)
            dynamic = segment->p_vaddr;
    return dynamic ? (const void *)(*bias + dynamic) : NULL; // NOLINT(performance-no-int-to-ptr)
}

void *elf_symbol(const void *base, const char *name) {
    uintptr_t bias = 0;
    struct elf_object object;
    const Elf64_Dyn *dynamic = base ? dynamic_section(base, &bias) : NULL;
    return elf_object_read(bias, dynamic, &object) ? elf_object_find(&object, name, NULL) : NULL;
}
