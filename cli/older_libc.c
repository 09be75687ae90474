/*
 * What is built with a new glibc asks for symbols that older ones have not, though they do nothing that theirs could
 * not: a startup of its own since 2.34, stat() and fstat() since 2.33, C23's strtol() since 2.38. The linker leads
 * those calls here (--wrap in the Makefile), and we make the ones that every glibc has.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/machine.h"

typedef int main_function(int argc, char **argv, char **environment);

#define OLD_VERSION(ours, symbol, version) __asm__(".symver " #ours ", " #symbol "@" version)
#define OLDEST(ours, symbol)               OLD_VERSION(ours, symbol, MACHINE_OLDEST_GLIBC)

OLDEST(oldest_start_main, __libc_start_main);
int oldest_start_main(main_function *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end);
int __wrap___libc_start_main(main_function *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                             void (*loader_fini)(void), void *stack_end);

int __wrap___libc_start_main(main_function *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                             void (*loader_fini)(void), void *stack_end) {
    return oldest_start_main(main, argc, argv, init, fini, loader_fini, stack_end);
}

OLDEST(oldest_create, pthread_create);
OLDEST(oldest_detach, pthread_detach);
OLDEST(oldest_join, pthread_join);
OLDEST(oldest_stack_size, pthread_attr_setstacksize);
OLDEST(oldest_mask, pthread_sigmask);
OLD_VERSION(oldest_setclock, pthread_condattr_setclock, MACHINE_SETCLOCK_GLIBC);
int oldest_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int oldest_detach(pthread_t thread);
int oldest_join(pthread_t thread, void **result);
int oldest_stack_size(pthread_attr_t *attributes, size_t size);
int oldest_mask(int how, const sigset_t *set, sigset_t *before);
int oldest_setclock(pthread_condattr_t *attributes, clockid_t clock);
int __wrap_pthread_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int __wrap_pthread_detach(pthread_t thread);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_attr_setstacksize(pthread_attr_t *attributes, size_t size);
int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *before);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    return oldest_create(thread, attributes, run, argument);
}

int __wrap_pthread_detach(pthread_t thread) {
    return oldest_detach(thread);
}

int __wrap_pthread_join(pthread_t thread, void **result) {
    return oldest_join(thread, result);
}

int __wrap_pthread_attr_setstacksize(pthread_attr_t *attributes, size_t size) {
    return oldest_stack_size(attributes, size);
}

int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *before) {
    return oldest_mask(how, set, before);
}

int __wrap_pthread_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock) {
    return oldest_setclock(attributes, clock);
}

int __wrap_stat(const char *path, struct stat *status);
int __wrap_lstat(const char *path, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstatat(int folder, const char *path, struct stat *status, int flags);

int __wrap_fstatat(int folder, const char *path, struct stat *status, int flags) {
    return (int)syscall(SYS_newfstatat, folder, path, status, flags);
}

int __wrap_stat(const char *path, struct stat *status) {
    return __wrap_fstatat(AT_FDCWD, path, status, 0);
}

int __wrap_lstat(const char *path, struct stat *status) {
    return __wrap_fstatat(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}

int __wrap_fstat(int fd, struct stat *status) {
    return (int)syscall(SYS_fstat, fd, status);
}

/* Under the names that libc's headers keep from us. */
long c99_strtol(const char *text, char **end, int base) __asm__("strtol");
unsigned long c99_strtoul(const char *text, char **end, int base) __asm__("strtoul");
int c99_vsscanf(const char *text, const char *format, va_list arguments) __asm__("__isoc99_vsscanf");

long __wrap___isoc23_strtol(const char *text, char **end, int base);
unsigned long __wrap___isoc23_strtoul(const char *text, char **end, int base);
long long __wrap___isoc23_strtoll(const char *text, char **end, int base);
unsigned long long __wrap___isoc23_strtoull(const char *text, char **end, int base);
int __wrap___isoc23_sscanf(const char *text, const char *format, ...);

long __wrap___isoc23_strtol(const char *text, char **end, int base) {
    return c99_strtol(text, end, base);
}

unsigned long __wrap___isoc23_strtoul(const char *text, char **end, int base) {
    return c99_strtoul(text, end, base);
}

long long __wrap___isoc23_strtoll(const char *text, char **end, int base) {
    return c99_strtol(text, end, base);
}

unsigned long long __wrap___isoc23_strtoull(const char *text, char **end, int base) {
    return c99_strtoul(text, end, base);
}

int __wrap___isoc23_sscanf(const char *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int count = c99_vsscanf(text, format, arguments);
    va_end(arguments);
    return count;
}
