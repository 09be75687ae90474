/*
 * syscall(): a system call by its number. What libc's functions would do with it, is done with it here, the call
 * itself made as the program made it. The arch folder's syscall.S is the hook, and keeps from here what returns twice.
 */
#define _GNU_SOURCE
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>

#include "after_fork.h"
#include "calls/closing.h"
#include "hook.h"
#include "made.h"
#include "calls/shutting_down.h"
#include "calls/connecting.h"
#include "calls/duplicating.h"
#include "calls/forking.h"
#include "calls/opening.h"
#include "calls/passing_fds.h"
#include "faults/fault.h"
#include "kernel/process.h"
#include "kernel/program_path.h"
#include "calls/closing_range.h"
#include "kernel/seccomp_guard.h"
#include "refs/odd_tables.h"
#include "session/session.h"
#include "calls/late_release.h"
#include "calls/leaving.h"
#include "calls/purging.h"
#include "calls/transferring.h"

static const char name[] = "syscall";

/* libc's syscall(), for the assembly hook; NULL until it is found. */
__attribute__((visibility("hidden"))) long (*syscall_real)(long, ...);
__attribute__((visibility("hidden"))) long syscall_hook(long number, long a, long b, long c, long d, long e, long f);

static long call_real(long number, const long arguments[6]) {
    if (!syscall_real)
        syscall_real = (long (*)(long, ...))real_find(REAL_syscall);
    return syscall_real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

static long raw_shutdown(const long arguments[6], const void *caller) {
    struct ending_call ending;
    int fd = (int)arguments[0];
    if (!table_maybe_tcp(fd) || !shutdown_entering(&ending, fd, (int)arguments[1], name, caller))
        return call_real(SYS_shutdown, arguments);
    const long real[6] = {fd, ending.real_how};
    long result = shutdown_is_off(&ending) ? 0 : call_real(SYS_shutdown, real);
    return shutdown_exiting(&ending, result, error_of(result));
}

static long raw_bind(long number, const long arguments[6], const void *caller) {
    const struct sockaddr *address = (const void *)arguments[1]; // NOLINT(performance-no-int-to-ptr)
    long result = call_real(number, arguments);
    if (result == -1)
        address_in_use((int)arguments[0], number == SYS_bind ? address : NULL, (socklen_t)arguments[2],
                       error_of(result), name, caller);
    return result;
}

static long raw_socket(const long arguments[6]) {
    long result = call_real(SYS_socket, arguments);
    if (result >= 0)
        socket_made((int)result, (int)arguments[0], (int)arguments[1]);
    return result;
}

static long raw_getfd(const long arguments[6], const void *caller) {
    struct call call = call_entering(name, caller);
    long result = call_real(SYS_pidfd_getfd, arguments);
    if (result >= 0)
        received_descriptor((int)result, &call);
    return result;
}

/* Where the size of a transfer stands among the arguments; below 0: it is not a plain number. */
static int size_argument(long number) {
    switch (number) {
    case SYS_read:
    case SYS_write:
    case SYS_recvfrom:
    case SYS_sendto:
        return 2;
    case SYS_sendfile:
        return 3;
    case SYS_splice:
        return 4;
    default:
        return -1;
    }
}

/* The rules against a transfer by number; arguments may be changed. */
static bool raw_transfer_is_off(struct traffic *traffic, enum rule_family family, long number, long arguments[6],
                                long *result) {
    int size = size_argument(number);
    size_t count = size < 0 ? 0 : (size_t)arguments[size];
    if (transfer_is_off(traffic, family, size < 0 ? NULL : &count, result))
        return true;
    if (size >= 0)
        arguments[size] = (long)count;
    return false;
}

static long raw_read(long number, const long given[6], const void *caller) {
    struct traffic traffic;
    long result, arguments[6];
    memcpy(arguments, given, sizeof arguments);
    int fd = (int)arguments[0];
    bool tcp = table_maybe_tcp(fd) && transfer_entering(&traffic, fd, name, caller);
    if (tcp && raw_transfer_is_off(&traffic, RULE_READ, number, arguments, &result))
        return result;
    result = call_real(number, arguments);
    if (tcp)
        transfer_read(&traffic, result, 1);
    return result;
}

static long raw_receive(const long arguments[6], const void *caller) {
    int fd = (int)arguments[0];
    const struct msghdr *message = (const void *)arguments[1]; // NOLINT(performance-no-int-to-ptr)
    if (table_maybe_tcp(fd))
        return raw_read(SYS_recvmsg, arguments, caller);
    long result = call_real(SYS_recvmsg, arguments);
    if (result >= 0 && message->msg_controllen) {
        struct call call = call_entering(name, caller);
        received_rights(fd, message, (int)arguments[2]);
        received_message(message, (int)arguments[2], &call);
    }
    return result;
}

static long raw_write(long number, const long given[6], const void *caller) {
    struct traffic traffic;
    long result, arguments[6];
    memcpy(arguments, given, sizeof arguments);
    int fd = (int)arguments[number == SYS_splice ? 2 : 0];
    bool tcp = table_maybe_tcp(fd) && transfer_entering(&traffic, fd, name, caller);
    if (tcp && raw_transfer_is_off(&traffic, RULE_WRITE, number, arguments, &result))
        return result;
    if (tcp)
        transfer_hold_sigpipe(&traffic);
    result = call_real(number, arguments);
    if (tcp)
        transfer_wrote(&traffic, result,
                       number == SYS_sendto || number == SYS_write ? (size_t)arguments[2] : TRANSFER_UNKNOWN);
    return result;
}

static long raw_unshare(const long arguments[6]) {
    long result = call_real(SYS_unshare, arguments);
    if (result == 0 && (arguments[0] & CLONE_FILES))
        odd_table_unshared();
    return result;
}

static long raw_getsockopt(const long arguments[6], const void *caller) {
    struct traffic traffic;
    int fd = (int)arguments[0];
    const int *value = (const void *)arguments[3];      // NOLINT(performance-no-int-to-ptr)
    const socklen_t *size = (const void *)arguments[4]; // NOLINT(performance-no-int-to-ptr)
    long result = call_real(SYS_getsockopt, arguments);
    if (arguments[1] == SOL_SOCKET && arguments[2] == SO_ERROR && result == 0 && *size == sizeof *value && *value &&
        table_maybe_tcp(fd) && transfer_entering(&traffic, fd, name, caller))
        transfer_took_error(&traffic, result, *value);
    return result;
}

static long raw_send_message(const long arguments[6], const void *caller) {
    int fd = (int)arguments[0];
    const struct msghdr *message = (const void *)arguments[1]; // NOLINT(performance-no-int-to-ptr)
    if (table_maybe_tcp(fd))
        return raw_write(SYS_sendmsg, arguments, caller);
    OWN_SENDING sending = {0};
    if (table_end() > 0)
        sending_message(message, &sending);
    long result = call_real(SYS_sendmsg, arguments);
    if (result >= 0 && message->msg_controllen) {
        struct call call = call_entering(name, caller);
        sent_message(fd, message, &call, &sending);
    }
    return result;
}

static long raw_exec(long number, const long arguments[6], const void *caller) {
    const char *path = (const char *)arguments[number == SYS_execveat];           // NOLINT(performance-no-int-to-ptr)
    char *const *environment = (void *)arguments[number == SYS_execveat ? 3 : 2]; // NOLINT(performance-no-int-to-ptr)
    struct call call = number == SYS_execve ? exec_entering(name, path, environment, caller)
                                            : exec_begins(name, path, environment, caller);
    return exec_failed(&call, (int)call_real(number, arguments));
}

static long raw_set_name(long number, const long arguments[6]) {
    long result = call_real(number, arguments);
    process_names_change();
    return result;
}

static long raw_sandbox(long number, const long arguments[6]) {
    bool strict = number == SYS_prctl ? arguments[1] == SECCOMP_MODE_STRICT : arguments[0] == SECCOMP_SET_MODE_STRICT;
    bool installs =
        number == SYS_prctl ? arguments[0] == PR_SET_SECCOMP : arguments[0] == SECCOMP_SET_MODE_FILTER || strict;
    if (!installs)
        return call_real(number, arguments);
    const struct sock_fprog *program = (const void *)arguments[2]; // NOLINT(performance-no-int-to-ptr)
    unsigned slot = sandbox_rising(clock_now());
    long result = call_real(number, arguments);
    /* SECCOMP_FILTER_FLAG_NEW_LISTENER returns a descriptor */
    sandbox_settled(slot, result >= 0, strict ? NULL : program);
    return result;
}

/* A thread's own end (SYS_exit) is the process's where it is the last: the kernel alone knows. */
static long raw_exit(const long arguments[6], const void *caller) {
    leaving_end(name, caller, (int)arguments[0]);
    return call_real(SYS_exit_group, arguments);
}

long syscall_hook(long number, long a, long b, long c, long d, long e, long f) {
    const long arguments[6] = {a, b, c, d, e, f};
    const void *caller = CALLER;
    const struct made made = {name, caller, call_real, number, arguments};
    if (!table_on && number != SYS_prctl && number != SYS_seccomp)
        return call_real(number, arguments);
    switch (number) {
    case SYS_close:
        return made_close(&made);
    case SYS_close_range:
        return range_close((unsigned)a, (unsigned)b, (int)c, name, caller);
    case SYS_dup2:
    case SYS_dup3:
        return made_replace(&made);
    case SYS_dup:
        return made_duplicate(&made);
    case SYS_fcntl:
        return b == F_DUPFD || b == F_DUPFD_CLOEXEC ? made_duplicate(&made) : call_real(number, arguments);
    case SYS_shutdown:
        return raw_shutdown(arguments, caller);
    case SYS_bind:
    case SYS_listen:
        return raw_bind(number, arguments, caller);
    case SYS_connect:
        return made_connect(&made);
    case SYS_accept:
    case SYS_accept4:
        return made_accept(&made);
    case SYS_socket:
        return raw_socket(arguments);
    case SYS_pidfd_getfd:
        return raw_getfd(arguments, caller);
    case SYS_read:
    case SYS_readv:
    case SYS_preadv2:
    case SYS_recvfrom:
        return raw_read(number, arguments, caller);
    case SYS_recvmsg:
        return raw_receive(arguments, caller);
    case SYS_write:
    case SYS_writev:
    case SYS_pwritev2:
    case SYS_sendto:
    case SYS_sendmmsg:
    case SYS_sendfile:
    case SYS_splice:
        return raw_write(number, arguments, caller);
    case SYS_sendmsg:
        return raw_send_message(arguments, caller);
    case SYS_fork:
        return made_fork(&made);
    case SYS_execve:
    case SYS_execveat:
        return raw_exec(number, arguments, caller);
    case SYS_unshare:
        return raw_unshare(arguments);
    case SYS_getsockopt:
        return raw_getsockopt(arguments, caller);
    case SYS_setsockopt:
        socket_option_set((int)arguments[1], (int)arguments[2]);
        return call_real(number, arguments);
    case SYS_prctl:
        if (arguments[0] == PR_SET_NAME)
            return raw_set_name(number, arguments);
        return raw_sandbox(number, arguments);
    case SYS_seccomp:
        return raw_sandbox(number, arguments);
    case SYS_exit_group:
        return raw_exit(arguments, caller);
    default:
        return call_real(number, arguments);
    }
}
