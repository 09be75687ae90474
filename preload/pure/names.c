#include "names.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#define NAME_AT(names, index) ((size_t)(index) < sizeof(names) / sizeof *(names) ? (names)[(size_t)(index)] : NULL)

static const char *const op_names[OP_COUNT] = {
    [OP_START] = "start",     [OP_CONNECT] = "connect", [OP_ACCEPT] = "accept",     [OP_BIND] = "bind",
    [OP_DUP] = "dup",         [OP_FORK] = "fork",       [OP_EXEC] = "exec",         [OP_SEND_FD] = "send_fd",
    [OP_RECV_FD] = "recv_fd", [OP_CLOSE] = "close",     [OP_SHUTDOWN] = "shutdown", [OP_RELEASE] = "release",
    [OP_EXIT] = "exit",       [OP_EOF] = "eof",         [OP_RESET] = "reset",       [OP_WRITE] = "write",
    [OP_READ] = "read",       [OP_STATE] = "state",     [OP_NOW] = "now",           [OP_UNSEEN] = "unseen",
    [OP_RULE] = "rule",       [OP_FINDING] = "finding", [OP_END] = "end",
};

static const char *const fin_names[FIN_COUNT] = {
    [FIN_SENT] = "sent",       [FIN_QUEUED] = "queued", [FIN_WITHHELD] = "withheld",
    [FIN_ALREADY] = "already", [FIN_RESET] = "reset",   [FIN_NONE] = "none",
};

static const char *const why_names[WHY_COUNT] = {
    [WHY_LAST_REFERENCE] = "last-reference",
    [WHY_SHUTDOWN] = "shutdown",
    [WHY_REFERENCES] = "references",
    [WHY_CALL_IN_PROGRESS] = "call-in-progress",
    [WHY_UNREAD_DATA] = "unread-data",
    [WHY_LINGER_ZERO] = "linger-zero",
    [WHY_AFTER_SHUTDOWN] = "after-shutdown",
    [WHY_NOT_CONNECTED] = "not-connected",
    [WHY_LISTENING] = "listening",
    [WHY_PEER_RESET] = "peer-reset",
    [WHY_IN_FLIGHT] = "in-flight",
    [WHY_HIDDEN] = "hidden",
    [WHY_PARKED] = "parked",
    [WHY_RECEIVE_SIDE] = "receive-side",
    [WHY_DISCONNECT] = "disconnect",
    [WHY_LINGER2] = "linger2",
    [WHY_AFTER_CLOSE] = "after-close",
    [WHY_TIMED_OUT] = "timed-out",
    [WHY_DESTROYED] = "destroyed",
    [WHY_OVER] = "over",
    [WHY_REFUSED] = "refused",
};

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_CLIENT] = "client",
    [ROLE_SERVER] = "server",
    [ROLE_UNKNOWN] = "unknown",
};

/* A request that has not become a socket yet is SYN_RECV to everybody outside the kernel. */
static const char *const state_names[STATE_COUNT] = {
    [STATE_ESTABLISHED] = "ESTABLISHED",
    [STATE_SYN_SENT] = "SYN_SENT",
    [STATE_SYN_RECV] = "SYN_RECV",
    [STATE_FIN_WAIT1] = "FIN_WAIT1",
    [STATE_FIN_WAIT2] = "FIN_WAIT2",
    [STATE_TIME_WAIT] = "TIME_WAIT",
    [STATE_CLOSE] = "CLOSE",
    [STATE_CLOSE_WAIT] = "CLOSE_WAIT",
    [STATE_LAST_ACK] = "LAST_ACK",
    [STATE_LISTEN] = "LISTEN",
    [STATE_CLOSING] = "CLOSING",
    [STATE_NEW_SYN_RECV] = "SYN_RECV",
};

static const char *const how_names[] = {
    [SHUT_RD] = "SHUT_RD",
    [SHUT_WR] = "SHUT_WR",
    [SHUT_RDWR] = "SHUT_RDWR",
};

static const char *const sigpipe_names[SIGPIPE_COUNT] = {
    [SIGPIPE_IGNORED] = "ignored", [SIGPIPE_HANDLED] = "handled",       [SIGPIPE_FATAL] = "fatal",
    [SIGPIPE_BLOCKED] = "blocked", [SIGPIPE_SUPPRESSED] = "suppressed",
};

static const char *const reach_names[REACH_COUNT] = {
    [REACH_PRELOAD] = "preload",         [REACH_SUPERVISED] = "supervised",
    [REACH_STATIC] = "static",           [REACH_GO] = "go",
    [REACH_OTHER_LIBC] = "other-libc",   [REACH_SET_UID] = "set-uid",
    [REACH_ENVIRONMENT] = "environment", [REACH_ARCHITECTURE] = "architecture",
};

static const char *const reach_reasons[REACH_COUNT] = {
    [REACH_STATIC] = "it is statically linked",
    [REACH_GO] = "it is a Go program, which makes its system calls itself",
    [REACH_OTHER_LIBC] = "its libc is not glibc",
    [REACH_SET_UID] = "it runs with elevated privileges",
    [REACH_ENVIRONMENT] = "its environment had no LD_PRELOAD",
    [REACH_ARCHITECTURE] = "it is for another architecture",
};

static const char *const last_names[LAST_COUNT] = {[LAST_READ] = "read", [LAST_WRITE] = "write"};

/* EWOULDBLOCK, EDEADLOCK and ENOTSUP are other names of numbers in this list. */
static const char *const errno_names[] = {
    [EPERM] = "EPERM",
    [ENOENT] = "ENOENT",
    [ESRCH] = "ESRCH",
    [EINTR] = "EINTR",
    [EIO] = "EIO",
    [ENXIO] = "ENXIO",
    [E2BIG] = "E2BIG",
    [ENOEXEC] = "ENOEXEC",
    [EBADF] = "EBADF",
    [ECHILD] = "ECHILD",
    [EAGAIN] = "EAGAIN",
    [ENOMEM] = "ENOMEM",
    [EACCES] = "EACCES",
    [EFAULT] = "EFAULT",
    [ENOTBLK] = "ENOTBLK",
    [EBUSY] = "EBUSY",
    [EEXIST] = "EEXIST",
    [EXDEV] = "EXDEV",
    [ENODEV] = "ENODEV",
    [ENOTDIR] = "ENOTDIR",
    [EISDIR] = "EISDIR",
    [EINVAL] = "EINVAL",
    [ENFILE] = "ENFILE",
    [EMFILE] = "EMFILE",
    [ENOTTY] = "ENOTTY",
    [ETXTBSY] = "ETXTBSY",
    [EFBIG] = "EFBIG",
    [ENOSPC] = "ENOSPC",
    [ESPIPE] = "ESPIPE",
    [EROFS] = "EROFS",
    [EMLINK] = "EMLINK",
    [EPIPE] = "EPIPE",
    [EDOM] = "EDOM",
    [ERANGE] = "ERANGE",
    [EDEADLK] = "EDEADLK",
    [ENAMETOOLONG] = "ENAMETOOLONG",
    [ENOLCK] = "ENOLCK",
    [ENOSYS] = "ENOSYS",
    [ENOTEMPTY] = "ENOTEMPTY",
    [ELOOP] = "ELOOP",
    [ENOMSG] = "ENOMSG",
    [EIDRM] = "EIDRM",
    [ECHRNG] = "ECHRNG",
    [EL2NSYNC] = "EL2NSYNC",
    [EL3HLT] = "EL3HLT",
    [EL3RST] = "EL3RST",
    [ELNRNG] = "ELNRNG",
    [EUNATCH] = "EUNATCH",
    [ENOCSI] = "ENOCSI",
    [EL2HLT] = "EL2HLT",
    [EBADE] = "EBADE",
    [EBADR] = "EBADR",
    [EXFULL] = "EXFULL",
    [ENOANO] = "ENOANO",
    [EBADRQC] = "EBADRQC",
    [EBADSLT] = "EBADSLT",
    [EBFONT] = "EBFONT",
    [ENOSTR] = "ENOSTR",
    [ENODATA] = "ENODATA",
    [ETIME] = "ETIME",
    [ENOSR] = "ENOSR",
    [ENONET] = "ENONET",
    [ENOPKG] = "ENOPKG",
    [EREMOTE] = "EREMOTE",
    [ENOLINK] = "ENOLINK",
    [EADV] = "EADV",
    [ESRMNT] = "ESRMNT",
    [ECOMM] = "ECOMM",
    [EPROTO] = "EPROTO",
    [EMULTIHOP] = "EMULTIHOP",
    [EDOTDOT] = "EDOTDOT",
    [EBADMSG] = "EBADMSG",
    [EOVERFLOW] = "EOVERFLOW",
    [ENOTUNIQ] = "ENOTUNIQ",
    [EBADFD] = "EBADFD",
    [EREMCHG] = "EREMCHG",
    [ELIBACC] = "ELIBACC",
    [ELIBBAD] = "ELIBBAD",
    [ELIBSCN] = "ELIBSCN",
    [ELIBMAX] = "ELIBMAX",
    [ELIBEXEC] = "ELIBEXEC",
    [EILSEQ] = "EILSEQ",
    [ERESTART] = "ERESTART",
    [ESTRPIPE] = "ESTRPIPE",
    [EUSERS] = "EUSERS",
    [ENOTSOCK] = "ENOTSOCK",
    [EDESTADDRREQ] = "EDESTADDRREQ",
    [EMSGSIZE] = "EMSGSIZE",
    [EPROTOTYPE] = "EPROTOTYPE",
    [ENOPROTOOPT] = "ENOPROTOOPT",
    [EPROTONOSUPPORT] = "EPROTONOSUPPORT",
    [ESOCKTNOSUPPORT] = "ESOCKTNOSUPPORT",
    [EOPNOTSUPP] = "EOPNOTSUPP",
    [EPFNOSUPPORT] = "EPFNOSUPPORT",
    [EAFNOSUPPORT] = "EAFNOSUPPORT",
    [EADDRINUSE] = "EADDRINUSE",
    [EADDRNOTAVAIL] = "EADDRNOTAVAIL",
    [ENETDOWN] = "ENETDOWN",
    [ENETUNREACH] = "ENETUNREACH",
    [ENETRESET] = "ENETRESET",
    [ECONNABORTED] = "ECONNABORTED",
    [ECONNRESET] = "ECONNRESET",
    [ENOBUFS] = "ENOBUFS",
    [EISCONN] = "EISCONN",
    [ENOTCONN] = "ENOTCONN",
    [ESHUTDOWN] = "ESHUTDOWN",
    [ETOOMANYREFS] = "ETOOMANYREFS",
    [ETIMEDOUT] = "ETIMEDOUT",
    [ECONNREFUSED] = "ECONNREFUSED",
    [EHOSTDOWN] = "EHOSTDOWN",
    [EHOSTUNREACH] = "EHOSTUNREACH",
    [EALREADY] = "EALREADY",
    [EINPROGRESS] = "EINPROGRESS",
    [ESTALE] = "ESTALE",
    [EUCLEAN] = "EUCLEAN",
    [ENOTNAM] = "ENOTNAM",
    [ENAVAIL] = "ENAVAIL",
    [EISNAM] = "EISNAM",
    [EREMOTEIO] = "EREMOTEIO",
    [EDQUOT] = "EDQUOT",
    [ENOMEDIUM] = "ENOMEDIUM",
    [EMEDIUMTYPE] = "EMEDIUMTYPE",
    [ECANCELED] = "ECANCELED",
    [ENOKEY] = "ENOKEY",
    [EKEYEXPIRED] = "EKEYEXPIRED",
    [EKEYREVOKED] = "EKEYREVOKED",
    [EKEYREJECTED] = "EKEYREJECTED",
    [EOWNERDEAD] = "EOWNERDEAD",
    [ENOTRECOVERABLE] = "ENOTRECOVERABLE",
    [ERFKILL] = "ERFKILL",
    [EHWPOISON] = "EHWPOISON",
};

static const char *const signal_names[] = {
    [SIGHUP] = "SIGHUP",       [SIGINT] = "SIGINT",       [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL",
    [SIGTRAP] = "SIGTRAP",     [SIGABRT] = "SIGABRT",     [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",
    [SIGKILL] = "SIGKILL",     [SIGUSR1] = "SIGUSR1",     [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
    [SIGPIPE] = "SIGPIPE",     [SIGALRM] = "SIGALRM",     [SIGTERM] = "SIGTERM",
#ifdef SIGSTKFLT
    [SIGSTKFLT] = "SIGSTKFLT",
#endif
    [SIGCHLD] = "SIGCHLD",     [SIGCONT] = "SIGCONT",     [SIGSTOP] = "SIGSTOP", [SIGTSTP] = "SIGTSTP",
    [SIGTTIN] = "SIGTTIN",     [SIGTTOU] = "SIGTTOU",     [SIGURG] = "SIGURG",   [SIGXCPU] = "SIGXCPU",
    [SIGXFSZ] = "SIGXFSZ",     [SIGVTALRM] = "SIGVTALRM", [SIGPROF] = "SIGPROF", [SIGWINCH] = "SIGWINCH",
    [SIGIO] = "SIGIO",         [SIGPWR] = "SIGPWR",       [SIGSYS] = "SIGSYS",
};

const char *op_name(enum event_op op) {
    return NAME_AT(op_names, op);
}

const char *fin_name(enum event_fin fin) {
    return NAME_AT(fin_names, fin);
}

const char *why_name(enum event_why why) {
    return NAME_AT(why_names, why);
}

const char *role_name(enum event_role role) {
    return NAME_AT(role_names, role);
}

const char *state_name(enum tcp_state state) {
    return NAME_AT(state_names, state);
}

const char *how_name(int how) {
    return NAME_AT(how_names, how);
}

const char *sigpipe_name(enum event_sigpipe sigpipe) {
    return NAME_AT(sigpipe_names, sigpipe);
}

const char *reach_name(enum event_reach reach) {
    return NAME_AT(reach_names, reach);
}

const char *reach_reason(enum event_reach reach) {
    return NAME_AT(reach_reasons, reach);
}

const char *last_name(enum event_last last) {
    return NAME_AT(last_names, last);
}

const char *errno_name(int error) {
    return NAME_AT(errno_names, error);
}

/* Real-time signals start at the kernel's 32, of which libc keeps some for itself. */
const char *signal_name(int signal) {
    if (signal >= 32 && signal < _NSIG)
        return "SIGRT";
    return NAME_AT(signal_names, signal);
}
