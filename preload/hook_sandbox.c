/* A program puts itself into a sandbox: from then on our own calls ask first (sandbox.h). */
#define _GNU_SOURCE
#include <linux/seccomp.h>

#include "door.h"
#include "sandbox.h"

DOOR int prctl(int option, ...) {
    va_list arguments;
    va_start(arguments, option);
    unsigned long a = va_arg(arguments, unsigned long), b = va_arg(arguments, unsigned long);
    unsigned long c = va_arg(arguments, unsigned long), d = va_arg(arguments, unsigned long);
    va_end(arguments);
    if (option != PR_SET_SECCOMP)
        return REAL(prctl)(option, a, b, c, d);
    unsigned slot = sandbox_rising();
    int result = REAL(prctl)(option, a, b, c, d);
    const struct sock_fprog *program =
        a == SECCOMP_MODE_FILTER ? (const void *)b : NULL; // NOLINT(performance-no-int-to-ptr)
    sandbox_settled(slot, result == 0, program);
    return result;
}
