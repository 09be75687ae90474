/* The call path of stdio on a TCP socket: what a stream's call tells of the connection under it. */
#ifndef CLOSETRACE_STDIO_TRANSFER_H
#define CLOSETRACE_STDIO_TRANSFER_H

#include <stdio.h>

#include "refs/fd_table.h"
#include "transferring.h"

struct stream_call {
    struct traffic traffic;
    FILE *file;
    int flags;        /* the stream's, and */
    int error_before; /* errno, before the call */
};

bool stream_found(struct stream_call *call, FILE *file, const char *name, const void *caller);

/* FILE's flags, which its ABI has fixed: libio.h of glibc. */
enum { STREAM_HAS_DESCRIPTOR = 0x2000 };

/* The descriptor under a stream; -1 for one in memory, whose field for it is never set. */
static inline int stream_descriptor(const FILE *file) {
    return file && (file->_flags & STREAM_HAS_DESCRIPTOR) ? file->_fileno : -1;
}

/* False: no TCP socket under it. */
static inline bool stream_entering(struct stream_call *call, FILE *file, const char *name, const void *caller) {
    return table_maybe_tcp(stream_descriptor(file)) && stream_found(call, file, name, caller);
}

/* Lengths of output that are no lengths: not known; whatever is in the buffer; that, and a character more. */
#define STREAM_UNKNOWN  SIZE_MAX
#define STREAM_FLUSH    (SIZE_MAX - 1)
#define STREAM_OVERFLOW (SIZE_MAX - 2)

/* Something that was written waits in its buffer. */
bool stream_has_pending(const FILE *file);

/*
 * Before input; before output of that many bytes. Where the kernel will be asked, rules are held against the call, and
 * SIGPIPE is held. True: a rule takes the call's place: it fails, the stream has its error, errno is set.
 */
bool stream_meets_input(struct stream_call *call);
static inline bool stream_entering_read(struct stream_call *call) {
    return fault_armed(RULE_READ) && stream_meets_input(call);
}
bool stream_entering_write(struct stream_call *call, size_t length);

void stream_exiting_read(struct stream_call *call);
void stream_exiting_write(struct stream_call *call);

#endif
