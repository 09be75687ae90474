#define _GNU_SOURCE
#include "inherited.h"

#include <stddef.h>

#include "terminal/standard_fds.h"

void inherited_keep(struct inherited *inherited) {
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    getrlimit(RLIMIT_NOFILE, &inherited->files);
    getrlimit(RLIMIT_FSIZE, &inherited->size);
    sigaction(SIGPIPE, &ignored, &inherited->pipe);
    sigaction(SIGXFSZ, &ignored, &inherited->too_large);
    sigprocmask(SIG_BLOCK, NULL, &inherited->blocked);
    /* A pidfd for each process, and what is parked. */
    const struct rlimit most = {inherited->files.rlim_max, inherited->files.rlim_max};
    setrlimit(RLIMIT_NOFILE, &most);
}

void inherited_raise_size(const struct inherited *inherited) {
    const struct rlimit any = {RLIM_INFINITY, RLIM_INFINITY};
    const struct rlimit most = {inherited->size.rlim_max, inherited->size.rlim_max};
    if (setrlimit(RLIMIT_FSIZE, &any) != 0)
        setrlimit(RLIMIT_FSIZE, &most);
}

void inherited_lower_size(const struct inherited *inherited) {
    setrlimit(RLIMIT_FSIZE, &inherited->size);
}

void inherited_give_back(const struct inherited *inherited) {
    sigaction(SIGPIPE, &inherited->pipe, NULL);
    sigaction(SIGXFSZ, &inherited->too_large, NULL);
    setrlimit(RLIMIT_NOFILE, &inherited->files);
    sigprocmask(SIG_SETMASK, &inherited->blocked, NULL);
    standard_fds_give_back();
}
