#include "stdio_transfer.h"
#include "kernel/thread.h"

#include <errno.h>
#include <wchar.h>

/* FILE's flags, which its ABI has fixed: libio.h of glibc. */
enum { UNBUFFERED = 0x2, AT_EOF = 0x10, HAS_ERROR = 0x20, LINE_BUFFERED = 0x200 };

bool stream_found(struct stream_call *call, FILE *file, const char *name, const void *caller) {
    if (file->_fileno < 0 || !transfer_entering(&call->traffic, file->_fileno, name, caller))
        return false;
    call->file = file;
    call->flags = file->_flags;
    call->error_before = error_now();
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

bool stream_has_pending(const FILE *file) {
    enum { WRITE_BASE = 3, WRITE_PTR = 4 }; /* struct _IO_wide_data, which the ABI has fixed as well */
    wchar_t *const *wide = (wchar_t *const *)(const void *)file->_wide_data;
    if (file->_mode > 0 && wide)
        return wide[WRITE_PTR] > wide[WRITE_BASE];
    return file->_IO_write_ptr > file->_IO_write_base;
}

/* Whether rules mean this call: what goes no further than the buffer is no write. */
static bool reaches_kernel(const struct stream_call *call, size_t length, size_t room) {
    const FILE *file = call->file;
    if (length == STREAM_FLUSH || length == STREAM_OVERFLOW)
        return stream_has_pending(file);
    if (call->flags & (UNBUFFERED | LINE_BUFFERED))
        return true;
    return length != STREAM_UNKNOWN && length > room && file->_IO_write_end > file->_IO_write_base;
}

bool stream_entering_write(struct stream_call *call, size_t length) {
    const FILE *file = call->file;
    size_t room = file->_IO_write_end > file->_IO_write_ptr ? (size_t)(file->_IO_write_end - file->_IO_write_ptr) : 0;
    call->traffic.by_stream = true;
    call->traffic.moves = length > 0 && (length != STREAM_FLUSH || stream_has_pending(file));
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
    int error = error_now();
    bool failed = newly(call, HAS_ERROR) || (error != call->error_before && (error == EPIPE || error == ECONNRESET));
    transfer_wrote(&call->traffic, failed ? -1 : 0, TRANSFER_UNKNOWN);
    if (!failed && call->traffic.moves)
        table_mark_last(call->traffic.fd, LAST_WRITE, 0);
}
