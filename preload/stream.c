#include "stream.h"

#include <errno.h>

/* FILE's flags, which its ABI has fixed: libio.h of glibc. */
enum { UNBUFFERED = 0x2, AT_EOF = 0x10, HAS_ERROR = 0x20, LINE_BUFFERED = 0x200 };

bool stream_found(struct stream_call *call, FILE *file, const char *name, const void *caller) {
    if (file->_fileno < 0 || !traffic_begin(&call->traffic, file->_fileno, name, caller))
        return false;
    call->file = file;
    call->flags = file->_flags;
    call->errno_before = errno;
    return true;
}

void stream_will_write(struct stream_call *call, size_t length) {
    const FILE *file = call->file;
    size_t room = file->_IO_write_end > file->_IO_write_ptr ? (size_t)(file->_IO_write_end - file->_IO_write_ptr) : 0;
    if (length >= room || (call->flags & (UNBUFFERED | LINE_BUFFERED)))
        traffic_hold_sigpipe(&call->traffic);
}

static bool newly(const struct stream_call *call, int flag) {
    return !(call->flags & flag) && (call->file->_flags & flag);
}

void stream_has_read(struct stream_call *call) {
    if (newly(call, AT_EOF))
        traffic_read(&call->traffic, 0, 1);
    else
        traffic_read(&call->traffic, newly(call, HAS_ERROR) ? -1 : 1, 1);
}

/* A stream that has failed before keeps its error flag: then errno tells, if the call has changed it. */
void stream_has_written(struct stream_call *call) {
    bool failed = newly(call, HAS_ERROR) || (errno != call->errno_before && (errno == EPIPE || errno == ECONNRESET));
    traffic_wrote(&call->traffic, failed ? -1 : 0);
}
