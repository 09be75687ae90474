#include "seccomp_guard.h"

#include <linux/audit.h>
#include <stdatomic.h>
#include <string.h>

#include "pure/seccomp_filter.h"

enum { FILTERS_MAX = 16, STEPS_MAX = 8192 };

bool sandbox_up;
uint64_t sandbox_since;

/* What one filter said; opaque: it could not be kept, so that nothing may be assumed allowed. */
struct kept_filter {
    unsigned first, length;
    bool strict, opaque;
};

static struct kept_filter filters[FILTERS_MAX];
static struct sock_filter steps[STEPS_MAX];
static atomic_uint filter_count;
static atomic_uint step_count;

static bool strict_allows(long number) {
    return number == SYS_read || number == SYS_write || number == SYS_exit || number == SYS_rt_sigreturn;
}

static bool filter_allows(const struct kept_filter *filter, const struct seccomp_data *data) {
    if (filter->opaque)
        return false;
    if (filter->strict)
        return strict_allows(data->nr);
    unsigned action = seccomp_filter_run(&steps[filter->first], filter->length, data) & SECCOMP_RET_ACTION_FULL;
    return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

bool sandbox_allows(long number, long a, long b, long c, long d, long e, long f) {
    struct seccomp_data data = {
        .nr = (int)number,
        .arch = MACHINE_AUDIT_ARCH,
        .instruction_pointer = (unsigned long)&sandbox_allows,
        .args = {(unsigned long)a, (unsigned long)b, (unsigned long)c, (unsigned long)d, (unsigned long)e,
                 (unsigned long)f},
    };
    unsigned count = atomic_load(&filter_count);
    for (unsigned i = 0; i < count && i < FILTERS_MAX; i++)
        if (!filter_allows(&filters[i], &data))
            return false;
    return count <= FILTERS_MAX;
}

unsigned sandbox_rising(uint64_t now) {
    unsigned slot = atomic_load(&filter_count);
    if (!sandbox_up)
        sandbox_since = now;
    if (slot < FILTERS_MAX)
        filters[slot] = (struct kept_filter){.opaque = true};
    atomic_store(&filter_count, slot + 1);
    sandbox_up = true;
    return slot;
}

static void keep_filter(struct kept_filter *filter, const struct sock_fprog *program) {
    unsigned first = atomic_load(&step_count);
    if (program->len > STEPS_MAX - first)
        return;
    memcpy(&steps[first], program->filter, program->len * sizeof *steps);
    atomic_store(&step_count, first + program->len);
    filter->first = first;
    filter->length = program->len;
    filter->opaque = false;
}

void sandbox_settled(unsigned slot, bool installed, const struct sock_fprog *program) {
    if (!installed) {
        atomic_store(&filter_count, slot);
        sandbox_up = slot > 0;
        return;
    }
    if (slot >= FILTERS_MAX)
        return;
    if (program)
        keep_filter(&filters[slot], program);
    else
        filters[slot] = (struct kept_filter){.strict = true};
}
