#define _GNU_SOURCE
#include "scratch.h"

#include <stdatomic.h>
#include <stddef.h>

#include "memory.h"

enum { SPACES = 8 };

static struct scratch spaces[SPACES];
static atomic_bool taken[SPACES];

struct scratch *scratch_take(void) {
    for (int i = 0; i < SPACES; i++)
        if (!atomic_load_explicit(&taken[i], memory_order_relaxed) &&
            !atomic_exchange_explicit(&taken[i], true, memory_order_acquire))
            return &spaces[i];
    return memory_map(sizeof(struct scratch), false);
}

void scratch_give(struct scratch *scratch) {
    if (scratch >= spaces && scratch < spaces + SPACES)
        atomic_store_explicit(&taken[scratch - spaces], false, memory_order_release);
    else
        memory_unmap(scratch, sizeof *scratch);
}

void scratch_forked(void) {
    for (int i = 0; i < SPACES; i++)
        atomic_store(&taken[i], false);
}
