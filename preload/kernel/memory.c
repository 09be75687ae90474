#define _GNU_SOURCE
#include "memory.h"

#include <sys/mman.h>

#include "seccomp_guard.h"

void *memory_map(size_t size, bool shared) {
    enum { ERRORS = 4096 };
    long kind = shared ? MAP_SHARED : MAP_PRIVATE;
    long memory = probe(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory < 0 && memory > -ERRORS ? NULL : (void *)memory; // NOLINT(performance-no-int-to-ptr)
}

void memory_unmap(void *memory, size_t size) {
    probe(SYS_munmap, (long)memory, (long)size, 0, 0, 0, 0);
}
