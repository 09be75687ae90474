#define _GNU_SOURCE
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_SIZE = 1 << 18 };

bool output_begin(struct output *output, const char *path, bool json) {
    *output = (struct output){.fd = STDERR_FILENO, .json = json, .buffer = malloc(BUFFER_SIZE)};
    if (path)
        output->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    return output->buffer && output->fd >= 0;
}

void output_flush(struct output *output) {
    size_t at = 0;
    while (at < output->length && !output->failed) {
        ssize_t written = write(output->fd, output->buffer + at, output->length - at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            output->failed = true;
            fprintf(stderr, "closetrace: the trace cannot be written: %s\n", strerror(errno));
        } else {
            at += (size_t)written;
        }
    }
    output->length = 0;
}

void output_line(struct output *output, const char *line, size_t length) {
    if (length > BUFFER_SIZE - output->length)
        output_flush(output);
    memcpy(output->buffer + output->length, line, length);
    output->length += length;
}

static unsigned long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000 + (unsigned long long)now.tv_nsec / 1000000;
}

/* Its writer is dead, or has not come back to it for too long (it was stopped, or left by a longjmp()). */
static bool is_given_up(struct output *output, int pid, bool last) {
    enum { PATIENCE_MS = 2000 };
    unsigned long long now = now_ms();
    if (output->busy_since_ms == 0 || output->busy_pid != pid) {
        output->busy_since_ms = now;
        output->busy_pid = pid;
    }
    return last || now - output->busy_since_ms > PATIENCE_MS || (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH);
}

size_t output_drain(struct output *output, struct ring *ring, bool last) {
    const char *line;
    size_t length, came = 0;
    int pid;
    for (enum ring_next next; (next = ring_peek(ring, &line, &length, &pid)) != RING_EMPTY;) {
        if (next == RING_LINE) {
            output->busy_since_ms = 0;
            output_line(output, line, length);
            ring_take(ring);
            came += length;
        } else if (is_given_up(output, pid, last)) {
            output->busy_since_ms = 0;
            ring_give_up(ring);
        } else {
            break;
        }
    }
    output_flush(output);
    return came;
}
