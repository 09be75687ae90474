#define _GNU_SOURCE
#include "thread_call.h"

#include <poll.h>
#include <string.h>
#include <sys/select.h>

#include "procfs.h"
#include "seccomp_guard.h"

/* The calls in which a thread keeps the file of the descriptor that is its first argument. */
static const char *call_on_descriptor(uint64_t number) {
    switch (number) {
    case SYS_read:
        return "read";
    case SYS_readv:
        return "readv";
    case SYS_write:
        return "write";
    case SYS_writev:
        return "writev";
    case SYS_recvfrom:
        return "recvfrom";
    case SYS_recvmsg:
        return "recvmsg";
    case SYS_recvmmsg:
        return "recvmmsg";
    case SYS_sendto:
        return "sendto";
    case SYS_sendmsg:
        return "sendmsg";
    case SYS_sendmmsg:
        return "sendmmsg";
    case SYS_sendfile:
        return "sendfile";
    case SYS_splice:
        return "splice";
    case SYS_accept:
        return "accept";
    case SYS_accept4:
        return "accept4";
    case SYS_connect:
        return "connect";
    default:
        return NULL;
    }
}

static const char *call_on_set(uint64_t number) {
    switch (number) {
    case SYS_poll:
        return "poll";
    case SYS_ppoll:
        return "ppoll";
    case SYS_select:
        return "select";
    case SYS_pselect6:
        return "pselect6";
    default:
        return NULL;
    }
}

/* A copy of another thread's or process's memory; false if it cannot be had. */
static bool copy_from(int pid, uint64_t from, void *to, size_t size) {
    struct {
        uint64_t base, length;
    } local = {(uintptr_t)to, size}, remote = {from, size};
    return probe(SYS_process_vm_readv, pid, (long)&local, 1, (long)&remote, 1, 0) == (long)size;
}

/* Which descriptors of the process are asked about. */
struct keeping {
    int pid;
    bool (*wanted)(uint64_t number, void *context);
    void *context;
};

static bool wants_it(const struct keeping *keeping, uint64_t number) {
    return keeping->wanted(number, keeping->context);
}

static bool in_poll_set(const struct keeping *keeping, uint64_t set, uint64_t count) {
    for (uint64_t i = 0; i < count && i < 4096; i++) {
        struct pollfd entry = {0};
        if (!copy_from(keeping->pid, set + i * sizeof entry, &entry, sizeof entry))
            return false;
        if (entry.fd >= 0 && wants_it(keeping, (uint64_t)entry.fd))
            return true;
    }
    return false;
}

static bool in_select_sets(const struct keeping *keeping, const uint64_t arguments[4]) {
    for (uint64_t at = 0; at < arguments[0] && at < FD_SETSIZE; at += 64) {
        uint64_t bits = 0, word;
        for (int set = 1; set <= 3; set++)
            if (arguments[set] && copy_from(keeping->pid, arguments[set] + at / 8, &word, sizeof word))
                bits |= word;
        for (uint64_t bit = 0; bit < 64 && at + bit < arguments[0]; bit++)
            if (bits >> bit & 1 && wants_it(keeping, at + bit))
                return true;
    }
    return false;
}

/* "NUMBER 0xARG0 0xARG1 ...": /proc/PID/task/TID/syscall; "running" where it is in none, or at work inside it. */
static bool parse_call(const char *text, uint64_t *number, uint64_t arguments[4]) {
    if (!parse_number(text, number))
        return false;
    for (int i = 0; i < 4; i++) {
        while (*text && *text != 'x')
            text++;
        if (!*text++)
            return false;
        arguments[i] = 0;
        for (;; text++) {
            unsigned digit;
            if (*text >= '0' && *text <= '9')
                digit = (unsigned)(*text - '0');
            else if (*text >= 'a' && *text <= 'f')
                digit = (unsigned)(*text - 'a') + 10;
            else
                break;
            arguments[i] = arguments[i] << 4 | digit;
        }
    }
    return true;
}

enum thread_seen thread_call_of(int pid, int tid, struct scratch *scratch, struct thread_call *call) {
    char path[PROC_PATH];
    proc_path(path, sizeof path, pid, tid, "/syscall");
    if (proc_read(path, scratch->text, 256) <= 0)
        return THREAD_UNSEEN;
    if (parse_call(scratch->text, &call->number, call->arguments))
        return THREAD_IN_CALL;
    return scratch->text[0] == 'r' ? THREAD_RUNS : THREAD_UNSEEN;
}

const char *thread_call_keeps(const struct thread_call *call, int pid, bool (*wanted)(uint64_t number, void *context),
                              void *context) {
    const struct keeping keeping = {pid, wanted, context};
    const uint64_t *arguments = call->arguments;
    const char *name = call_on_descriptor(call->number);
    if (name) /* splice() may have it at its other end */
        return wants_it(&keeping, arguments[0]) || (call->number == SYS_splice && wants_it(&keeping, arguments[2]))
                   ? name
                   : NULL;
    name = call_on_set(call->number);
    if (name && (call->number == SYS_poll || call->number == SYS_ppoll))
        return in_poll_set(&keeping, arguments[0], arguments[1]) ? name : NULL;
    return name && in_select_sets(&keeping, arguments) ? name : NULL;
}
