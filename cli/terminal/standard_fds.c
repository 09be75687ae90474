#define _GNU_SOURCE
#include "standard_fds.h"

#include <fcntl.h>
#include <unistd.h>

static bool taken[STDERR_FILENO + 1];

/* O_PATH: it needs no device that could be missing, and fails with EBADF as the closed number would. */
bool standard_fds_take(void) {
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        taken[fd] = true;
        if (open("/", O_PATH | O_DIRECTORY) != fd) /* the lowest that is free */
            return false;
    }
    return true;
}

void standard_fds_give_back(void) {
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (taken[fd])
            close(fd);
}
