/* Descriptors given up: close and its family. */
#define _GNU_SOURCE

#include "calls/closing.h"
#include "hook.h"
#include "made.h"
#include "calls/closing_range.h"
#include "kernel/raw.h"
#include "calls/stdio_transfer.h"
#include "calls/transferring.h"
#include "calls/double_close.h"
#include "calls/purging.h"

static long real_close(long number, const long arguments[6]) {
    (void)number;
    return REAL(close)((int)arguments[0]);
}

/* Apart, for what it keeps on the stack. */
static __attribute__((noinline)) long close_other(const struct made *made) {
    struct twice twice;
    struct purge purge;
    purge_entering(&purge, made_fd(made), true, made->name, made->caller);
    bool was_tcp = !made->number && double_close_entering(&twice, made_fd(made), made->caller);
    long result = make_call(made);
    if (was_tcp)
        double_close_exiting(&twice, error_of(result));
    purge_exiting(&purge, NULL);
    return result;
}

long made_close(const struct made *made) {
    struct closing closing;
    int fd = made_fd(made);
    make_way(fd);
    if (!table_maybe_tcp(fd) || !closing_entering(&closing, fd, made->name, made->caller))
        return close_other(made);
    if (!made->number)
        double_close_note(fd, made->caller);
    long result = closing_is_off(&closing) ? 0 : make_call(made);
    return closing_exiting(&closing, result, error_of(result));
}

HOOKED int close(int fd) {
    const long arguments[] = {fd};
    return (int)made_close(&(struct made){"close", CALLER, real_close, 0, arguments});
}
TWIN_HOOK(__close, close);

HOOKED int close_range(unsigned first, unsigned last, int flags) {
    return range_close(first, last, flags, "close_range", CALLER);
}

HOOKED void closefrom(int lowest) {
    range_close_from(lowest, "closefrom", CALLER);
}

/* fclose, freopen: what is left in the buffer is written first, which may raise SIGPIPE. */
struct file_closing {
    struct closing closing;
    struct traffic traffic;
    bool writes;
};

static bool file_entering(struct file_closing *file, FILE *stream, const char *name, const void *caller) {
    if (!stream)
        return false;
    int fd = stream_descriptor(stream);
    if (!table_maybe_tcp(fd) || !transfer_entering(&file->traffic, fd, name, caller))
        return false;
    file->writes = stream_has_pending(stream);
    if (!closing_entering(&file->closing, fd, name, caller))
        return false;
    if (file->writes)
        transfer_hold_sigpipe(&file->traffic);
    return true;
}

static int file_exiting(struct file_closing *file, int result) {
    int error = error_of(result);
    int seen = (int)closing_exiting(&file->closing, result, error);
    if (file->writes && !closing_is_off(&file->closing)) {
        int kept = error_now();
        error_set(error);
        transfer_wrote(&file->traffic, result, TRANSFER_UNKNOWN);
        error_set(kept);
    }
    return seen;
}

HOOKED int fclose(FILE *stream) {
    struct file_closing file;
    if (!file_entering(&file, stream, "fclose", CALLER))
        return REAL(fclose)(stream);
    int result = closing_is_off(&file.closing) ? 0 : REAL(fclose)(stream);
    return file_exiting(&file, result);
}
TWIN_HOOK(_IO_fclose, fclose);

HOOKED int pclose(FILE *stream) {
    struct file_closing file;
    if (!file_entering(&file, stream, "pclose", CALLER))
        return REAL(pclose)(stream);
    int result = closing_is_off(&file.closing) ? 0 : REAL(pclose)(stream);
    return file_exiting(&file, result);
}

HOOKED FILE *freopen(const char *path, const char *mode, FILE *stream) {
    struct file_closing file;
    if (!file_entering(&file, stream, "freopen", CALLER))
        return REAL(freopen)(path, mode, stream);
    FILE *result = closing_is_off(&file.closing) ? stream : REAL(freopen)(path, mode, stream);
    return file_exiting(&file, result ? 0 : -1) == 0 ? result : NULL;
}

HOOKED FILE *freopen64(const char *path, const char *mode, FILE *stream) {
    struct file_closing file;
    if (!file_entering(&file, stream, "freopen64", CALLER))
        return REAL(freopen64)(path, mode, stream);
    FILE *result = closing_is_off(&file.closing) ? stream : REAL(freopen64)(path, mode, stream);
    return file_exiting(&file, result ? 0 : -1) == 0 ? result : NULL;
}

/* glibc's flushes every stream and closes no descriptor. */
HOOKED int fcloseall(void) {
    return REAL(fcloseall)();
}

/* Makes the terminal 0, 1 and 2, whatever those were. */
HOOKED int login_tty(int fd) {
    struct closing closings[3];
    bool closes[3];
    for (int i = 0; i < 3; i++)
        closes[i] = i != fd && table_maybe_tcp(i) && closing_entering_aside(&closings[i], i, "login_tty", CALLER);
    int result = REAL(login_tty)(fd);
    for (int i = 0; i < 3; i++) {
        if (closes[i] && result == 0)
            closing_exiting(&closings[i], result, 0);
        else if (closes[i])
            closing_cancelled(&closings[i]);
    }
    return result;
}
