#define _GNU_SOURCE
#include "session_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/shm.h>
#include <unistd.h>

static bool make_name(char *name, size_t size) {
    unsigned long long random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return false;
    snprintf(name, size, "%016llx", random);
    return true;
}

/* A limit of the size of files is the traced program's, and the trace's. */
static bool set_size(int memory, const struct inherited *inherited) {
    inherited_raise_size(inherited);
    const bool done = ftruncate(memory, sizeof(struct session)) == 0;
    const int reason = errno;
    inherited_lower_size(inherited);
    errno = reason;
    return done && fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
}

static void *map_file(struct session_host *host, const struct inherited *inherited) {
    char file[64];
    snprintf(file, sizeof file, SESSION_FILE_PREFIX "%s", host->name);
    host->memory = memfd_create(file, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (host->memory < 0 || !set_size(host->memory, inherited))
        return NULL;
    void *memory =
        mmap(NULL, sizeof(struct session), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, host->memory, 0);
    snprintf(host->where, sizeof host->where, "%d:%d:%s", getpid(), host->memory, host->name);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Removed at once: it is there as long as somebody has it mapped, and Linux lets more of our own user map it. */
static void *map_segment(struct session_host *host) {
    const int segment = shmget(IPC_PRIVATE, sizeof(struct session), IPC_CREAT | SHM_NORESERVE | 0600);
    if (segment < 0)
        return NULL;
    void *memory = shmat(segment, NULL, 0);
    const int reason = errno;
    shmctl(segment, IPC_RMID, NULL);
    errno = reason;
    if (host->memory >= 0)
        close(host->memory);
    host->memory = -1;
    snprintf(host->where, sizeof host->where, "%d:%c%d:%s", getpid(), SESSION_SEGMENT_MARK, segment, host->name);
    return memory == (void *)-1 ? NULL : memory; // NOLINT(performance-no-int-to-ptr)
}

bool session_host_begin(struct session_host *host, const struct inherited *inherited) {
    *host = (struct session_host){.memory = -1};
    if (!make_name(host->name, sizeof host->name))
        return false;
    host->session = map_file(host, inherited);
    if (!host->session && errno == EFBIG)
        host->session = map_segment(host);
    if (!host->session)
        return false;
    memcpy(host->session->name, host->name, sizeof host->name);
    snprintf(host->session->version, sizeof host->session->version, "%s", SESSION_VERSION);
    return true;
}

void session_host_end(struct session_host *host) {
    atomic_store(&host->session->ended, 1);
}
