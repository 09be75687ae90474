/*
 * Declarations of every wrapped symbol: libc's headers, and what libc exports without a header (its fortified
 * twins, stdio's entries). Names that the headers redirect to another symbol are given their own here.
 */
#ifndef CLOSETRACE_LIBC_H
#define CLOSETRACE_LIBC_H

#ifndef _GNU_SOURCE
#error "libc.h wants _GNU_SOURCE"
#endif

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utmp.h>
#include <wchar.h>

/* Not in every libc's headers. */
pid_t _Fork(void);
int close_range(unsigned first, unsigned last, int flags);
void closefrom(int lowest);
int execveat(int directory, const char *path, char *const argv[], char *const environment[], int flags);
int pidfd_getfd(int pidfd, int fd, unsigned flags);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end);

ssize_t __read_chk(int fd, void *buffer, size_t count, size_t size);
ssize_t __recv_chk(int fd, void *buffer, size_t count, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buffer, size_t count, size_t size, int flags, struct sockaddr *from,
                       socklen_t *length);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t size);
int __vdprintf_chk(int fd, int flag, const char *format, va_list arguments);
int __dprintf_chk(int fd, int flag, const char *format, ...);

size_t __fread_chk(void *buffer, size_t buffer_size, size_t size, size_t count, FILE *file);
size_t __fread_unlocked_chk(void *buffer, size_t buffer_size, size_t size, size_t count, FILE *file);
char *__fgets_chk(char *buffer, size_t buffer_size, int size, FILE *file);
char *__fgets_unlocked_chk(char *buffer, size_t buffer_size, int size, FILE *file);
int __uflow(FILE *file);
int __underflow(FILE *file);
int __overflow(FILE *file, int c);
int __vfprintf_chk(FILE *file, int flag, const char *format, va_list arguments);
int __fprintf_chk(FILE *file, int flag, const char *format, ...);
int __vprintf_chk(int flag, const char *format, va_list arguments);
int __printf_chk(int flag, const char *format, ...);

int __isoc99_vfscanf(FILE *file, const char *format, va_list arguments);
int __isoc99_fscanf(FILE *file, const char *format, ...);
int __isoc99_vscanf(const char *format, va_list arguments);
int __isoc99_scanf(const char *format, ...);
int __isoc23_vfscanf(FILE *file, const char *format, va_list arguments);
int __isoc23_fscanf(FILE *file, const char *format, ...);
int __isoc23_vscanf(const char *format, va_list arguments);
int __isoc23_scanf(const char *format, ...);

wchar_t *__fgetws_chk(wchar_t *buffer, size_t buffer_size, int size, FILE *file);
wchar_t *__fgetws_unlocked_chk(wchar_t *buffer, size_t buffer_size, int size, FILE *file);
wint_t __wuflow(FILE *file);
wint_t __wunderflow(FILE *file);
wint_t __woverflow(FILE *file, wint_t c);
int __isoc99_vfwscanf(FILE *file, const wchar_t *format, va_list arguments);
int __isoc99_fwscanf(FILE *file, const wchar_t *format, ...);
int __isoc99_vwscanf(const wchar_t *format, va_list arguments);
int __isoc99_wscanf(const wchar_t *format, ...);
int __isoc23_vfwscanf(FILE *file, const wchar_t *format, va_list arguments);
int __isoc23_fwscanf(FILE *file, const wchar_t *format, ...);
int __isoc23_vwscanf(const wchar_t *format, va_list arguments);
int __isoc23_wscanf(const wchar_t *format, ...);
int __vfwprintf_chk(FILE *file, int flag, const wchar_t *format, va_list arguments);
int __fwprintf_chk(FILE *file, int flag, const wchar_t *format, ...);
int __vwprintf_chk(int flag, const wchar_t *format, va_list arguments);
int __wprintf_chk(int flag, const wchar_t *format, ...);

#endif
