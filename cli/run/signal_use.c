#define _GNU_SOURCE
#include "signal_use.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "kernel/procfs.h"
#include "kernel/thread_call.h"

/* Those of its first thread; of who is caught, blocked or ignored. */
static uint64_t masks_of(int pid) {
    static const char *const masks[] = {"\nSigBlk:", "\nSigIgn:", "\nSigCgt:"};
    char path[PROC_PATH], text[4096];
    uint64_t used = 0;
    proc_path(path, sizeof path, pid, 0, "/status");
    if (proc_read(path, text, sizeof text) <= 0)
        return 0;
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        const char *mask = strstr(text, masks[i]);
        used |= mask ? strtoull(mask + strlen(masks[i]), NULL, 16) : 0;
    }
    return used;
}

/* What sigwait() waits for the kernel does not show as blocked meanwhile. */
static uint64_t awaited_by(int pid) {
    struct scratch *scratch = scratch_take();
    struct thread_call call;
    uint64_t set = 0;
    if (!scratch)
        return 0;
    if (thread_call_of(pid, pid, scratch, &call) == THREAD_IN_CALL && call.number == SYS_rt_sigtimedwait) {
        struct iovec ours = {&set, sizeof set};
        struct iovec theirs = {(void *)(uintptr_t)call.arguments[0], sizeof set}; // NOLINT(performance-no-int-to-ptr)
        if (process_vm_readv(pid, &ours, 1, &theirs, 1, 0) != sizeof set)
            set = 0;
    }
    scratch_give(scratch);
    return set;
}

bool has_use_for(int pid, int signal) {
    const uint64_t bit = 1ULL << (signal - 1);
    return pid > 0 && (masks_of(pid) & bit || awaited_by(pid) & bit);
}
