/* The exec family: what is close-on-exec is closed, the rest goes to the new program. */
#define _GNU_SOURCE
#include <stdint.h>
#include <unistd.h>

#include "hook.h"
#include "made.h"
#include "kernel/program_path.h"
#include "output/log.h"
#include "session/session.h"
#include "calls/leaving.h"

struct call exec_begins(const char *name, const char *path, char *const environment[], const void *caller) {
    struct call call = {0};
    if (table_on) {
        call = call_entering(name, caller);
        leaving_exec(&call);
        session_exec(path, environment);
    }
    return call;
}

/* One of the tries along PATH that are bound to fail is not told of: nothing is given up by it. */
struct call exec_entering(const char *name, const char *path, char *const environment[], const void *caller) {
    if (table_end() > 0 && program_is_missing_in_path(path, environment))
        return (struct call){0};
    return exec_begins(name, path, environment, caller);
}

int exec_failed(const struct call *call, int result) {
    if (call->name) {
        session_exec_failed();
        leaving_exec_failed(call, error_of(result));
    }
    return result;
}

HOOKED int execve(const char *path, char *const argv[], char *const environment[]) {
    struct call call = exec_entering("execve", path, environment, CALLER);
    return exec_failed(&call, REAL(execve)(path, argv, environment));
}

HOOKED int execv(const char *path, char *const argv[]) {
    struct call call = exec_entering("execv", path, environ, CALLER);
    return exec_failed(&call, REAL(execv)(path, argv));
}

HOOKED int execvp(const char *file, char *const argv[]) {
    struct call call = exec_entering("execvp", file, environ, CALLER);
    return exec_failed(&call, REAL(execvp)(file, argv));
}

HOOKED int execvpe(const char *file, char *const argv[], char *const environment[]) {
    struct call call = exec_entering("execvpe", file, environment, CALLER);
    return exec_failed(&call, REAL(execvpe)(file, argv, environment));
}

HOOKED int fexecve(int fd, char *const argv[], char *const environment[]) {
    struct call call = exec_begins("fexecve", NULL, environment, CALLER);
    return exec_failed(&call, REAL(fexecve)(fd, argv, environment));
}

HOOKED int execveat(int directory, const char *path, char *const argv[], char *const environment[], int flags) {
    struct call call = exec_begins("execveat", path, environment, CALLER);
    return exec_failed(&call, REAL(execveat)(directory, path, argv, environment, flags));
}

/* execl and its like: their arguments become an array on the stack, as in libc. */

static size_t count_arguments(va_list arguments) {
    size_t count = 1;
    while (va_arg(arguments, char *))
        count++;
    return count;
}

static void collect_arguments(char **argv, const char *first, size_t count, va_list arguments) {
    argv[0] = (char *)(uintptr_t)first;
    for (size_t i = 1; i < count; i++)
        argv[i] = va_arg(arguments, char *);
    argv[count] = NULL;
}

#define ARRAY_OF_ARGUMENTS                     \
    va_list arguments;                         \
    va_start(arguments, first);                \
    size_t count = count_arguments(arguments); \
    va_end(arguments);                         \
    char *argv[count + 2];                     \
    va_start(arguments, first);                \
    collect_arguments(argv, first, count, arguments)

HOOKED int execl(const char *path, const char *first, ...) {
    ARRAY_OF_ARGUMENTS;
    va_end(arguments);
    struct call call = exec_entering("execl", path, environ, CALLER);
    return exec_failed(&call, REAL(execv)(path, argv));
}

HOOKED int execlp(const char *file, const char *first, ...) {
    ARRAY_OF_ARGUMENTS;
    va_end(arguments);
    struct call call = exec_entering("execlp", file, environ, CALLER);
    return exec_failed(&call, REAL(execvp)(file, argv));
}

HOOKED int execle(const char *path, const char *first, ...) {
    ARRAY_OF_ARGUMENTS;
    (void)va_arg(arguments, char *); /* the array's NULL */
    char *const *environment = va_arg(arguments, char *const *);
    va_end(arguments);
    struct call call = exec_entering("execle", path, environment, CALLER);
    return exec_failed(&call, REAL(execve)(path, argv, environment));
}
