#define _GNU_SOURCE
#include "drain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "show/output.h"
#include "pure/pack.h"
#include "pure/render.h"
#include "reader/parse.h"
#include "terminal/say.h"

/* So much is taken from the ring at a time; the command's own events find more room, to a point. */
enum { BUFFER_SIZE = 1 << 18, BUFFER_MAX = 1 << 26 };

static bool buffer_make(struct drain_buffer *buffer) {
    *buffer = (struct drain_buffer){.text = malloc(BUFFER_SIZE), .size = BUFFER_SIZE};
    return buffer->text;
}

/* Whoever reads the file can tell whether the session goes on: the lock goes with us. Where there is none, nobody can.
 */
static int open_trace(const char *path) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd >= 0)
        fcntl(fd, F_OFD_SETLK, &lock);
    return fd;
}

bool drain_begin(struct drain *drain, const char *path, bool json) {
    *drain = (struct drain){.fd = STDERR_FILENO, .json = json};
    if (path)
        drain->fd = open_trace(path);
    drain->color = !json && output_in_color(drain->fd);
    return drain->fd >= 0 && buffer_make(&drain->filling) && buffer_make(&drain->leaving);
}

static unsigned long long count_lines(const char *text, size_t length) {
    unsigned long long lines = 0;
    for (const char *end = text + length; (text = memchr(text, '\n', (size_t)(end - text))); text++)
        lines++;
    return lines;
}

/* What there is of a line whose rest found no room is taken back, if nobody has written behind it. */
static void take_back(int fd, const char *text, size_t written) {
    const char *newline = memrchr(text, '\n', written);
    const off_t torn = (off_t)(newline ? text + written - newline - 1 : (ptrdiff_t)written);
    struct stat status;
    if (torn > 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == lseek(fd, 0, SEEK_CUR) &&
        ftruncate(fd, status.st_size - torn) != 0)
        say("closetrace: the last line of the trace is cut off");
}

static void fail(struct drain *drain, size_t written, int error) {
    const struct drain_buffer *buffer = &drain->leaving;
    const char *newline = memrchr(buffer->text, '\n', written);
    const size_t whole = newline ? (size_t)(newline + 1 - buffer->text) : 0;
    drain->failed = true;
    say("closetrace: cannot write the trace: %s", strerror(error));
    take_back(drain->fd, buffer->text, written);
    drain->lost += count_lines(buffer->text + whole, buffer->length - whole);
    drain->lost += count_lines(drain->filling.text, drain->filling.length);
    drain->filling.length = 0;
}

/* False: what is leaving has not left. */
static bool has_left(struct drain *drain) {
    size_t written;
    int error;
    if (drain->leaving.length == 0)
        return true;
    if (!writer_is_free(&drain->writer, &written, &error))
        return false;
    if (error)
        fail(drain, written, error);
    drain->leaving.length = 0;
    return true;
}

void drain_flush(struct drain *drain) {
    if (!has_left(drain) || drain->filling.length == 0)
        return;
    if (!drain->writes)
        writer_begin(&drain->writer, drain->fd); /* the program has been forked by now */
    drain->writes = true;
    const struct drain_buffer next = drain->leaving;
    drain->leaving = drain->filling;
    drain->filling = next;
    writer_give(&drain->writer, drain->leaving.text, drain->leaving.length);
}

/* Whether a line finds room without more memory. */
static bool has_room(struct drain *drain) {
    if (BUFFER_SIZE - RENDER_LINE_MAX < drain->filling.length)
        drain_flush(drain);
    return drain->filling.length <= BUFFER_SIZE - RENDER_LINE_MAX;
}

static bool make_room(struct drain_buffer *buffer) {
    if (buffer->size - buffer->length >= RENDER_LINE_MAX)
        return true;
    char *larger = buffer->size < BUFFER_MAX ? realloc(buffer->text, 2 * buffer->size) : NULL;
    if (!larger)
        return false;
    buffer->text = larger;
    buffer->size *= 2;
    return true;
}

static size_t as_text(const struct drain *drain, const struct event *event, char text[RENDER_LINE_MAX]) {
    struct text_style style = {.color = drain->color, .utc_offset = local_offset(event->time_us)};
    return render_text(event, &style, text, RENDER_LINE_MAX);
}

void drain_event(struct drain *drain, const struct event *event) {
    if (drain->each)
        drain->each(event, drain->context);
    if (drain->failed || (!has_room(drain) && !make_room(&drain->filling))) {
        drain->lost++;
        return;
    }
    char *line = drain->filling.text + drain->filling.length;
    drain->filling.length += drain->json ? render_json(event, line, RENDER_LINE_MAX) : as_text(drain, event, line);
}

/* A last line without its end is none. */
void drain_words(struct drain *drain, const char *text, size_t length) {
    const char *newline;
    while ((newline = length > 0 ? memchr(text, '\n', length) : NULL)) {
        const size_t line = (size_t)(newline + 1 - text);
        if (drain->failed || line > RENDER_LINE_MAX || (!has_room(drain) && !make_room(&drain->filling)))
            return;
        memcpy(drain->filling.text + drain->filling.length, text, line);
        drain->filling.length += line;
        text += line;
        length -= line;
    }
}

void drain_logged(struct drain *drain, const struct event *event) {
    if (drain->watch)
        drain->watch(event);
    drain_event(drain, event);
}

/* What is no event anybody may have written. */
static bool drain_line(struct drain *drain, const char *line, size_t length) {
    static max_align_t memory[EVENT_STORE_SIZE(RING_LINE_MAX) / sizeof(max_align_t) + 1];
    struct event_store store = {memory, sizeof memory};
    struct event_wrong wrong;
    struct event event;
    if (!event_parse(line, length - 1, &event, &store, &wrong))
        return false;
    drain_logged(drain, &event);
    return true;
}

static bool drain_packed(struct drain *drain, const char *bytes, size_t length) {
    struct event event;
    if (!event_unpack(bytes, length, &event))
        return false;
    drain_logged(drain, &event);
    return true;
}

static void drain_one(struct drain *drain, const char *bytes, size_t length) {
    if (!(is_packed(bytes, length) ? drain_packed : drain_line)(drain, bytes, length))
        drain->garbage++;
}

static unsigned long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
}

/* Its writer is dead, or has not come back to it for too long (it was stopped, or left by a longjmp()). */
static bool is_given_up(struct drain *drain, int pid, bool last) {
    enum { PATIENCE_MS = 2000 };
    unsigned long long now = now_ms();
    if (drain->busy_since_ms == 0 || drain->busy_pid != pid) {
        drain->busy_since_ms = now;
        drain->busy_pid = pid;
    }
    return last || now - drain->busy_since_ms > PATIENCE_MS || (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH);
}

/* Not more at a time than the ring holds: nobody who writes all the time keeps us from everything else. */
size_t drain_ring(struct drain *drain, struct ring *ring, bool last) {
    struct ring_reader *reader = &drain->reader;
    size_t came = 0;
    drain->stuck = false;
    for (enum ring_next next; came < RING_SIZE && !(drain->stuck = !has_room(drain));) {
        if ((next = ring_peek(ring, reader)) == RING_EMPTY)
            break;
        if (next == RING_LINE) {
            drain->busy_since_ms = 0;
            drain_one(drain, reader->line, reader->length);
            came += reader->length;
            ring_take(ring, reader);
        } else if (is_given_up(drain, reader->pid, last)) {
            drain->busy_since_ms = 0;
            ring_give_up(ring, reader);
        } else {
            break;
        }
    }
    ring_rewind(ring, reader);
    drain_flush(drain);
    return came;
}

bool drain_waits(const struct drain *drain) {
    return drain->stuck || drain->filling.length > 0;
}

static bool is_done(struct drain *drain) {
    return has_left(drain) && drain->filling.length == 0 && !drain->stuck;
}

static void give_up(struct drain *drain) {
    drain->failed = true;
    drain->lost += count_lines(drain->filling.text, drain->filling.length) +
                   count_lines(drain->leaving.text, drain->leaving.length);
    drain->filling.length = drain->leaving.length = 0;
}

/* Who writes on though nobody reads any more is not listened to for ever. */
void drain_finish(struct drain *drain, struct ring *ring, bool (*is_enough)(void *context), void *context) {
    enum { MOMENT_MS = 20, MOMENTS = 10 };
    size_t came, most = (size_t)2 * RING_SIZE;
    unsigned in_vain = 0; /* moments for which a piece has not left */
    do {
        came = drain_ring(drain, ring, true);
        most -= came < most ? came : most;
        if (came == 0 && !is_done(drain))
            writer_await(&drain->writer, MOMENT_MS);
        in_vain = has_left(drain) ? 0 : in_vain + 1;
        if (!drain->failed && in_vain >= MOMENTS && is_enough(context))
            give_up(drain);
        drain_flush(drain);
    } while (most > 0 && (came > 0 || !is_done(drain)));
}
