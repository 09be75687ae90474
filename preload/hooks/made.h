/*
 * The calls that a program makes by libc's functions as well as by syscall(): what is done before and after is one
 * body, which is given the call that the hook makes.
 */
#ifndef CLOSETRACE_MADE_H
#define CLOSETRACE_MADE_H

#include "output/call.h"

struct made {
    const char *name; /* as the program named it */
    const void *caller;
    long (*real)(long number, const long arguments[6]);
    long number; /* of syscall(); 0: libc's function */
    const long *arguments;
};

static inline long make_call(const struct made *made) {
    return made->real(made->number, made->arguments);
}

static inline int made_fd(const struct made *made) {
    return (int)made->arguments[0];
}

long made_close(const struct made *made);
long made_duplicate(const struct made *made);
long made_replace(const struct made *made);
long made_connect(const struct made *made);
long made_accept(const struct made *made);
/* One that runs none of libc's fork handlers. */
long made_fork(const struct made *made);

/* Before an exec, and where it comes back, which it does only when it has failed. path NULL: not known. */
struct call exec_entering(const char *name, const char *path, char *const environment[], const void *caller);
struct call exec_begins(const char *name, const char *path, char *const environment[], const void *caller);
int exec_failed(const struct call *call, int result);

#endif
