/* The limit of descriptors: ours keep above it. */
#define _GNU_SOURCE
#include "hook.h"
#include "kernel/own_fds.h"
#include "kernel/process.h"

static void limit_changed(int error) {
    if (error == 0 && table_on)
        own_move_up();
}

HOOKED int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    int result = REAL(setrlimit)(resource, limit);
    if (resource == RLIMIT_NOFILE)
        limit_changed(result);
    return result;
}

HOOKED int prlimit(pid_t pid, __rlimit_resource_t resource, const struct rlimit *limit, struct rlimit *old) {
    int result = REAL(prlimit)(pid, resource, limit, old);
    if (resource == RLIMIT_NOFILE && limit && (pid == 0 || pid == process_id()))
        limit_changed(result);
    return result;
}

/* Of a type of their own in the headers, though alike: not TWIN_HOOK(). */
#if __has_attribute(copy)
#define ALIKE(of) __attribute__((alias(#of), copy(of), visibility("default")))
#else
#define ALIKE(of) __attribute__((alias(#of), visibility("default")))
#endif
extern __typeof__(setrlimit) setrlimit_twin __asm__("setrlimit64") ALIKE(setrlimit);
extern __typeof__(prlimit) prlimit_twin __asm__("prlimit64") ALIKE(prlimit);
