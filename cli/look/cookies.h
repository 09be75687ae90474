/* A table from sockets' cookies to numbers. Zeroed at first. */
#ifndef CLOSETRACE_COOKIES_H
#define CLOSETRACE_COOKIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cookies_entry {
    uint64_t cookie; /* 0: free */
    uint32_t number;
};

struct cookies {
    struct cookies_entry *entries;
    size_t size, used;
};

/* Cookie 0 is nobody's. What stood there before is overwritten. */
void cookies_put(struct cookies *cookies, uint64_t cookie, uint32_t number);
bool cookies_find(const struct cookies *cookies, uint64_t cookie, uint32_t *number);
/* Empty again. */
void cookies_clear(struct cookies *cookies);

#endif
