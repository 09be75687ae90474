/*
 * What the headers of older systems do not name (Debian 11: glibc 2.31, Linux 5.10). The kernel may have it all the
 * same; where it has not, it says ENOSYS.
 */
#ifndef CLOSETRACE_OLDER_H
#define CLOSETRACE_OLDER_H

#include <sys/syscall.h>

/* The same numbers on every machine. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

#endif
