#include "opening.h"

#include <sys/uio.h>

#include "kernel/process.h"
#include "kernel/seccomp_guard.h"
#include "leaving.h"

/* The kernel has not read the address yet: it may be a bad pointer. */
static bool copy_address(const struct sockaddr *address, socklen_t length, struct address *copy) {
    struct sockaddr_storage storage = {0};
    struct iovec ours = {&storage, sizeof storage};
    struct iovec theirs = {(void *)(uintptr_t)address, length < sizeof storage ? length : sizeof storage};
    if (probe(SYS_process_vm_readv, process_id(), (long)&ours, 1, (long)&theirs, 1, 0) <= 0)
        return false;
    address_from_sockaddr(copy, (const struct sockaddr *)&storage, length);
    return true;
}

bool opening_meets(enum rule_family family, int fd, const struct sockaddr *address, socklen_t length, struct call *call,
                   long *result) {
    struct identity identity;
    struct fault_subject subject = {
        .family = family, .call = call, .fd = fd, .how = -1, .without = family == RULE_ACCEPT ? 1U << PART_THEN : 0};
    if (fd >= 0 && !table_find(fd, true, &identity))
        return false;
    if (fd < 0 && leaving_count() == 0)
        return false;
    if (fd >= 0)
        subject.identity = &identity;
    if (address && copy_address(address, length, &identity.remote))
        identity.role = ROLE_CLIENT;
    return fault_takes(&subject, result);
}
