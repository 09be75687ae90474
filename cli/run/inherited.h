/*
 * What a program inherits and the command changes for itself: limits, signals. The program that is traced has all of it
 * as we were given it.
 */
#ifndef CLOSETRACE_INHERITED_H
#define CLOSETRACE_INHERITED_H

#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>

struct inherited {
    struct rlimit files, size;
    struct sigaction pipe, too_large; /* SIGPIPE, SIGXFSZ */
    sigset_t blocked;
};

/* Keeps it; from then on the command may open as many files as it can, and no write of its own kills it. */
void inherited_keep(struct inherited *inherited);

/* For a moment files may be of any size, where that can be had; then as before. */
void inherited_raise_size(const struct inherited *inherited);
void inherited_lower_size(const struct inherited *inherited);

/* In the child. */
void inherited_give_back(const struct inherited *inherited);

#endif
