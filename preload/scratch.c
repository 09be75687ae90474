#define _GNU_SOURCE
#include "scratch.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "sandbox.h"

enum { SPACES = 8 };

static struct scratch spaces[SPACES];
static atomic_bool taken[SPACES];

struct scratch *scratch_take(void) {
    for (int i = 0; i < SPACES; i++)
        if (!atomic_load_explicit(&taken[i], memory_order_relaxed) &&
            !atomic_exchange_explicit(&taken[i], true, memory_order_acquire))
            return &spaces[i];
    long page =
        probe(SYS_mmap, 0, sizeof(struct scratch), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page < 0 && page > -4096 ? NULL : (struct scratch *)page; // NOLINT(performance-no-int-to-ptr)
}

void scratch_give(struct scratch *scratch) {
    if (scratch >= spaces && scratch < spaces + SPACES)
        atomic_store_explicit(&taken[scratch - spaces], false, memory_order_release);
    else
        probe(SYS_munmap, (long)scratch, sizeof *scratch, 0, 0, 0, 0);
}

void scratch_forked(void) {
    for (int i = 0; i < SPACES; i++)
        atomic_store(&taken[i], false);
}
