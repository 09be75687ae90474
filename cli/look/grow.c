#include "grow.h"

#include <stdio.h>
#include <stdlib.h>

#include "exit_status.h"
#include "terminal/say.h"

static void *or_end(void *memory) {
    if (memory)
        return memory;
    say("closetrace: out of memory");
    exit(EXIT_FAILED);
}

void *grow(void *list, size_t count, size_t *room, size_t size) {
    enum { FIRST = 64 };
    if (count < *room)
        return list;
    *room = *room ? 2 * *room : FIRST;
    return or_end(reallocarray(list, *room, size));
}

void *zeroed(size_t count, size_t size) {
    return or_end(calloc(count, size));
}
