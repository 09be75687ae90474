#include "cookies.h"

#include <stdlib.h>

#include "grow.h"

static struct cookies_entry *entry_of(const struct cookies *cookies, uint64_t cookie) {
    size_t at = (size_t)(cookie * 0x9E3779B97F4A7C15ULL >> 20) & (cookies->size - 1);
    while (cookies->entries[at].cookie && cookies->entries[at].cookie != cookie)
        at = (at + 1) & (cookies->size - 1);
    return &cookies->entries[at];
}

static void enlarge(struct cookies *cookies) {
    enum { FIRST_SIZE = 256 };
    const struct cookies before = *cookies;
    cookies->size = before.size ? 2 * before.size : FIRST_SIZE;
    cookies->entries = zeroed(cookies->size, sizeof *cookies->entries);
    for (size_t i = 0; i < before.size; i++)
        if (before.entries[i].cookie)
            *entry_of(cookies, before.entries[i].cookie) = before.entries[i];
    free(before.entries);
}

void cookies_put(struct cookies *cookies, uint64_t cookie, uint32_t number) {
    if (!cookie)
        return;
    if (2 * (cookies->used + 1) > cookies->size)
        enlarge(cookies);
    struct cookies_entry *entry = entry_of(cookies, cookie);
    cookies->used += entry->cookie == 0;
    *entry = (struct cookies_entry){cookie, number};
}

bool cookies_find(const struct cookies *cookies, uint64_t cookie, uint32_t *number) {
    if (cookies->size == 0 || !cookie)
        return false;
    const struct cookies_entry *entry = entry_of(cookies, cookie);
    *number = entry->number;
    return entry->cookie == cookie;
}

void cookies_clear(struct cookies *cookies) {
    free(cookies->entries);
    *cookies = (struct cookies){0};
}
