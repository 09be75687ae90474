/*
 * Writes. A write on a connection that is over raises SIGPIPE, which may end the process before anything is told;
 * so on a TCP socket the call is made without the signal (MSG_NOSIGNAL; a write() becomes the same send()), and
 * the signal is raised afterwards, with the kernel's siginfo. Not where another preloaded library stands between us
 * and libc, which may want to see a write(): then the signal is held back where it is due. In a sandbox, where the
 * program's own calls are all that is known to be allowed, calls stay as they are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>

#include "hook.h"
#include "calls/connecting.h"
#include "calls/passing_fds.h"
#include "faults/fault.h"
#include "calls/late_release.h"
#include "kernel/seccomp_guard.h"
#include "faults/short_iov.h"
#include "calls/transferring.h"

/*
 * A write() of more than the kernel takes at once checks the whole range before it cuts it (rw_verify_area(),
 * access_ok()), a send() after: then the call must stay what it is.
 */
enum { MOST_AT_ONCE = 0x7ffff000 };

/* Flags for the call, which comes next, and whose SIGPIPE is ours to raise, if the program wanted one. */
static int without_sigpipe(struct traffic *traffic, int flags) {
    transfer_waits(traffic);
    traffic->may_raise = !(flags & MSG_NOSIGNAL) && !sandbox_up;
    return traffic->may_raise ? flags | MSG_NOSIGNAL : flags;
}

HOOKED ssize_t write(int fd, const void *buffer, size_t count) {
    struct traffic traffic;
    bool plain = !table_maybe_tcp(fd) || count == 0 || count > MOST_AT_ONCE || sandbox_up;
    if (plain || !transfer_entering(&traffic, fd, "write", CALLER))
        return REAL(write)(fd, buffer, count);
    ssize_t result;
    if (transfer_is_off(&traffic, RULE_WRITE, &count, &result))
        return result;
    if (real_writes_are_libc()) {
        result = REAL(send)(fd, buffer, count, without_sigpipe(&traffic, 0));
    } else {
        transfer_hold_sigpipe(&traffic);
        result = REAL(write)(fd, buffer, count);
    }
    transfer_wrote(&traffic, result, count);
    return result;
}
TWIN_HOOK(__write, write);

/* How much the parts are, of a call after which the kernel has read them; else TRANSFER_UNKNOWN. */
static size_t length_of(const struct iovec *parts, size_t count, ssize_t result) {
    size_t length = 0;
    if (result < 0 && !transfer_blames_connection(error_of(result)))
        return TRANSFER_UNKNOWN;
    for (size_t i = 0; i < count; i++)
        length += parts[i].iov_len;
    return length;
}

/* sendmsg() with the same parts, for what writev() does on a TCP socket. */
static ssize_t send_parts(struct traffic *traffic, int fd, const struct iovec *parts, int count) {
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};
    int saved = error_now();
    ssize_t result = REAL(sendmsg)(fd, &message, without_sigpipe(traffic, 0));
    /* A writev() of nothing succeeds, whatever has become of the connection. */
    size_t length = length_of(parts, (size_t)count, result);
    if (result == -1 && transfer_blames_connection(error_of(result)) && length == 0) {
        error_set(saved);
        transfer_has_come_back(traffic);
        return 0;
    }
    transfer_wrote(traffic, result, length);
    return result;
}

HOOKED ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct traffic traffic;
    bool plain = !table_maybe_tcp(fd) || count <= 0 || count > IOV_MAX || sandbox_up;
    if (plain || !transfer_entering(&traffic, fd, "writev", CALLER))
        return REAL(writev)(fd, parts, count);
    struct short_parts shorter;
    size_t most = SIZE_MAX;
    ssize_t result;
    if (transfer_is_off(&traffic, RULE_WRITE, &most, &result))
        return result;
    if (traffic.shortened) {
        short_parts_of(&shorter, parts, (size_t)count, most);
        parts = shorter.parts;
        count = shorter.count;
    }
    if (real_writes_are_libc())
        return send_parts(&traffic, fd, parts, count);
    transfer_hold_sigpipe(&traffic);
    result = REAL(writev)(fd, parts, count);
    transfer_wrote(&traffic, result, length_of(parts, (size_t)count, result));
    return result;
}

HOOKED ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    struct traffic traffic;
    if (!table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, "pwritev2", CALLER))
        return REAL(pwritev2)(fd, parts, count, offset, flags);
    struct short_parts shorter;
    size_t most = SIZE_MAX;
    ssize_t result;
    if (transfer_is_off(&traffic, RULE_WRITE, &most, &result))
        return result;
    if (traffic.shortened && count > 0) {
        short_parts_of(&shorter, parts, (size_t)count, most);
        parts = shorter.parts;
        count = shorter.count;
    }
    transfer_hold_sigpipe(&traffic);
    result = REAL(pwritev2)(fd, parts, count, offset, flags);
    transfer_wrote(&traffic, result, count > 0 ? length_of(parts, (size_t)count, result) : TRANSFER_UNKNOWN);
    return result;
}
TWIN_HOOK(pwritev64v2, pwritev2);

HOOKED ssize_t send(int fd, const void *buffer, size_t count, int flags) {
    struct traffic traffic;
    if (!table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, "send", CALLER))
        return REAL(send)(fd, buffer, count, flags);
    ssize_t result;
    if (transfer_is_off(&traffic, RULE_WRITE, &count, &result))
        return result;
    result = REAL(send)(fd, buffer, count, without_sigpipe(&traffic, flags));
    transfer_wrote(&traffic, result, count);
    return result;
}
TWIN_HOOK(__send, send);

/* MSG_FASTOPEN connects on the way. */
static void opened_fast(struct traffic *traffic, int flags, const struct sockaddr *to, socklen_t length,
                        ssize_t result) {
    if (!(flags & MSG_FASTOPEN))
        return;
    connected(traffic->fd, to, length, result < 0 ? -1 : 0, error_of(result), &traffic->call);
    traffic->told = result < 0;
}

HOOKED ssize_t sendto(int fd, const void *buffer, size_t count, int flags, const struct sockaddr *to,
                      socklen_t length) {
    struct traffic traffic;
    if (!table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, "sendto", CALLER))
        return REAL(sendto)(fd, buffer, count, flags, to, length);
    ssize_t result;
    if (transfer_is_off(&traffic, RULE_WRITE, &count, &result))
        return result;
    result = REAL(sendto)(fd, buffer, count, without_sigpipe(&traffic, flags), to, length);
    opened_fast(&traffic, flags, to, length, result);
    transfer_wrote(&traffic, result, count);
    return result;
}

/* Not TCP, but it may carry descriptors that are. */
static ssize_t send_with_rights(int fd, const struct msghdr *message, int flags, const void *caller) {
    OWN_SENDING sending = {0};
    if (table_on && table_end() > 0)
        sending_message(message, &sending);
    ssize_t result = REAL(sendmsg)(fd, message, flags);
    if (result >= 0 && table_on && message->msg_controllen) {
        struct call call = call_entering("sendmsg", caller);
        sent_message(fd, message, &call, &sending);
    }
    return result;
}

HOOKED ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    struct traffic traffic;
    if (!table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, "sendmsg", CALLER)) {
        return send_with_rights(fd, message, flags, CALLER);
    }
    size_t most = SIZE_MAX;
    ssize_t result;
    if (transfer_is_off(&traffic, RULE_WRITE, &most, &result))
        return result;
    if (traffic.shortened) {
        SHORT_MESSAGE(message, most);
        result = REAL(sendmsg)(fd, &short_message, without_sigpipe(&traffic, flags));
    } else
        result = REAL(sendmsg)(fd, message, without_sigpipe(&traffic, flags));
    static const struct msghdr nothing; /* where it cannot be read, the kernel has said so */
    const struct msghdr *read = error_of(result) == EFAULT ? &nothing : message;
    opened_fast(&traffic, flags, read->msg_name, read->msg_namelen, result);
    transfer_wrote(&traffic, result, length_of(read->msg_iov, read->msg_iovlen, result));
    return result;
}

HOOKED int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    struct traffic traffic;
    if (!table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, "sendmmsg", CALLER)) {
        OWN_SENDING sending = {0};
        for (unsigned i = 0; i < count && i < IOV_MAX && table_on && table_end() > 0; i++)
            sending_message(&messages[i].msg_hdr, &sending);
        int result = REAL(sendmmsg)(fd, messages, count, flags);
        for (int i = 0; i < result && table_on; i++) {
            struct call call = call_entering("sendmmsg", CALLER);
            if (messages[i].msg_hdr.msg_controllen)
                sent_message(fd, &messages[i].msg_hdr, &call, &sending);
        }
        return result;
    }
    ssize_t instead;
    if (transfer_is_off(&traffic, RULE_WRITE, NULL, &instead))
        return (int)instead;
    int result = REAL(sendmmsg)(fd, messages, count, without_sigpipe(&traffic, flags));
    if (result > 0 && (unsigned)result < count)
        transfer_wrote_part(&traffic, result);
    else
        transfer_wrote(&traffic, result, TRANSFER_UNKNOWN);
    return result;
}

/* The kernel raises SIGPIPE itself in these, and there is no flag against it. */

HOOKED ssize_t sendfile(int out, int in, off_t *offset, size_t count) {
    struct traffic traffic;
    if (!table_maybe_tcp(out) || !transfer_entering(&traffic, out, "sendfile", CALLER))
        return REAL(sendfile)(out, in, offset, count);
    ssize_t result;
    if (transfer_is_off(&traffic, RULE_WRITE, &count, &result))
        return result;
    transfer_hold_sigpipe(&traffic);
    result = REAL(sendfile)(out, in, offset, count);
    transfer_wrote(&traffic, result, TRANSFER_UNKNOWN);
    return result;
}
TWIN_HOOK(sendfile64, sendfile);

HOOKED ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t count, unsigned flags) {
    struct traffic writes, reads;
    bool to_socket = table_maybe_tcp(out) && transfer_entering(&writes, out, "splice", CALLER);
    bool from_socket = table_maybe_tcp(in) && transfer_entering(&reads, in, "splice", CALLER);
    ssize_t result;
    if (to_socket && transfer_is_off(&writes, RULE_WRITE, &count, &result))
        return result;
    if (from_socket && transfer_is_off(&reads, RULE_READ, &count, &result))
        return result;
    if (to_socket)
        transfer_hold_sigpipe(&writes);
    result = REAL(splice)(in, in_offset, out, out_offset, count, flags);
    if (from_socket)
        transfer_read(&reads, result, count);
    if (to_socket)
        transfer_wrote(&writes, result, TRANSFER_UNKNOWN);
    return result;
}

static int print_to_socket(struct traffic *traffic, const char *format, va_list arguments) {
    ssize_t instead;
    if (transfer_is_off(traffic, RULE_WRITE, NULL, &instead))
        return (int)instead;
    transfer_hold_sigpipe(traffic);
    int result = REAL(vdprintf)(traffic->fd, format, arguments);
    transfer_wrote(traffic, result, TRANSFER_UNKNOWN);
    return result;
}

HOOKED int vdprintf(int fd, const char *format, va_list arguments) {
    struct traffic traffic;
    if (!table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, "vdprintf", CALLER))
        return REAL(vdprintf)(fd, format, arguments);
    return print_to_socket(&traffic, format, arguments);
}

HOOKED int dprintf(int fd, const char *format, ...) {
    struct traffic traffic;
    va_list arguments;
    va_start(arguments, format);
    int result = !table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, "dprintf", CALLER)
                     ? REAL(vdprintf)(fd, format, arguments)
                     : print_to_socket(&traffic, format, arguments);
    va_end(arguments);
    return result;
}

static int print_checked(struct traffic *traffic, int flag, const char *format, va_list arguments) {
    ssize_t instead;
    if (transfer_is_off(traffic, RULE_WRITE, NULL, &instead))
        return (int)instead;
    transfer_hold_sigpipe(traffic);
    int result = REAL(__vdprintf_chk)(traffic->fd, flag, format, arguments);
    transfer_wrote(traffic, result, TRANSFER_UNKNOWN);
    return result;
}

HOOKED int __vdprintf_chk(int fd, int flag, const char *format, va_list arguments) {
    struct traffic traffic;
    if (!table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, "vdprintf", CALLER))
        return REAL(__vdprintf_chk)(fd, flag, format, arguments);
    return print_checked(&traffic, flag, format, arguments);
}

HOOKED int __dprintf_chk(int fd, int flag, const char *format, ...) {
    struct traffic traffic;
    va_list arguments;
    va_start(arguments, format);
    int result = !table_maybe_tcp(fd) || !transfer_entering(&traffic, fd, "dprintf", CALLER)
                     ? REAL(__vdprintf_chk)(fd, flag, format, arguments)
                     : print_checked(&traffic, flag, format, arguments);
    va_end(arguments);
    return result;
}
