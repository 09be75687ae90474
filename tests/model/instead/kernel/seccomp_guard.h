/* preload/kernel/seccomp_guard.h for the models: of the kernel it is only asked who is dead. */
#ifndef MODEL_SECCOMP_GUARD_H
#define MODEL_SECCOMP_GUARD_H

#include <errno.h>
#include <sys/syscall.h>

#include "arch/machine.h"
#include "model.h"

/* Processes are called 1, 2 ... by their actors. */
static inline long probe(long number, long a, long b, long c, long d, long e, long f) {
    (void)b, (void)c, (void)d, (void)e, (void)f;
    MODEL_CHECK(number == SYS_kill);
    return model_is_dead((unsigned)a - 1) ? -ESRCH : 0;
}

#endif
