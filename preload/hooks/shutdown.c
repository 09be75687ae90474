/* shutdown: ends a direction whatever the references. */
#define _GNU_SOURCE
#include "hook.h"
#include "calls/shutting_down.h"

HOOKED int shutdown(int fd, int how) {
    struct ending_call ending;
    if (!table_maybe_tcp(fd) || !shutdown_entering(&ending, fd, how, "shutdown", CALLER))
        return REAL(shutdown)(fd, how);
    int result = shutdown_is_off(&ending) ? 0 : REAL(shutdown)(fd, ending.real_how);
    return (int)shutdown_exiting(&ending, result, error_of(result));
}
