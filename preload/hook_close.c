/* Descriptors given up: close and its family. */
#define _GNU_SOURCE
#include <linux/close_range.h>

#include "closing.h"
#include "door.h"
#include "own.h"
#include "ranges.h"
#include "raw.h"
#include "stream.h"
#include "traffic.h"
#include "twice.h"

DOOR int close(int fd) {
    struct closing closing;
    if (own_is(fd))
        own_make_way(fd);
    if (!table_maybe_tcp(fd) || !closing_begin(&closing, fd, "close", CALLER)) {
        struct twice twice;
        if (!twice_begin(&twice, fd, CALLER))
            return REAL(close)(fd);
        int status = REAL(close)(fd);
        twice_end(&twice, status, errno);
        return status;
    }
    twice_note(fd, CALLER);
    int result = REAL(close)(fd);
    closing_end(&closing, result, errno);
    return result;
}
TWIN_DOOR(__close, close);

DOOR int close_range(unsigned first, unsigned last, int flags) {
    return range_close(first, last, flags, "close_range", CALLER);
}

DOOR void closefrom(int lowest) {
    range_close_from(lowest, "closefrom", CALLER);
}

/* fclose, freopen: what is left in the buffer is written first, which may raise SIGPIPE. */
struct file_closing {
    struct closing closing;
    struct traffic traffic;
    bool writes;
};

static bool file_begin(struct file_closing *file, FILE *stream, const char *name, const void *caller) {
    if (!stream)
        return false;
    int fd = stream_descriptor(stream);
    if (!table_maybe_tcp(fd) || !traffic_begin(&file->traffic, fd, name, caller))
        return false;
    file->writes = stream->_IO_write_ptr > stream->_IO_write_base;
    if (!closing_begin(&file->closing, fd, name, caller))
        return false;
    if (file->writes)
        traffic_hold_sigpipe(&file->traffic);
    return true;
}

static void file_end(struct file_closing *file, int result) {
    closing_end(&file->closing, result, errno);
    if (file->writes)
        traffic_wrote(&file->traffic, result);
}

DOOR int fclose(FILE *stream) {
    struct file_closing file;
    if (!file_begin(&file, stream, "fclose", CALLER))
        return REAL(fclose)(stream);
    int result = REAL(fclose)(stream);
    file_end(&file, result);
    return result;
}
TWIN_DOOR(_IO_fclose, fclose);

DOOR int pclose(FILE *stream) {
    struct file_closing file;
    if (!file_begin(&file, stream, "pclose", CALLER))
        return REAL(pclose)(stream);
    int result = REAL(pclose)(stream);
    file_end(&file, result);
    return result;
}

DOOR FILE *freopen(const char *path, const char *mode, FILE *stream) {
    struct file_closing file;
    if (!file_begin(&file, stream, "freopen", CALLER))
        return REAL(freopen)(path, mode, stream);
    FILE *result = REAL(freopen)(path, mode, stream);
    file_end(&file, result ? 0 : -1);
    return result;
}

DOOR FILE *freopen64(const char *path, const char *mode, FILE *stream) {
    struct file_closing file;
    if (!file_begin(&file, stream, "freopen64", CALLER))
        return REAL(freopen64)(path, mode, stream);
    FILE *result = REAL(freopen64)(path, mode, stream);
    file_end(&file, result ? 0 : -1);
    return result;
}

/* glibc's flushes every stream and closes no descriptor. */
DOOR int fcloseall(void) {
    return REAL(fcloseall)();
}

/* Makes the terminal 0, 1 and 2, whatever those were. */
DOOR int login_tty(int fd) {
    struct closing closings[3];
    bool closes[3];
    for (int i = 0; i < 3; i++)
        closes[i] = i != fd && table_maybe_tcp(i) && closing_begin(&closings[i], i, "login_tty", CALLER);
    int result = REAL(login_tty)(fd);
    for (int i = 0; i < 3; i++) {
        if (closes[i] && result == 0)
            closing_end(&closings[i], result, errno);
        else if (closes[i])
            closing_cancelled(&closings[i]);
    }
    return result;
}
