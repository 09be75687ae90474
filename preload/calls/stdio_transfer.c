#include "stdio_transfer.h"

#include <errno.h>

/* FILE's flags, which its ABI has fixed: libio.h of glibc. */
enum { UNBUFFERED = 0x2, AT_EOF = 0x10, HAS_ERROR = 0x20, LINE_BUFFERED = 0x200 };

bool stream_found(struct stream_call *call, FILE *file, const char *name, const void *caller) {
    if (file->_fileno < 0 || !transfer_entering(&call->traffic, file->_fileno, name, caller))
        return false;
    call->file = file;
    call->flags = file->_flags;
    call->errno_before = errno;
    return true;
}

static bool meets(struct stream_call *call, enum rule_family family) {
    struct fault_subject subject = {.family = family,
                                    .call = &call->traffic.call,
                                    .fd = call->traffic.fd,
                                    .how = -1,
                                    .identity = &call->traffic.identity,
                                    .without = 1U << PART_SHORT | 1U << PART_RETVAL};
    long result;
    if (!fault_takes(&subject, &result))
        return false;
    call->file->_flags |= HAS_ERROR;
    return true;
}

bool stream_meets_input(struct stream_call *call) {
    const FILE *file = call->file;
    return file->_IO_read_ptr >= file->_IO_read_end && meets(call, RULE_READ);
}

/* Whether rules mean this call: what goes no further than the buffer is no write. */
static bool reaches_kernel(const struct stream_call *call, size_t length, size_t room) {
    const FILE *file = call->file;
    if (length == STREAM_FLUSH)
        return file->_IO_write_ptr > file->_IO_write_base;
    if (call->flags & (UNBUFFERED | LINE_BUFFERED))
        return true;
    return length != STREAM_UNKNOWN && length > room && file->_IO_write_end > file->_IO_write_base;
}

bool stream_entering_write(struct stream_call *call, size_t length) {
    const FILE *file = call->file;
    size_t room = file->_IO_write_end > file->_IO_write_ptr ? (size_t)(file->_IO_write_end - file->_IO_write_ptr) : 0;
    if (fault_armed(RULE_WRITE) && reaches_kernel(call, length, room) && meets(call, RULE_WRITE))
        return true;
    if (length >= room || (call->flags & (UNBUFFERED | LINE_BUFFERED)))
        transfer_hold_sigpipe(&call->traffic);
    return false;
}

static bool newly(const struct stream_call *call, int flag) {
    return !(call->flags & flag) && (call->file->_flags & flag);
}

void stream_exiting_read(struct stream_call *call) {
    if (newly(call, AT_EOF))
        transfer_read(&call->traffic, 0, 1);
    else
        transfer_read(&call->traffic, newly(call, HAS_ERROR) ? -1 : 1, 1);
}

/* A stream that has failed before keeps its error flag: then errno tells, if the call has changed it. */
void stream_exiting_write(struct stream_call *call) {
    bool failed = newly(call, HAS_ERROR) || (errno != call->errno_before && (errno == EPIPE || errno == ECONNRESET));
    transfer_wrote(&call->traffic, failed ? -1 : 0, TRANSFER_UNKNOWN);
    if (!failed)
        table_mark_last(call->traffic.fd, LAST_WRITE, 0);
}
