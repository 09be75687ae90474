/*
 * A program puts itself into a sandbox: from then on our own calls ask first (seccomp_guard.h); and gives its threads
 * other names.
 */
#define _GNU_SOURCE
#include <linux/seccomp.h>

#include "hook.h"
#include "kernel/clock.h"
#include "kernel/process.h"
#include "kernel/seccomp_guard.h"

HOOKED int prctl(int option, ...) {
    va_list arguments;
    va_start(arguments, option);
    unsigned long a = va_arg(arguments, unsigned long), b = va_arg(arguments, unsigned long);
    unsigned long c = va_arg(arguments, unsigned long), d = va_arg(arguments, unsigned long);
    va_end(arguments);
    if (option != PR_SET_SECCOMP) {
        int answer = REAL(prctl)(option, a, b, c, d);
        if (option == PR_SET_NAME)
            process_names_change();
        return answer;
    }
    unsigned slot = sandbox_rising(clock_now());
    int result = REAL(prctl)(option, a, b, c, d);
    const struct sock_fprog *program =
        a == SECCOMP_MODE_FILTER ? (const void *)b : NULL; // NOLINT(performance-no-int-to-ptr)
    sandbox_settled(slot, result == 0, program);
    return result;
}

/* Also another thread's, which no prctl() can. */
HOOKED int pthread_setname_np(pthread_t thread, const char *name) {
    int result = REAL(pthread_setname_np)(thread, name);
    process_names_change();
    return result;
}
