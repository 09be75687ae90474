/* errno as the program has it: whatever ours does in between. */
#ifndef CLOSETRACE_KEEP_ERRNO_H
#define CLOSETRACE_KEEP_ERRNO_H

#include <errno.h>

static inline void keep_errno_put_back(const int *kept) {
    errno = *kept;
}

/* A statement: when the block that it stands in is left, errno is what it is now. */
#define KEEP_ERRNO __attribute__((cleanup(keep_errno_put_back), unused)) const int errno_kept = errno

#endif
