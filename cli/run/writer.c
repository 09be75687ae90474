#define _GNU_SOURCE
#include "writer.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static int write_all(int fd, const char *text, size_t length, size_t *written) {
    for (*written = 0; *written < length;) {
        const ssize_t result = write(fd, text + *written, length - *written);
        if (result >= 0)
            *written += (size_t)result;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

static void *write_pieces(void *context) {
    struct writer *writer = context;
    pthread_mutex_lock(&writer->mutex);
    for (;;) {
        while (!writer->text)
            pthread_cond_wait(&writer->changed, &writer->mutex);
        const char *text = writer->text;
        const size_t length = writer->length;
        size_t written;
        pthread_mutex_unlock(&writer->mutex);
        const int error = write_all(writer->fd, text, length, &written);
        pthread_mutex_lock(&writer->mutex);
        writer->text = NULL;
        writer->written = written;
        writer->error = error;
        pthread_cond_broadcast(&writer->changed);
    }
    return NULL;
}

/* It takes no signals: they are for those who wait for them. */
static bool start_thread(struct writer *writer) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool started = pthread_create(&thread, NULL, write_pieces, writer) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pthread_detach(thread);
    return started;
}

void writer_begin(struct writer *writer, int fd) {
    pthread_condattr_t attributes;
    *writer = (struct writer){.fd = fd};
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->changed, &attributes);
    writer->by_thread = start_thread(writer);
}

bool writer_is_free(struct writer *writer, size_t *written, int *error) {
    pthread_mutex_lock(&writer->mutex);
    const bool is_free = !writer->text;
    *written = writer->written;
    *error = writer->error;
    pthread_mutex_unlock(&writer->mutex);
    return is_free;
}

void writer_give(struct writer *writer, const char *text, size_t length) {
    if (!writer->by_thread) {
        writer->error = write_all(writer->fd, text, length, &writer->written);
        return;
    }
    pthread_mutex_lock(&writer->mutex);
    writer->text = text;
    writer->length = length;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->mutex);
}

void writer_await(struct writer *writer, int milliseconds) {
    enum { MILLISECOND = 1000000, SECOND = 1000000000 };
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += (long)(milliseconds % 1000) * MILLISECOND;
    if (until.tv_nsec >= SECOND) {
        until.tv_nsec -= SECOND;
        until.tv_sec++;
    }
    pthread_mutex_lock(&writer->mutex);
    while (writer->text && pthread_cond_timedwait(&writer->changed, &writer->mutex, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&writer->mutex);
}
