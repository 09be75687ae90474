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

enum { BUFFER_SIZE = 1 << 18 };

bool drain_begin(struct drain *drain, const char *path, bool json) {
    *drain = (struct drain){.fd = STDERR_FILENO, .json = json, .buffer = malloc(BUFFER_SIZE)};
    if (path)
        drain->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    drain->color = !json && output_in_color(drain->fd);
    return drain->buffer && drain->fd >= 0;
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

static void fail(struct drain *drain, size_t written) {
    const char *newline = memrchr(drain->buffer, '\n', written);
    const size_t whole = newline ? (size_t)(newline + 1 - drain->buffer) : 0;
    drain->failed = true;
    say("closetrace: the trace cannot be written: %s", strerror(errno));
    take_back(drain->fd, drain->buffer, written);
    drain->lost += count_lines(drain->buffer + whole, drain->length - whole);
}

void drain_flush(struct drain *drain) {
    size_t at = 0;
    while (at < drain->length && !drain->failed) {
        ssize_t written = write(drain->fd, drain->buffer + at, drain->length - at);
        if (written >= 0)
            at += (size_t)written;
        else if (errno != EINTR)
            fail(drain, at);
    }
    drain->length = 0;
}

static size_t as_text(const struct drain *drain, const struct event *event, char text[RENDER_LINE_MAX]) {
    struct text_style style = {.color = drain->color, .utc_offset = local_offset(event->time_us)};
    return render_text(event, &style, text, RENDER_LINE_MAX);
}

void drain_event(struct drain *drain, const struct event *event) {
    if (drain->each)
        drain->each(event, drain->context);
    if (drain->failed) {
        drain->lost++;
        return;
    }
    if (BUFFER_SIZE - drain->length < RENDER_LINE_MAX)
        drain_flush(drain);
    char *line = drain->buffer + drain->length;
    drain->length += drain->json ? render_json(event, line, RENDER_LINE_MAX) : as_text(drain, event, line);
}

/* It is of the library's own version: it cannot be wrong, unless its writer was given up in the middle of it. */
static void drain_line(struct drain *drain, const char *line, size_t length) {
    static max_align_t memory[EVENT_STORE_SIZE(RING_LINE_MAX) / sizeof(max_align_t) + 1];
    struct event_store store = {memory, sizeof memory};
    struct event_wrong wrong;
    struct event event;
    if (event_parse(line, length - 1, &event, &store, &wrong))
        drain_event(drain, &event);
}

static void drain_one(struct drain *drain, const char *bytes, size_t length) {
    struct event event;
    if (!is_packed(bytes, length))
        drain_line(drain, bytes, length);
    else if (event_unpack(bytes, length, &event))
        drain_event(drain, &event);
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

size_t drain_ring(struct drain *drain, struct ring *ring, bool last) {
    struct ring_reader *reader = &drain->reader;
    size_t came = 0;
    for (enum ring_next next; (next = ring_peek(ring, reader)) != RING_EMPTY;) {
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
